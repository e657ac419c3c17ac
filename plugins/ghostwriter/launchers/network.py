"""What a launcher hands on of the network's settings: a hub's mirror and a proxy, never a login (`training.network`)."""

import logging
import os
from collections.abc import Mapping

from ghostwriter.errors import LaunchError
from ghostwriter.home import Home
from training.network import DEFAULT_FILE, FILE_VARIABLE, PROXIES, SETTINGS, problem_of

log = logging.getLogger(__name__)


def network_settings(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Of `environment`, what reaches the training side. An address with a login stays behind, and the log says so.

    Raises LaunchError for a value that can be no such setting.
    """
    passed = {}
    for name in SETTINGS:
        value = environment.get(name) or (environment.get(name.lower()) if "PROXY" in name else None)
        problem = value and problem_of(name, value)
        if value and not problem:
            passed[name] = value
        elif problem and name in PROXIES and "@" in str(value):  # Airflow's own proxy, perhaps: no reason not to train
            log.warning("The training process is not told this proxy: %s", problem)
        elif problem:
            raise LaunchError(problem)
    return passed


def secrets_file(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For a process on this machine: which file it reads its secrets from, if there is one (`training.env` in the home folder)."""
    named = environment.get(FILE_VARIABLE)
    path = Home.default().path / DEFAULT_FILE.name
    return {FILE_VARIABLE: named} if named else {FILE_VARIABLE: str(path)} if path.exists() else {}
