"""Commands by hand say where Airflow's database is before they import Airflow, which never looks again."""

import subprocess
import sys

from ghostwriter.home import ROOT

USE_CONNECTIONS = ("collect", "distill", "doctor", "new", "notify", "run")


def test_no_command_that_reads_connections_imports_airflow_before_it_runs() -> None:
    modules = ", ".join(f"ghostwriter.commands.{name}" for name in USE_CONNECTIONS)
    told = f"import sys, {modules}; print([name for name in sys.modules if name.partition('.')[0] == 'airflow'])"
    done = subprocess.run([sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
