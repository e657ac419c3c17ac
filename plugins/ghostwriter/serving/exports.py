"""From a version in MLflow to a proved export on this machine: fetched, its digest checked, written for an engine by the training side.

An export is kept under the digest of its weights and found again by any later version with the same ones, so a candidate that was
tried before its promotion is loaded at once after it.
"""

import hashlib
import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow.exceptions import MlflowException

from ghostwriter.errors import GhostwriterError, HomeError, PromotionError, TrackingError
from ghostwriter.home import Home
from ghostwriter.judging.file_transfer import time_for_files
from ghostwriter.judging.promote import adapter_digest, download_version, model_name
from ghostwriter.launchers.local import LocalStage
from ghostwriter.mlflow_runs.registry import Registry
from ghostwriter.mlflow_runs.server import mlflow_client, tracking_uri
from ghostwriter.page.champions import SAMPLES, find_evaluation
from ghostwriter.serving.level import BASE, CANDIDATE, Facts
from ghostwriter.writer import Writer
from training.contract import (
    REQUEST_FILE,
    RESULT_FILE,
    ExportCard,
    ExportForm,
    ExportRequest,
    ExportResult,
    read_json,
    write_json,
)

log = logging.getLogger(__name__)

PREFIX = "served-"
QUESTIONS, TOKENS = 5, 26
"""How many kept questions an export is proved on, and how many tokens of each answer. Of an adapter whose rows of q and k were not
reordered, one token in ten was another (training/LOG.md): 130 tokens find it. Few questions, since they have to be read, too, and
somebody waits."""
MLFLOW_SECONDS = 20.0
SPARE_BYTES = 2 * 2**30
KEPT_SECONDS = 3600.0
"""A candidate that was tried may be the next champion."""
GENERAL = {
    "en": ("What is a lighthouse for?", "Why do you write?", "Is it good to be alone?", "What should I read next?", "How do you begin?"),
    "zh": ("灯塔是做什么用的?", "你为什么写作?", "一个人待着好吗?", "接下来该读什么?", "你怎么开头?"),
}
"""For a version that MLflow keeps no examination of."""


