"""What people read changes in one step: dbt builds beside it, an audit compares, one transaction publishes.

dbt builds into side schemas (``next_marts`` and so on), never into what is read (``marts``, ``reports``).
Publishing carries over the rows that differ, by DML: a reader at any isolation level then sees the star
before or the star after, because the warehouse keeps versions of rows, and none of definitions. What is taken
away is kept, so that the way back is as short.

    project.py      what is published and within which bounds: manifest.json, dbt_project/publish.yml
    engine.py       what Postgres and Redshift do differently
    ledger.py       the schema `published`: whose turn it is, what was published, what going back takes
    audit.py        the star that was built beside the one that is read
    difference.py   the rows of a table that differ: found, carried over, undone
    definitions.py  tables and views that are made, replaced, dropped
    star.py         a publish and a rollback, each one transaction
"""

from loaders._core.errors import AdstarError


class PublishError(AdstarError):
    """It was not published; what people read is as it was."""


class Busy(PublishError):
    """Another publish or rollback is at work."""


class Refused(PublishError):
    """The audit has found what a person should look at first."""
