"""Ghostwriter's GPU side: a dataset and a recipe become an adapter; an adapter becomes samples and scores.

Imports no Airflow and nothing of `ghostwriter`; `training.contract` is what the two sides share.
"""
