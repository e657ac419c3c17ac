"""What the scheduler imports for all tasks, in a process as fresh as the scheduler's."""

import os
import subprocess
import sys

import pytest

from ghostwriter.home import ROOT

PROGRAM = """
import sys, threading, warnings
warnings.simplefilter("ignore")
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.jobs.triggerer_job_runner import TriggererJobRunner

sys.argv = ["airflow", sys.argv[1]]
{"scheduler": SchedulerJobRunner, "triggerer": TriggererJobRunner}[sys.argv[1]](job=Job())  # as the command does it
print([name in sys.modules for name in ("mlflow", "openai", "aiohttp")], threading.active_count())
"""


@pytest.mark.parametrize(("component", "imported"), [("scheduler", True), ("triggerer", False)])
def test_the_scheduler_and_no_other_component_imports_for_its_tasks(component: str, imported: bool) -> None:
    """And leaves no thread at work, of which a fork could find a lock held."""
    command = [sys.executable, "-c", PROGRAM, component]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ, check=False)
    assert done.stdout.splitlines()[-1:] == [f"{[imported] * 3} 1"], done.stderr
