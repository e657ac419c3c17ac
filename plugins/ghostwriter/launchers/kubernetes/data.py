"""Data by URL, for a pod that shares no folder with Airflow: inputs are sent before it is made, results fetched after it has ended."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ghostwriter.errors import LaunchInterrupted
from ghostwriter.launchers.kubernetes.settings import PodSettings
from training.contract import Stage


def send_inputs(settings: PodSettings, stage: Stage, request: Path) -> None:
    """What the request names, to the URL; nothing with a claim. Raises LaunchInterrupted."""
    if settings.data_url:
        from training.remote.remote_data import upload_inputs

        with _in_words():
            upload_inputs(stage, request, Path(settings.home), settings.data_url)


def fetch_results(settings: PodSettings, stage: Stage, request: Path) -> None:
    """The run folder, from the URL; nothing with a claim. Raises LaunchInterrupted."""
    if settings.data_url:
        from training.remote.remote_data import download_results

        with _in_words():
            download_results(stage, request, Path(settings.home), settings.data_url)


@contextmanager
def _in_words() -> Iterator[None]:
    from training.remote.remote_data import RemoteDataError

    try:
        yield
    except RemoteDataError as error:
        raise LaunchInterrupted(str(error)) from None
