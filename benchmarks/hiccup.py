"""An adapter of a 7B model on its way while the network is away: `python -m benchmarks.hiccup --mlflow .venv-mlflow/bin/mlflow`.

1.29 GB of random bytes are sent as a stage sends its adapter: to MLflow with its artifacts on a volume, to MLflow with its artifacts
in an object store, and to an object store that a stage on another machine sends to. Half-way all connections (to MLflow; between
MLflow and the store; to the store) end, and new ones are refused, for half a minute. What is then there is read back and compared.

MLflow's server comes from an environment of requirements/mlflow.txt, as its image does. The object store is moto's S3 server. Both
run on this machine, and so does the training environment this is started in. 5 GB of disk, three minutes.
"""

import argparse
import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient

from ghostwriter.judging.file_transfer import time_for_files
from tests.training.relay import Relay, relay
from tests.training.remote.s3_server import BUCKET, Bucket, s3_server
from tests.training.tracking.mlflow_server import mlflow_server
from training.contract import REQUEST_FILE, RESULT_FILE, Tracking, TrainRequest, load_recipe, write_json
from training.remote.object_store import Store
from training.remote.sending import sending
from training.tracking.run import open_run

NAME = "adapter_model.safetensors"
CHUNK = 2**24
IMAGE = {
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "false",
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "TQDM_DISABLE": "1",
}
"""As docker/training.Dockerfile has it: everything passes through MLflow's server, behind its login."""


def main() -> None:
    """Send it the three ways."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mlflow", type=Path, required=True, help="the program of an environment of requirements/mlflow.txt")
    parser.add_argument("--bytes", type=int, default=1_291_845_632)
    parser.add_argument("--away", type=float, default=30.0, help="seconds")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    for name in ("werkzeug", "urllib3"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="hiccup-") as name:
        folder = Path(name)
        os.environ |= {**IMAGE, "TMPDIR": str(folder)}  # of the server's uploads, too
        adapter = folder / "adapter" / NAME
        adapter.parent.mkdir()
        _write(adapter, options.bytes)
        with s3_server(folder) as bucket:
            os.environ.update(bucket.environment)
            _to_mlflow(options, folder / "volume", adapter)
            _to_mlflow_in_a_store(options, folder / "store", adapter, bucket)
            _to_a_store(options, folder / "home", adapter, bucket)


def _to_mlflow(options: argparse.Namespace, folder: Path, adapter: Path) -> None:
    folder.mkdir()
    with mlflow_server(folder, program=options.mlflow) as uri, relay(uri) as way:
        _timed("MLflow, artifacts on a volume", way, options, lambda: _track(way.url, folder, adapter))
        _compare(adapter, _fetched(uri, folder))


def _to_mlflow_in_a_store(options: argparse.Namespace, folder: Path, adapter: Path, bucket: Bucket) -> None:
    folder.mkdir()
    with relay(bucket.environment["AWS_ENDPOINT_URL"]) as way:
        told = {"AWS_ENDPOINT_URL": way.url, "MLFLOW_S3_ENDPOINT_URL": way.url}
        with mlflow_server(folder, program=options.mlflow, artifacts=f"s3://{BUCKET}/mlflow", told=told) as uri:
            _timed("MLflow, artifacts in an object store", way, options, lambda: _track(uri, folder, adapter))
            _compare(adapter, _fetched(uri, folder))


def _to_a_store(options: argparse.Namespace, home: Path, adapter: Path, bucket: Bucket) -> None:
    run_folder = home / "runs" / "writer" / "one"
    run_folder.mkdir(parents=True)
    recipe = load_recipe("qwen2.5-7b-style")
    request = TrainRequest(run_folder=run_folder, dataset=home / "data", arm="direct", recipe=recipe, models=home / "models")
    write_json(request, run_folder / REQUEST_FILE)

    def send() -> None:
        with sending(request, home, bucket.url):
            (run_folder / "adapter").mkdir()
            os.link(adapter, run_folder / "adapter" / NAME)
            (run_folder / RESULT_FILE).write_text("{}")

    with relay(bucket.environment["AWS_ENDPOINT_URL"]) as way:
        os.environ["AWS_ENDPOINT_URL"] = way.url
        _timed("an object store, from a stage", way, options, send)
    os.environ["AWS_ENDPOINT_URL"] = bucket.environment["AWS_ENDPOINT_URL"]
    assert f"runs/writer/one/{RESULT_FILE}" in bucket.names()
    assert Store(bucket.url).fetch_folder("runs/writer/one/adapter", home / "fetched")
    _compare(adapter, home / "fetched" / NAME)


def _track(uri: str, folder: Path, adapter: Path) -> None:
    """As a training does at its end."""
    with open_run(Tracking(uri=uri, experiment="hiccup", run_name="train", tags={}), folder) as run:
        run.artifact(adapter, "adapter")


def _fetched(uri: str, folder: Path) -> Path:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("hiccup")
    assert experiment
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED", run.info.status
    with time_for_files():  # as a champion is fetched
        return Path(client.download_artifacts(run.info.run_id, f"adapter/{NAME}", str(folder)))


def _timed(name: str, way: Relay, options: argparse.Namespace, send: Callable[[], None]) -> None:
    way.cut_for(options.away, after=options.bytes // 2)
    began = time.monotonic()
    send()
    assert way.was_cut
    print(
        f"{name}: away for {options.away:.0f} s after {options.bytes // 2 / 1e9:.2f} GB, sent in {time.monotonic() - began:.0f} s",
        flush=True,
    )


def _compare(adapter: Path, fetched: Path) -> None:
    assert _digest(adapter) == _digest(fetched)
    print(f"  read back: {fetched.stat().st_size / 1e9:.2f} GB, the same SHA-256", flush=True)
    fetched.unlink()


def _write(path: Path, size: int) -> None:
    with path.open("wb") as file:
        while left := size - file.tell():
            file.write(os.urandom(min(CHUNK, left)))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
