"""Carry the entries of an outbox to MLflow from a thread of its own, so that training never waits for a server.

The run is found by a key in its tags before it is made, so a kill between making it and writing its id down makes no second one.
"""

import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.contract import Tracking
from training.files import write_file
from training.tracking.mlflow_calls import SEND, UPLOADS
from training.tracking.outbox import Entry, Outbox, Pending

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

STATE_FILE = "tracking.json"
KEY_TAG = "ghostwriter.run_key"
REQUEST_SECONDS, RETRIES = 10, 1
SERVER_ERROR = 500
AGAIN_SECONDS = 15.0
"""Pause before an unreachable server is tried again."""
METRICS_A_CALL = 900  # the server takes at most 1,000
UPLOAD_SECONDS = 1800
"""For the answer to an upload: MLflow sends it when the file is where it keeps its artifacts, which may be another store."""
MOST_UPLOADS = 3
"""Uploads in a row that may fail on a server that answers everything else, before it counts as one that does not answer."""
TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"


class Sender:
    """Sends what is pending until it is closed; `run_ids` has the parent under "" and the children by name."""

    def __init__(self, tracking: Tracking, run_folder: Path, outbox: Outbox, *, reopen: bool = True) -> None:
        self._tracking, self._outbox, self._reopen = tracking, outbox, reopen
        self._state_path = run_folder / STATE_FILE
        self._state: dict[str, Any] = self._read_state()
        self._client: MlflowClient | None = None
        self._attached, self._wake, self._closing, self._given_up = (threading.Event() for _ in range(4))
        self.failing = ""
        """Why the last attempt failed, empty while all is well."""
        self._failing_since, self._failed_uploads = 0.0, 0
        self._thread = threading.Thread(target=self._work, name="mlflow-sender", daemon=True)

    @property
    def run_ids(self) -> dict[str, str]:
        return dict(self._state["runs"])

    def start(self, seconds: float) -> bool:
        """Start sending, and wait at most `seconds` for the run to be open; whether it is."""
        self._thread.start()
        self._attached.wait(seconds)
        return self._attached.is_set() and not self.failing

    def wake(self) -> None:
        """Say that there is something new to send."""
        self._wake.set()

    def close(self, patience: float) -> bool:
        """Send the rest and stop; whether all was sent. A server that answers nothing is waited for at most `patience` seconds;
        one that takes an upload, for as long as that needs."""
        closed = time.monotonic()
        self._closing.set()
        self._wake.set()
        while self._thread.is_alive():
            self._thread.join(0.1)
            if self.failing and time.monotonic() - max(closed, self._failing_since) > patience:
                self._given_up.set()
                return False
        return not self.failing

    def _work(self) -> None:
        while True:
            self._wake.clear()
            closing = self._closing.is_set()  # read before draining: what was added before closing is sent
            done = self._attempt()
            if self._given_up.is_set() or (done and closing):
                return
            self._wake.wait(1.0 if closing or done else AGAIN_SECONDS)

    def _attempt(self) -> bool:
        """Send all that is pending; False when the server could not be reached."""
        from mlflow.exceptions import MlflowException
        from requests import RequestException

        try:
            self._attach()
            self._ask_again()
            while (pending := self._outbox.pending()) and not self._given_up.is_set():
                self._send(pending)
        except (MlflowException, RequestException, OSError) as error:
            self._say_failing(str(error).splitlines()[0][:300])
            return False
        else:
            self.failing = ""
            return True
        finally:
            self._attached.set()

    def _say_failing(self, reason: str) -> None:
        if not self.failing:
            log.warning(
                "MLflow at %s does not take what is sent (%s). The work goes on; everything is kept in the run folder and sent later.",
                self._tracking.uri,
                reason,
            )
            self._failing_since = time.monotonic()
        self.failing = reason

    def _ask_again(self) -> None:
        """After a failure: a server that answers is well again, so that a long upload is not taken for silence."""
        if self.failing and self._failed_uploads < MOST_UPLOADS:
            assert self._client is not None
            self._client.get_run(self.run_ids[""])
            self.failing = ""

    def _attach(self) -> None:
        if self._client is None:
            self._client = make_client(self._tracking.uri)
        if not self._attached.is_set() or not self.run_ids.get(""):
            run_id = self._tracking.run_id or self._run_ids_or_new(
                "", self._tracking.run_name, self._tracking.parent_run_id, self._tracking.tags
            )
            self._stop_if_given_up()
            self._remember("", run_id)
            if self._reopen:
                self._client.update_run(run_id, status="RUNNING")

    def _stop_if_given_up(self) -> None:
        """A server that answers late finds nobody waiting: another process may have opened, or ended, the run since."""
        if self._given_up.is_set():
            raise ConnectionError("the server answered after it was given up")

    def _run_ids_or_new(self, child: str, name: str, parent: str | None, tags: dict[str, str]) -> str:
        """The id of a run that this run folder made before, or of a new one."""
        assert self._client is not None
        if known := self.run_ids.get(child):
            return known
        experiment = self._experiment_id()
        key = f"{self._state['key']}/{child}"
        found = self._client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'", max_results=1)
        if found:
            return str(found[0].info.run_id)
        self._stop_if_given_up()
        parent_tag = {"mlflow.parentRunId": parent} if parent else {}
        return str(self._client.create_run(experiment, tags={**tags, **parent_tag, KEY_TAG: key}, run_name=name).info.run_id)

    def _experiment_id(self) -> str:
        from mlflow.exceptions import MlflowException

        assert self._client is not None
        name = self._tracking.experiment
        if found := self._client.get_experiment_by_name(name):
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name))
        except MlflowException:  # another process made it in between
            if found := self._client.get_experiment_by_name(name):
                return str(found.experiment_id)
            raise

    def _send(self, pending: list[Pending]) -> None:
        """Send entries in order; metrics that follow one another go in one call."""
        while pending and not self._given_up.is_set():
            group = [pending[0]]
            while _is_metrics(group[0].entry) and len(group) < len(pending) and _joins(group, pending[len(group)].entry):
                group.append(pending[len(group)])
            self._send_group([item.entry for item in group])
            self._outbox.mark_sent(group[-1].end)
            pending = pending[len(group) :]

    def _send_group(self, entries: list[Entry]) -> None:
        from mlflow.exceptions import RestException

        assert self._client is not None
        child = entries[0]["run"]
        run_id = self._run_ids_or_new(child, child, self.run_ids[""], {"ghostwriter.kind": "arm"}) if child else self.run_ids[""]
        self._remember(child, run_id)
        kind = entries[0]["kind"]
        try:
            with _time_to_upload() if kind in UPLOADS else nullcontext():
                self._failed_uploads += kind in UPLOADS
                SEND[kind](self._client, run_id, entries)
            self.failing, self._failed_uploads = "", 0
        except FileNotFoundError as error:
            log.warning("%s was to be sent to MLflow and is not there any more; it is left out.", error.filename)
        except RestException as error:
            if error.get_http_status_code() >= SERVER_ERROR:  # type: ignore[no-untyped-call]
                raise
            log.warning("MLflow refused %s: %s It is left out.", kind, error.message)

    def _remember(self, child: str, run_id: str) -> None:
        if self.run_ids.get(child) == run_id:
            return
        self._state["runs"][child] = run_id
        self._write_state()

    def _read_state(self) -> dict[str, Any]:
        if self._state_path.exists():
            return dict(json.loads(self._state_path.read_bytes()))
        self._state = {"key": uuid.uuid4().hex, "runs": {}, "tracking": self._tracking.model_dump()}
        self._write_state()
        return self._state

    def _write_state(self) -> None:
        write_file(self._state_path, json.dumps(self._state, indent=2) + "\n")


@contextmanager
def _time_to_upload() -> Iterator[None]:
    """MLflow's client reads its timeout anew for each request; nothing but the sender's thread makes any."""
    before = os.environ[TIMEOUT]
    os.environ[TIMEOUT] = str(max(UPLOAD_SECONDS, int(before)))
    try:
        yield
    finally:
        os.environ[TIMEOUT] = before


def make_client(uri: str) -> "MlflowClient":
    """A client whose calls fail after seconds, not minutes; MLFLOW_HTTP_REQUEST_TIMEOUT and _MAX_RETRIES win over this."""
    os.environ.setdefault(TIMEOUT, str(REQUEST_SECONDS))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(RETRIES))
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    from mlflow import MlflowClient

    return MlflowClient(uri)


def _is_metrics(entry: Entry) -> bool:
    return bool(entry["kind"] == "metrics")


def _joins(group: list[Pending], entry: Entry) -> bool:
    values = sum(len(item.entry["values"]) for item in group) + len(entry.get("values", ()))
    return _is_metrics(entry) and bool(entry["run"] == group[0].entry["run"]) and values <= METRICS_A_CALL
