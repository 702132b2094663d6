"""Marts as files for those who have no login: written by scripts/export, a state of a mart at a time.

manifest.py   what an export holds: its columns, parts and files, and what tells one state from another
places.py     a folder or a bucket, in which a file is there whole or not at all
postgres.py   the marts of Postgres, written here
redshift.py   the marts of Redshift, which writes them to the bucket by UNLOAD
"""
