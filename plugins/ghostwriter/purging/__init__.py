"""Purging: an answer, or a whole writer, taken out of everything this installation keeps, on the owner's word.

Others use `purge.purge`. Imports mlflow_runs and what is below.
"""
