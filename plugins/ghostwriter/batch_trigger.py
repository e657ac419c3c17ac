"""The old address of the batch trigger: Airflow's table names it there for a task that was deferred before the rooms were made."""

from ghostwriter.tasks.batch_trigger import BatchTrigger as BatchTrigger
