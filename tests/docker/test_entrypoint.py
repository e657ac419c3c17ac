"""What the Airflow image's entrypoint makes of the two settings that switch telemetry and remote logs on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ghostwriter.embedded.stack import COLLECTOR, TELEMETRY
from ghostwriter.home import ROOT

WATCHED = (*TELEMETRY, "AIRFLOW__LOGGING__REMOTE_LOGGING", "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER")


def variables(**settings: str) -> dict[str, str]:
    """What a command that the entrypoint starts finds in its environment, of what is watched."""
    environment = {name: value for name, value in os.environ.items() if name not in (*WATCHED, COLLECTOR, "GHOSTWRITER_LOGS_URL")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    command = ["sh", str(ROOT / "docker" / "entrypoint.sh"), "env"]
    done = subprocess.run(command, env=environment | settings, capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise ValueError(done.stderr)
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value for name, _, value in pairs if name in WATCHED}


@pytest.mark.parametrize("nothing", [{}, {COLLECTOR: "", "GHOSTWRITER_LOGS_URL": ""}], ids=["unset", "as compose hands it on"])
def test_without_the_settings_nothing_is_switched_on(nothing: dict[str, str]) -> None:
    assert variables(**nothing) == {}


def test_a_collector_switches_on_what_the_embedded_stack_does() -> None:
    assert variables(**{COLLECTOR: "http://127.0.0.1:4318"}) == TELEMETRY


def test_logs_go_where_the_setting_says_if_the_image_can_send_them(tmp_path: Path) -> None:
    (tmp_path / "boto3").mkdir()
    (tmp_path / "boto3" / "__init__.py").touch()  # only looked for
    found = variables(GHOSTWRITER_LOGS_URL="s3://bucket/logs", PYTHONPATH=str(tmp_path))
    assert found == {"AIRFLOW__LOGGING__REMOTE_LOGGING": "True", "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": "s3://bucket/logs"}


def test_an_image_without_what_sends_logs_says_how_to_build_it() -> None:
    """Else every process of Airflow ends with an ImportError about its logging configuration."""
    with pytest.raises(ValueError, match=r"s3://bucket/logs, but this image .* AIRFLOW_EXTRAS=s3-logs"):
        variables(GHOSTWRITER_LOGS_URL="s3://bucket/logs")
