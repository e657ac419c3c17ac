"""A DAG that stands for each file in writers/ that cannot be read: one bad file stops no other writer and is not overlooked."""

from ghostwriter.tasks.writer_dags import unreadable_dags

globals().update(unreadable_dags())  # each a `DAG`, which Airflow finds here