class Exports:
    """Exports of one home folder, one at a time. Its calls block, for seconds to minutes."""

    def __init__(self, home: Home, form: ExportForm) -> None:
        self._home, self._form = home, form
        self._stage: LocalStage | None = None

    def make(self, writer: Writer, facts: Facts, questions: tuple[str, ...] = ()) -> ExportResult:
        """The finished export of a version, proved on `questions`, or on those it was examined on.

        Raises GhostwriterError in words for a person: MLflow's, the disk's, or why the adapter is none that can be served.
        """
        folder = self._folder(facts.writer, facts.key)
        if found := _finished(folder, facts):
            return found
        try:
            self._home.check_space(SPARE_BYTES)
            began, asked = time.monotonic(), questions or self._questions(writer, facts)
            with self._source(facts) as adapter:
                log.info("%s is fetched in %.1f s.", facts.name, time.monotonic() - began)
                return self._export(self.request(writer, facts, adapter, asked))
        except MlflowException as error:
            raise TrackingError(f"MLflow does not give {facts.name}: {str(error).splitlines()[0]}") from error
        except OSError as error:
            raise HomeError(f"{facts.name} cannot be kept in {folder}: {error}.") from error

    def asked_of(self, facts: Facts) -> ExportRequest:
        """What an export was made for: the questions it was proved on, and how far."""
        return read_json(ExportRequest, self._folder(facts.writer, facts.key) / REQUEST_FILE)

    def prune(self, writer: str, wanted: set[str]) -> None:
        """Remove exports under other keys: half a gigabyte and more each, made again at any time. Those of the last hour stay."""
        kept = {self._folder(writer, key) for key in wanted}
        for folder in self._home.exports(writer).glob(f"{PREFIX}*"):
            with suppress(FileNotFoundError):  # `purge` removes them too
                if folder not in kept and time.time() - folder.stat().st_mtime > KEPT_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)

    def stop(self) -> None:
        """End the export at work, if there is one."""
        if stage := self._stage:
            stage.stop()

    def _folder(self, writer: str, key: str) -> Path:
        return self._home.exports(writer) / f"{PREFIX}{self._form}-{key.removeprefix(f'{writer}-')}"

    @contextmanager
    def _source(self, facts: Facts) -> Iterator[Path | None]:
        """The folder with the adapter; a candidate's is there for the block alone."""
        if facts.number == BASE:
            yield None
        elif facts.number == CANDIDATE:
            folder = self._home.models / "champions" / facts.writer
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix="candidate-", dir=folder) as scratch:
                yield _fetch_candidate(facts, scratch)
        else:
            yield self._download(facts)

    def _download(self, facts: Facts) -> Path:
        client = mlflow_client()
        version = client.get_model_version(model_name(facts.writer), facts.number)
        found = download_version(client, self._home, facts.writer, version)
        if adapter_digest(found.adapter) != facts.digest:
            raise PromotionError(f"Version {facts.number} of {facts.writer} is another one by now. It is looked at again.")
        return found.adapter

    def _questions(self, writer: Writer, facts: Facts) -> tuple[str, ...]:
        """Those it was examined on; none of its writer's own text leaves MLflow for longer than the proof takes."""
        registry = Registry(tracking_uri(), MLFLOW_SECONDS)
        evaluation = find_evaluation(registry, facts) if facts.run_id else None
        rows = registry.table(evaluation.run_id, SAMPLES) if evaluation else []
        return tuple(str(row["question"]) for row in rows[:QUESTIONS]) or GENERAL[writer.language]

    def request(self, writer: Writer, facts: Facts, adapter: Path | None, questions: tuple[str, ...]) -> Path:
        """Write the request for an export that is not there; returns its path."""
        folder = self._folder(facts.writer, facts.key)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        request = ExportRequest(
            run_folder=folder,
            name="version",
            form=self._form,
            adapter=adapter,
            base=facts.base,
            revision=facts.revision,
            questions=questions[:QUESTIONS],
            max_new_tokens=TOKENS,
            card=card_of(writer, facts.number),
            models=self._home.models,
        )
        write_json(request, folder / REQUEST_FILE)
        return folder / REQUEST_FILE

    def _export(self, request: Path) -> ExportResult:
        self._stage = LocalStage("export", request)
        try:
            return read_json(ExportResult, self._stage.run(log.info))
        finally:
            self._stage = None


def card_of(writer: Writer, version: str, why: str = "", figures: Mapping[str, list[str]] | None = None) -> ExportCard:
    """What an export's card says beside its proof: whose voice it is, with whose consent, and how it was examined."""
    return ExportCard(
        writer=writer.name,
        language=writer.language,
        consent=writer.source.consent,
        model=model_name(writer.stem),
        version=version,
        why=why,
        figures=dict(figures or {}),
        answering=writer.answering,
    )


def _fetch_candidate(facts: Facts, scratch: str) -> Path:
    """Download what a run has logged as its adapter. Raises PromotionError when it is another one than was judged."""
    from mlflow.artifacts import download_artifacts

    client = mlflow_client()
    source = f"{client.get_run(facts.run_id).info.artifact_uri}/adapter"
    with time_for_files():
        folder = Path(download_artifacts(artifact_uri=source, dst_path=scratch, tracking_uri=client.tracking_uri))
    if adapter_digest(folder) != facts.digest:
        raise PromotionError(f"The adapter in MLflow's run {facts.run_id} is not the one that was judged. Judge it again.")
    return folder


def _finished(folder: Path, facts: Facts) -> ExportResult | None:
    """A whole export; None when there is none, or one that was changed since."""
    if not (folder / RESULT_FILE).exists():
        return None
    try:
        found = read_json(ExportResult, folder / RESULT_FILE)
        is_whole = bool(found.proof.ids) and all(_digest(found.folder / name) == digest for name, digest in found.files.items())
    except (GhostwriterError, OSError, ValueError) as error:
        log.warning("The export of %s in %s cannot be used and is made again: %s", facts.name, folder, error)
        return None
    if not is_whole:
        log.warning("The export of %s in %s was changed and is made again.", facts.name, folder)
    return found if is_whole else None


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
