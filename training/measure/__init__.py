"""Measuring: answers into figures with intervals, and a report to read.

Others use `evaluate.evaluate` and `ability`. Imports answer, models, rows and tracking; never fit.
"""
