"""What processes of the tests start with: signals as a person's own command has them, and Airflow's settings, read when it is imported."""

import os
import signal
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_HOME = tempfile.mkdtemp(prefix="ghostwriter-tests-")

os.environ.update(
    AIRFLOW_HOME=f"{_HOME}/airflow",
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    GHOSTWRITER_HOME=f"{_HOME}/var",
    GHOSTWRITER_WRITERS=str(ROOT / "writers"),
    GIT_PYTHON_REFRESH="quiet",
)
os.environ.pop("GHOSTWRITER_DATABASE_URL", None)
os.environ.pop("MLFLOW_TRACKING_URI", None)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it, and what it starts would, too
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the same of nohup's
