"""Changes of the warehouse outside of dbt: steps in deploy/warehouse, each applied once by scripts/ddl.

steps.py     what a step's file says, and whether it says it as it must
facts.py     schemas, roles, members, rights and search paths, and the statements that make them so
catalog.py   what the warehouse has, beside what the steps say that it should have
books.py     whose turn it is, and which steps were applied, mended, rolled back
"""
