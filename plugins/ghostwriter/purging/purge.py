"""Takes an answer, or a whole writer, out of everything here, and says what remains where.

What is removed last is what says where the rest is: MLflow, run folders, datasets, snapshots, ledger, archive. The order, and
the names written into the purge's row before anything is removed, let a run after a kill go on. What models answered in earlier
evaluations is kept under digests of prompts, which do not say whose they are: it goes as a whole, and the next evaluation asks anew.
"""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ghostwriter.collecting.collect import collection_lock
from ghostwriter.collecting.other_answers import OtherAnswers
from ghostwriter.collecting.purged import PurgeRow, open_purge
from ghostwriter.database import open_database
from ghostwriter.distilling.trained_on import keep_trained_on
from ghostwriter.errors import GhostwriterError
from ghostwriter.files import remove, remove_leftovers
from ghostwriter.home import Home
from ghostwriter.judging.promote import model_name, registry_lock
from ghostwriter.lock import only_one
from ghostwriter.purging.folders import Found, check_idle, find_answer, run_folders
from ghostwriter.purging.mlflow_text import remove_experiment, remove_texts, remove_traces, trained_versions
from ghostwriter.purging.rows import ledgers, question_of, remove_answer, remove_writer, votes_on
from ghostwriter.snapshot import current_name, forget_current
from ghostwriter.teacher.batch_ledger import BatchLedger

if TYPE_CHECKING:
    from mlflow import MlflowClient


class NothingToPurge(GhostwriterError):
    """No answer of that id is known."""

    code = "nothing_to_purge"


@dataclass(frozen=True)
class Purged:
    """What was removed, by kind, and in words what remains where."""

    counts: dict[str, int]
    remains: tuple[str, ...]


def purge(stem: str, home: Home, client: "MlflowClient | None", answer: str | None, who: str) -> Purged:
    """Remove an answer (None: everything of the writer). Without a client MLflow is left alone, which is said.

    May be interrupted and called again. Raises NothingToPurge, AlreadyRunning, StillAtWork or, with an open batch, GhostwriterError before
    anything is removed.
    """
    engine = open_database(home.database_url)
    try:
        with _alone(stem, home, engine), Session(engine, expire_on_commit=False) as session:
            _check_no_batch(engine, stem)
            row = _opened(session, home, stem, answer, who)
            found = Found.model_validate_json(row.found)
            if answer is None:
                counts, remains = _purge_writer(stem, home, client, engine)
            else:
                counts, remains = _purge_answer(stem, home, client, engine, answer, found)
            row.found = json.dumps(counts)
            row.finished = datetime.now(UTC)
            session.commit()
            return Purged(counts, remains)
    finally:
        engine.dispose()


@contextmanager
def _alone(stem: str, home: Home, engine: Engine) -> Iterator[None]:
    """Nothing collects, distils, judges or promotes for the writer meanwhile."""
    with ExitStack() as held:
        held.enter_context(collection_lock(home, stem))
        held.enter_context(only_one(engine, stem))
        held.enter_context(only_one(engine, ledgers(stem)[2], "judging"))
        held.enter_context(registry_lock(home, stem))
        yield


def _opened(session: Session, home: Home, stem: str, answer: str | None, who: str) -> PurgeRow:
    """The purge's row, committed, with the names of all that holds the answer."""
    row = open_purge(session, stem, answer, who)
    found = Found.model_validate_json(row.found)
    if answer is not None:
        engine = session.get_bind()
        assert isinstance(engine, Engine)
        question_id = found.question_id or question_of(engine, stem, answer)
        found = found.joined(find_answer(home, stem, answer, question_id))
        if found == Found():
            raise NothingToPurge(
                f"{stem} has no answer {answer!r}, in the archive or in any snapshot. "
                f"`python -m ghostwriter export answers {stem}` lists the ids."
            )
    for run_folder in run_folders(home, stem, found.datasets) if answer else home.runs(stem).glob("*"):
        check_idle(run_folder)
    row.found = found.model_dump_json()
    session.commit()
    return row


