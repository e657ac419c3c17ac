"""An export is used only while it is whole, and removed when nobody wants it any more."""

import hashlib
import os
import time
from pathlib import Path

import pytest

from ghostwriter.errors import GhostwriterError
from ghostwriter.home import Home
from ghostwriter.serving.exports import Exports
from ghostwriter.serving.level import BASE, Facts
from ghostwriter.writer import Writer, load_writer
from training.contract import ExportProof, ExportRequest, ExportResult, read_json, write_json

FACTS = Facts("lamplight", "7", "a" * 64, "tiny", None, 0)
PROOF = ExportProof(questions=1, agree=1, like_base=0, furthest=0, near_tie=0.001, tokens=2, answers=("a",), ids=((1, 2),))


@pytest.fixture
def writer() -> Writer:
    return load_writer("lamplight")


@pytest.fixture
def exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exports:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    return Exports(Home(tmp_path), "gguf")


def finished(exports: Exports, writer: Writer) -> Path:
    """An export as the stage leaves it; returns its model."""
    folder = exports.request(writer, FACTS, None, ("Why?",)).parent
    model = folder / "version" / "model.gguf"
    model.parent.mkdir()
    model.write_bytes(b"weights")
    files = {"model.gguf": hashlib.sha256(b"weights").hexdigest()}
    write_json(ExportResult(folder=model.parent, files=files, proof=PROOF, seconds=1), folder / "result.json")
    return model


def test_a_whole_export_is_found_again_whatever_its_version_is_called(exports: Exports, writer: Writer) -> None:
    model = finished(exports, writer)
    candidate = Facts("lamplight", "candidate", "a" * 64, "tiny", None, 0, run_id="r")
    assert exports.make(writer, candidate).folder == model.parent
    assert exports.asked_of(candidate).questions == ("Why?",)


def test_one_that_was_changed_is_made_anew_and_a_silent_mlflow_can_pass(exports: Exports, writer: Writer) -> None:
    finished(exports, writer).write_bytes(b"other weights")
    with pytest.raises(GhostwriterError, match=r"MLflow|127\.0\.0\.1") as failed:
        exports.make(writer, FACTS, ("Why?",))
    assert failed.value.retryable


def test_a_base_is_asked_for_without_an_adapter(exports: Exports, writer: Writer) -> None:
    base = FACTS.under()
    assert (base.number, base.name, base.key) == (BASE, "lamplight@base", "lamplight-base-tiny")
    assert read_json(ExportRequest, exports.request(writer, base, None, ("Why?",))).adapter is None


def test_what_nobody_wants_goes_after_an_hour(exports: Exports, writer: Writer) -> None:
    folder = finished(exports, writer).parents[1]
    exports.prune("lamplight", set())
    assert folder.exists()  # a candidate that was tried may be the next champion
    long_ago = time.time() - 4000
    os.utime(folder, (long_ago, long_ago))
    exports.prune("lamplight", {FACTS.key})
    assert folder.exists()
    exports.prune("lamplight", set())
    assert not folder.exists()
