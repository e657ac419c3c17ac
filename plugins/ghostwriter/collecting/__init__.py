"""Collecting: a site, or a person's own files, into the archive, and the archive into a snapshot of answers.

Others use `collect.collect`, `answers.snapshot_answers` and `archive`. Imports the base only (home, writer, database, snapshot ...).
"""
