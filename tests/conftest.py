"""Airflow reads its settings when it is first imported, so they are set here, before any test module is."""

import os
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
