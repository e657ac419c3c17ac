"""What the scheduler imports for all tasks, in a process as fresh as the scheduler's."""

import os
import subprocess
import sys

from ghostwriter.home import ROOT

PROGRAM = """
import sys, warnings
warnings.simplefilter("ignore")
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.jobs.triggerer_job_runner import TriggererJobRunner
from airflow.listeners.listener import get_listener_manager

for runner in (TriggererJobRunner, SchedulerJobRunner):
    get_listener_manager().hook.on_starting(component=Job(job_type=runner.job_type))
    print(runner.__name__, "mlflow" in sys.modules)
"""


def test_the_scheduler_and_no_other_component_imports_mlflow_for_its_tasks() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, env=os.environ, check=False)
    assert done.stdout.splitlines()[-2:] == ["TriggererJobRunner False", "SchedulerJobRunner True"], done.stderr
