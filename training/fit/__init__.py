"""Fitting: rows and a recipe into an adapter, resumable at any step, on one GPU, several, or a CPU.

Others use `train.train` and `ranks`. Imports models, rows and tracking; never measure.
"""
