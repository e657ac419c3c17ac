"""Frozen weights in FP8: cast once, and multiplied with inputs that are cast as they come.

Others use `frozen.freeze_in_float8` and the layers. Imports nothing else of the project.
"""
