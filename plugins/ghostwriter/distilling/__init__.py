"""Distilling: a snapshot of answers into a dataset, by asking a teacher that is shown three of the writer's pairs at a time.

Others use `distill.distill`, `batch` (the first round by the vendor's Batch API) and `dataset`.
Imports teacher and collecting, and what is below.
"""
