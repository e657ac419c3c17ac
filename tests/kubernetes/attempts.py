"""A task's way through Airflow with the operator for Kubernetes: execute, defer, trigger, resume, each in an object of its own."""

import asyncio
import pkgutil
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from airflow.sdk.exceptions import TaskDeferred

from ghostwriter.launchers.kubernetes.stage import KubernetesStageOperator

Make = Callable[[], KubernetesStageOperator]


def context(run: str = "manual__2026-11-26T04:00:00+00:00", attempt: int = 1) -> dict[str, Any]:
    """What Airflow hands an operator; `pushed` holds XComs."""
    pushed: dict[str, Any] = {}
    instance = SimpleNamespace(
        dag_id="d", run_id=run, task_id="train", map_index=-1, try_number=attempt, xcom_push=lambda key, value: pushed.update({key: value})
    )
    return {"ti": instance, "run_id": run, "dag": SimpleNamespace(), "pushed": pushed}


def begin(make: Make, given: dict[str, Any]) -> TaskDeferred:
    """Execute until the operator leaves the pod to the triggerer."""
    try:
        returned = make().execute(given)
    except TaskDeferred as deferred:
        return deferred
    raise AssertionError(f"not deferred, but returned {returned}")


def restored(deferred: TaskDeferred) -> Any:
    """The trigger as the triggerer gets it: out of its serialized form."""
    path, arguments = deferred.trigger.serialize()
    return pkgutil.resolve_name(path)(**arguments)


def fire(deferred: TaskDeferred) -> dict[str, Any]:
    """Run the trigger to its event."""

    async def first() -> dict[str, Any]:
        async for event in restored(deferred).run():
            return dict(event.payload)
        raise AssertionError("the trigger ended without an event")

    return asyncio.run(first())


def resume(make: Make, given: dict[str, Any], deferred: TaskDeferred, event: dict[str, Any]) -> dict[str, str]:
    """Go on with the event in a new process's operator, and again whenever it defers again."""
    try:
        returned: dict[str, str] = getattr(make(), deferred.method_name)(given, event)
    except TaskDeferred as again:
        return resume(make, given, again, fire(again))
    return returned


def run(make: Make, given: dict[str, Any]) -> dict[str, str]:
    """A whole attempt."""
    deferred = begin(make, given)
    return resume(make, given, deferred, fire(deferred))
