"""Launcher `docker`: a stage in a hardened container beside Airflow, found again after whatever ended the task."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.docker.hooks.docker import DockerHook
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk import ResumableJobMixin
from airflow.sdk.exceptions import AirflowException

from ghostwriter.errors import LaunchError, LaunchInterrupted
from ghostwriter.launchers.container import (
    STOP_SECONDS,
    STOPPED_STATUS,
    ContainerSettings,
    container_name,
    create,
    ending,
    find,
    new_lines,
    remove,
)
from ghostwriter.launchers.outcome import LINKS, stage_outcome
from ghostwriter.launchers.task_labels import RUN_LABEL, STAGE_LABEL, task_labels
from ghostwriter.tasks.body import actionable
from training.contract import Stage, last_file

if TYPE_CHECKING:
    from docker import APIClient

log = logging.getLogger(__name__)

POLL_SECONDS = 2.0
PATIENCE_SECONDS = 60.0
"""How long the Docker API may be away (an upgrade, a restart) while a container is followed."""


class DockerStageOperator(ResumableJobMixin, DockerOperator):
    """A stage in a container; returns the run folder, the request and the MLflow run.

    Looks at the container every two seconds, which also tells the guarded Docker API that the container is not an orphan.
    """

    template_fields = ("request",)
    template_ext = ()
    external_id_key = "container"
    ui_color = "#d7ccf5"

    def __init__(self, *, stage: Stage, request: Any, **operator: Any) -> None:
        self.settings = ContainerSettings.from_environment().for_stage(stage)
        super().__init__(image=self.settings.image, mount_tmp_dir=False, **operator)
        self.stage, self.request = stage, request
        self.operator_extra_links = LINKS[stage]
        self.mlflow_urls: dict[str, str] = {}
        self._adopted = False

    @actionable
    def execute(self, context: Any) -> dict[str, str]:  # type: ignore[override]  # the stock operator returns its log
        """Run the stage to its end, or go on following the container of an attempt that was killed."""
        with _engine_problems():
            self.execute_resumable(context)
            remove(self.cli, self._name)
        returned, self.mlflow_urls = stage_outcome(self.stage, Path(self.request))
        return returned

    def submit_job(self, context: Any) -> str:
        """Start the container; one that runs for this very request already is taken over, an ended one replaced."""
        found = find(self.cli, self._name)
        if found and found["State"]["Running"]:
            self._adopted = True
            self.log.info("Container %s works on this request already; following it.", self._name)
            return str(found["Id"])
        if found:
            remove(self.cli, found["Id"])
        labels = task_labels(self.stage, context["ti"])
        container = create(self.cli, self.settings, self._name, ["training", self.stage, str(self.request)], labels)
        self.log.info("Started container %s from %s.", self._name, self.settings.image)
        return container

    def get_job_status(self, external_id: Any, context: Any) -> str:
        """`running`, `missing`, or `ended` with the exit status."""
        found = find(self.cli, str(external_id))
        self._adopted = bool(found)
        if found and not found["State"]["Running"]:
            return f"ended {found['State']['ExitCode']}"
        return "running" if found else "missing"

    def is_job_active(self, status: str) -> bool:
        """Whether there is something to follow."""
        return status == "running"

    def is_job_succeeded(self, status: str) -> bool:
        """Whether the container has done its work; the result file is looked for afterwards all the same."""
        return status == "ended 0"

    def poll_until_complete(self, external_id: Any, context: Any) -> None:
        """Pass on what the container prints until it ends. Raises LaunchError, or LaunchInterrupted when someone else stopped it."""
        state, lines = self._follow(str(external_id))
        if state["ExitCode"] == STOPPED_STATUS and self._adopted:  # the attempt before was asked to end; this one goes on
            self._adopted = False
            self.log.info("The container of the attempt before has saved a checkpoint and ended; going on from there.")
            state, lines = self._follow(self.submit_job(context))
        if state["ExitCode"] == STOPPED_STATUS:
            raise LaunchInterrupted(f"The container {self._name} was asked to end. Run the task again: it goes on from its checkpoint.")
        if state["ExitCode"] or not last_file(Path(self.request).parent, self.stage):
            raise LaunchError(ending(self.stage, state, self.settings, lines))

    def get_job_result(self, external_id: Any, context: Any) -> None:
        """Nothing: `execute` reads the result file, on every path."""

    def on_kill(self) -> None:
        """The task was cleared, marked or timed out: the engine asks the container to save a checkpoint and ends it after 25 s.

        The engine keeps counting when this process is killed meanwhile, as Airflow does after 5 s.
        """
        client = DockerHook(docker_conn_id=None, base_url=self.docker_url, timeout=self.timeout).api_client
        if found := find(client, self._name):
            client.stop(found["Id"], timeout=STOP_SECONDS)

    @property
    def _name(self) -> str:
        return container_name(self.settings, self.stage, str(self.request))

    def _follow(self, container: str) -> tuple[dict[str, Any], list[str]]:
        """The final state of a container, and its last lines."""
        last, lines = "", list[str]()
        while True:
            found = self._patiently(partial(find, self.cli, container))
            if not found:
                raise LaunchInterrupted(f"The container {self._name} was removed. Run the task again: it goes on from its checkpoint.")
            for stamp, line in self._patiently(partial(new_lines, self.cli, container, last)):
                last, lines = stamp, [*lines[-19:], line]
                self.log.info(line)
            if not found["State"]["Running"]:
                return found["State"], lines
            time.sleep(POLL_SECONDS)

    def _patiently(self, look: Callable[[], Any]) -> Any:
        """Look, again and again while the Docker API is away."""
        from docker.errors import APIError
        from requests import ConnectionError as Away, Timeout

        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                return look()
            except (Away, Timeout, APIError) as error:
                refused = isinstance(error, APIError) and not error.is_server_error()
                if refused or time.monotonic() > deadline:
                    raise
                time.sleep(POLL_SECONDS)


def remove_leftovers(is_needed: Callable[[dict[str, str]], bool]) -> list[str]:
    """Remove the containers, running or ended, that by their labels no task instance needs any more; returns their names."""
    with _engine_problems():
        client: APIClient = DockerHook(docker_conn_id=None, base_url=docker_url()).api_client
        left = [one for one in client.containers(all=True, filters={"label": STAGE_LABEL}) if not is_needed(one["Labels"])]
        for one in left:
            remove(client, one["Id"])
            log.info("Removed %s: %s of %s", one["Names"][0], one["Labels"][STAGE_LABEL], one["Labels"][RUN_LABEL])
    return [str(one["Names"][0]).lstrip("/") for one in left]


def docker_url() -> str:
    """Where the Docker API is: DOCKER_HOST, as everywhere."""
    return os.environ.get("DOCKER_HOST") or "unix://var/run/docker.sock"


@contextmanager
def _engine_problems() -> Iterator[None]:
    """Turn an engine that does not answer, or refuses, into what to do about it."""
    from docker.errors import APIError, DockerException
    from requests import RequestException

    try:
        yield
    except APIError as error:
        raise LaunchError(f"The Docker API refused: {error.explanation or error}.") from None
    except (DockerException, RequestException, AirflowException) as error:  # the provider's hook raises a bare AirflowException
        raise LaunchInterrupted(f"No Docker engine answers ({error}). Start it, and the service `guard`; then run again.") from None
