"""Answering: prompts into answers and into the loss of given answers, by one arm (base, or base and adapter) at a time.

Others use `arms.LoadedArm`, `generate.Answer` and `reload`. Imports models and rows.
"""
