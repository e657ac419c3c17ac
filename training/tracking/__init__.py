"""Tracking: what a stage says, kept in its run folder first and sent to MLflow from there, across restarts and outages.

Others use `run.open_run` and `run.TrackedRun`. Knows no stage; what a stage tells MLflow stands in its own `tracked.py`.
"""
