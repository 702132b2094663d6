"""The site's events by Spark, for streams that outgrow one machine: see docs/spark.md.

`scripts/spark` makes a `Plan` of the settings in adstar's own environment and hands it to `job`, which runs
in an environment of its own (requirements.lock beside this file). What is not `job` needs no Spark.
"""
