"""The lake: Iceberg tables of the marts and the HTTP feeds, and SQL on them; scripts/lake and scripts/sql.

catalog.py   the catalogue and where the tables stand; a lake as of a day
tables.py    one table: what has changed is written, small files are made one, old versions go
feeds.py     the rows of HTTP feeds, with types
server.py    the same SQL for BI tools, over Postgres' protocol
"""
