"""The experiment's dataset, made by the stages that make every dataset, against the demo's recorded teacher: no network, no cost.

Needs the Airflow side's environment. The folder holds what all arms learn from, and the third of the teacher's answers that arm
`distilled-top` learns from, which a machine without scikit-learn could not choose.
"""

import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.recording import Recording
from demo.teacher import RECORDING, REWRITES, TeacherServer

log = logging.getLogger(__name__)

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "demo" / "corpus" / "lamplight.jsonl"
EXPERIMENT = ROOT / "demo" / "experiment"
STEM = "lamplight"
NO_MORE = b'{"error": {"message": "Nothing more was recorded for this question."}}'


class RecordedOnly(TeacherServer):
    """The recorded answers, and nothing live behind them."""

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """There is no model: the request is refused, and the purchase goes on without this answer."""
        return 400, NO_MORE


@contextmanager
def recorded_teacher() -> Iterator[str]:
    """Its address."""
    server = RecordedOnly(("127.0.0.1", 0), Recording(RECORDING, rewrites=REWRITES), live="")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()


def make_dataset(folder: Path) -> Path:
    """Collect, snapshot, distil in `folder`, unless that is done; returns the dataset's folder."""
    writers, home = folder / "writers", folder / "home"
    writers.mkdir(parents=True, exist_ok=True)
    _write_writer(writers)
    environment = {
        **os.environ,
        "GHOSTWRITER_HOME": str(home),
        "GHOSTWRITER_WRITERS": str(writers),
        "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}",
    }

    def ghostwriter(*words: str) -> None:
        subprocess.run([sys.executable, "-m", "ghostwriter", *words], cwd=ROOT, env=environment, check=True)

    if not (home / "answers" / STEM).exists():
        ghostwriter("collect", STEM, "--pace", "0")
    with recorded_teacher() as address:
        ghostwriter("distill", STEM, "--base-url", address)
    (manifest,) = (home / "datasets" / STEM).glob("*/manifest.json")
    return manifest.parent


def _write_writer(writers: Path) -> None:
    """The writer file of demo/experiment with its pairs in one file beside it, and its other files by their whole paths."""
    pairs = writers / "pairs.jsonl"
    with pairs.open("wb") as joined:
        for source in (CORPUS, EXPERIMENT / "lamplight_heldout.jsonl"):
            with source.open("rb") as file:
                shutil.copyfileobj(file, joined)
    text = (EXPERIMENT / f"{STEM}.toml").read_text(encoding="utf-8")
    text = text.replace('"pairs.jsonl"', f'"{pairs}"').replace('"demo/', f'"{ROOT}/demo/')
    (writers / f"{STEM}.toml").write_text(text, encoding="utf-8")
