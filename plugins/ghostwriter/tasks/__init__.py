"""Tasks: Airflow's words into calls of the rooms below. Bodies are a few lines; no logic is kept here.

Others use `body.actionable`, `stages` and `forms`. Imports every room below, and Airflow.
"""
