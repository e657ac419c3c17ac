"""Labels on a training container or pod: which task instance it works for, and whether that one still needs it."""

import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)

STAGE_LABEL, DAG_LABEL, RUN_LABEL, TASK_LABEL, MAP_LABEL = (f"ghostwriter.{name}" for name in ("stage", "dag", "run", "task", "map"))
NEEDED = {None, "scheduled", "queued", "running", "restarting", "deferred", "up_for_retry", "up_for_reschedule"}
"""States of a task instance that has work before it."""


def task_labels(stage: str, task_instance: Any) -> dict[str, str]:
    """The labels of what works for a task instance."""
    return {
        STAGE_LABEL: stage,
        DAG_LABEL: task_instance.dag_id,
        RUN_LABEL: task_instance.run_id,
        TASK_LABEL: task_instance.task_id,
        MAP_LABEL: str(task_instance.map_index),
    }


def task_needs(task_instance: Any) -> Callable[[dict[str, str]], bool]:
    """A test of labels: whether their task instance runs, waits to run, or will be retried.

    Asks Airflow. What does not say which task it works for was not started here, and is left alone.
    """

    def needed(labels: dict[str, str]) -> bool:
        try:
            dag_id, run_id, task_id = (labels[name] for name in (DAG_LABEL, RUN_LABEL, TASK_LABEL))
            index = int(labels[MAP_LABEL])
        except (KeyError, ValueError) as error:
            log.warning("Left alone: %s does not say which task it works for (%s).", labels, error)
            return True
        states = task_instance.get_task_states(dag_id=dag_id, run_ids=[run_id], task_ids=[task_id], map_index=index)
        return any(state in NEEDED for run in states.values() for state in run.values())

    return needed