def _purge_answer(
    stem: str, home: Home, client: "MlflowClient | None", engine: Engine, answer: str, found: Found
) -> tuple[dict[str, int], tuple[str, ...]]:
    texts, versions = 0, []
    if client:
        clean = {folder.name for folder in home.datasets(stem).glob("*") if folder.is_dir()} - set(found.datasets)
        texts, versions = remove_texts(client, stem, clean), trained_versions(client, stem, clean)
        texts += remove_traces(client, stem, answer, found.question_id, votes_on(engine, stem, answer))
    runs = run_folders(home, stem, found.datasets)
    datasets = [home.datasets(stem) / name for name in found.datasets]
    snapshots = [home.answers(stem) / name for name in found.snapshots]
    keep_trained_on(home.datasets(stem), found.question_id)
    for parent, names in ((home.datasets(stem), found.datasets), (home.answers(stem), found.snapshots)):
        if current_name(parent) in names:
            forget_current(parent)
    with_questions = home.exports(stem), home.panels(stem)  # an export's proof has held-out questions, a panel answers
    for folder in (*runs, *datasets, *snapshots, home.kept_answers, *with_questions):
        remove(folder)
    _remove_leftovers(home, stem)
    others = OtherAnswers(home.contrast(stem)).forget(found.question_id) if found.question_id else 0
    rows = remove_answer(engine, stem, answer, found.question_id)
    counts = {
        "mlflow_artifacts": texts,
        "run_folders": len(runs),
        "datasets": len(datasets),
        "snapshots": len(snapshots),
        "other_answers": others,
        **rows,
    }
    return counts, (*_adapters(stem, versions), *_elsewhere(client))


def _purge_writer(stem: str, home: Home, client: "MlflowClient | None", engine: Engine) -> tuple[dict[str, int], tuple[str, ...]]:
    runs = remove_experiment(client, stem) if client else 0
    for folder in (
        *(home.runs(stem), home.datasets(stem), home.answers(stem), home.exports(stem), home.panels(stem)),
        *(home.contrast(stem), home.kept_answers, home.champions(stem)),
    ):
        remove(folder)
        remove_leftovers(folder.parent)
    _remove_leftovers(home, stem)
    counts = {"mlflow_runs": runs, **remove_writer(engine, stem)}
    file = f"The writer file {stem}.toml: while it is there, the next night collects everything again."
    trash = "MLflow's trash: the names and figures of the runs, until `mlflow gc` is run there."
    return counts, (file, *([trash] if client else []), *_elsewhere(client))


def _remove_leftovers(home: Home, stem: str) -> None:
    """What a kill left of a folder, and what the site answered when something went wrong."""
    for parent in (home.runs(stem), home.datasets(stem), home.answers(stem), home.models):
        remove_leftovers(parent)
    for path in (home.path / "errors").glob(f"{stem}-*.txt"):
        path.unlink()


def _check_no_batch(engine: Engine, stem: str) -> None:
    """What a batch brings later would be kept again."""
    if BatchLedger(engine, stem).open():
        raise GhostwriterError(
            f"A batch of {stem} is with the teacher. Wait until it is applied, or give it up: "
            f"`python -m ghostwriter distill {stem} --forget-batch`. Then run this again."
        )


def _adapters(stem: str, versions: list[str]) -> list[str]:
    if not versions:
        return []
    return [
        f"Adapters trained with it (or on a dataset that is gone by now), which cannot forget it: version {', '.join(versions)} of "
        f"{model_name(stem)}. The next night trains one without it; delete the old ones in MLflow, and those folders of "
        "var/models/champions, once it is the champion."
    ]


def _elsewhere(client: "MlflowClient | None") -> list[str]:
    """Places this installation does not reach."""
    places = [
        "The source, a site or a file: nothing was removed there.",
        "The teacher's vendor, who was sent it in prompts; backups; what an object store was sent (--data-url); the logs of Airflow.",
    ]
    vacuum = "MLflow's database: what its removed traces held stands in free pages of the file until it is vacuumed."
    return [vacuum, *places] if client else ["MLflow: samples and reports of runs. Run this again with MLFLOW_TRACKING_URI set.", *places]
