"""Multiplication step by step: a task with known answers, which proves that training works before a voice is trained.

`python -m training.arithmetic` runs all of it. Others use `data`, `plan` (both light) and `examine.examine`. Imports fit, measure, answer.
"""
