"""Real trainings in pods that are real containers, by the real operator and trigger through the API double: `make test-docker`."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from tests.kubernetes.attempts import begin, context, fire, restored, resume, run
from tests.kubernetes.conftest import LONG, ROOT, Bench, steps_done, until
from tests.kubernetes.containers import LABEL, docker


def test_a_training_succeeds_though_the_api_is_away_for_a_moment(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    request, given = bench.request("run", epochs=100, checkpoint_steps=50), context()
    make = bench.maker(request)
    deferred = begin(make, given)

    def look_and_cut() -> None:
        until(lambda: steps_done(request) >= 5, "five steps")
        seen.append(bench.inspect())
        docker("pause", str(seen[0]["Id"]))  # so that it does not end before the triggerer has passed on what it printed
        read = bench.logs_read
        until(lambda: bench.logs_read >= read + 2, "reading the log twice")  # a line of the current second is passed on the next time
        bench.server.away = True
        docker("unpause", str(seen[0]["Id"]))
        time.sleep(4)
        bench.server.away = False

    seen: list[dict[str, object]] = []
    cutting = threading.Thread(target=look_and_cut)
    cutting.start()
    event = fire(deferred)
    cutting.join()
    returned = resume(make, given, deferred, event)
    assert returned == {"run_folder": str(request.run_folder), "request": str(request.run_folder / "request.json"), "run_id": ""}
    result = json.loads((request.run_folder / "result.json").read_text())
    assert result["steps"] == 300
    assert (request.run_folder / "result.json").stat().st_uid == 10001
    said = capsys.readouterr().out
    assert "[training] train: 3/300" in said  # passed on by the triggerer while it ran
    assert "train: 300/300" in said
    assert bench.cluster.pods == {}
    assert docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}") == ""
    host = seen[0]["HostConfig"]
    assert isinstance(host, dict)
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["SecurityOpt"]) == (True, ["ALL"], ["no-new-privileges"])
    assert (host["Memory"], host["ShmSize"]) == (2**31, 2**30)
    assert "seeded-9c1d" not in json.dumps([seen, bench.cluster.made]) + said


def test_an_error_of_the_training_is_the_tasks_and_its_pod_is_removed(bench: Bench) -> None:
    request = bench.request("run")
    (bench.home / "dataset" / "direct.jsonl").write_text('{"messages": []}\n')
    last_lines = r"training train ended with status 1 and no result\. Its last lines:\n(?s:.*)direct\.jsonl"
    with pytest.raises(AirflowFailException, match=last_lines):
        run(bench.maker(request), context())
    assert bench.cluster.pods == {}


def test_too_little_memory_is_told_from_other_ends(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHOSTWRITER_TRAINING_MEMORY", "64Mi")
    with pytest.raises(AirflowFailException, match="used more than the 64Mi of memory it may use, and was killed"):
        run(bench.maker(bench.request("run")), context())


ATTEMPT = """
from tests.kubernetes.attempts import begin, context
from ghostwriter.launchers.stages import stage_operator
begin(lambda: stage_operator("train")(task_id="train", stage="train", request={request!r}), context())
"""


def test_killed_cleared_and_run_again_it_is_one_training_that_goes_on(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    request = bench.request("run", epochs=LONG, checkpoint_steps=2)
    make = bench.maker(request)
    bench.server.unanswered = answer = threading.Event()
    program = ATTEMPT.format(request=str(request.run_folder / "request.json"))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"}
    with subprocess.Popen([sys.executable, "-c", program], env=environment, cwd=ROOT, stdout=subprocess.DEVNULL) as task:
        until(lambda: bench.cluster.pods, "a pod")
        task.send_signal(signal.SIGKILL)  # before it learns of the pod it has asked for
    answer.set()
    deferred = begin(make, context(attempt=2))
    assert len(bench.cluster.made) == 1
    until(lambda: steps_done(request) >= 6, "six steps")
    asyncio.run(restored(deferred).on_kill())  # the task is cleared
    third = begin(make, context(attempt=3))  # waits until the pod has saved its checkpoint and is gone
    assert [pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] for pod in bench.cluster.made[:1]] == [143]
    assert len(bench.cluster.made) == 2
    until(lambda: "Going on after step" in log_of(bench), "going on")
    bench.cluster.delete(bench.pod["metadata"]["name"], None)  # someone else ends it
    with pytest.raises(AirflowException, match="Run the task again: it goes on from its checkpoint") as stopped:
        resume(make, context(attempt=3), third, fire(third))
    assert type(stopped.value) is AirflowException  # which is tried again


def log_of(bench: Bench) -> str:
    """What the pod has printed."""
    return b"".join(bench.cluster.node.log(bench.pod, {})).decode()
