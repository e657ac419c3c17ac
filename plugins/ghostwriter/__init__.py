"""Ghostwriter's Airflow side: collect a writer's answers, distil them with a teacher, judge and promote adapters.

Plain Python, without torch or transformers; `python -m ghostwriter` is its command line.
"""
