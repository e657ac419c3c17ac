"""Shows new votes in MLflow, in a process of its own: MLflow's client takes seconds to import, and 150 MB, which the API server keeps."""

import logging
import os
import subprocess
import sys

log = logging.getLogger(__name__)

LONGEST_SECONDS = 600


def show_votes(stem: str) -> None:
    """Write the votes that MLflow lacks; what fails is tried again after the next vote, and each night."""
    if not os.environ.get("MLFLOW_TRACKING_URI"):
        return
    command = [sys.executable, "-m", "ghostwriter", "votes", stem, "--trace"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        log.warning("Votes of %s were not shown in MLflow within %d s; they are tried again.", stem, LONGEST_SECONDS)
        return
    if done.returncode:
        log.warning("Votes of %s are not in MLflow yet: %s", stem, (done.stderr.strip().splitlines() or ["?"])[-1])
