"""The MLflow server that everything here speaks to."""

import os
from typing import TYPE_CHECKING

from ghostwriter.errors import ConnectionMissing

if TYPE_CHECKING:
    from mlflow import MlflowClient


def tracking_uri() -> str:
    """Address of the MLflow server. Raises ConnectionMissing when MLFLOW_TRACKING_URI is not set."""
    try:
        return os.environ["MLFLOW_TRACKING_URI"]
    except KeyError:
        raise ConnectionMissing(
            "MLflow does not run here, and MLFLOW_TRACKING_URI names no other. Start it with `make start`, or name your server there, like "
            "http://127.0.0.1:5000. In containers: docker compose exec scheduler python -m ghostwriter ..."
        ) from None


def mlflow_client() -> "MlflowClient":
    """A client of the MLflow server."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri())
