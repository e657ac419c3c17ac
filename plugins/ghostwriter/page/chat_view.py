"""What the chat page says of a writer: the versions there are, questions to begin with, the votes so far, and what does not answer."""

import random
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from ghostwriter.addresses import serving_url
from ghostwriter.errors import SnapshotError
from ghostwriter.home import Home
from ghostwriter.mlflow_runs.registry import MlflowSilent
from ghostwriter.page.champions import Champion, read_versions
from ghostwriter.page.gateway import NotRunning, check_running
from ghostwriter.page.overview import open_registry
from ghostwriter.page.state import shared_engine
from ghostwriter.snapshot import newest, read_rows
from ghostwriter.votes.win_rate import WinRate, win_rate
from ghostwriter.writer import Writer
from training.contract import HELDOUT_FILE

STARTERS = 4
LONGEST_STARTER = 200
"""Characters of a question that is offered."""
MOST_VERSIONS = 30


@dataclass(frozen=True)
class ChatView:
    """Everything the template fills in."""

    versions: tuple[tuple[str, int | None], ...]
    """The gateway's names, each with the version it means now, where that is known."""
    starters: tuple[str, ...]
    won: WinRate | None
    """The champion against the previous one; None while there are not two."""
    gateway: str
    is_down: bool
    """Whether the gateway does not answer."""
    problems: tuple[str, ...]


def see_chat(writer: Writer) -> ChatView:
    """Ask MLflow, the gateway, the newest dataset and the database, each of which may be away."""
    champion, problems = _champion(writer.stem)
    won, trouble = _won(writer.stem, champion)
    return ChatView(
        versions=_names(champion),
        starters=_starters(writer.stem),
        won=won,
        gateway=serving_url(),
        is_down=_is_down(),
        problems=(*problems, *trouble),
    )


def _champion(stem: str) -> tuple[Champion | None, tuple[str, ...]]:
    try:
        return read_versions(open_registry(), stem), ()
    except MlflowSilent as silent:
        return None, (str(silent),)


def _names(champion: Champion | None) -> tuple[tuple[str, int | None], ...]:
    """What can be asked for; with MLflow away the names that need no number."""
    if champion is None:
        return (("champion", None), ("previous", None), ("base", None))
    aliases = [("champion", champion.champion), ("previous", champion.previous)]
    numbers = [(f"v{version.number}", version.number) for version in champion.versions[:MOST_VERSIONS]]
    return (*(alias for alias in aliases if alias[1]), ("base", None), *numbers)


def _won(stem: str, champion: Champion | None) -> tuple[WinRate | None, tuple[str, ...]]:
    if champion is None or not champion.champion or not champion.previous:
        return None, ()
    try:
        engine = shared_engine(Home.default().database_url)
        return win_rate(engine, stem, str(champion.champion), str(champion.previous)), ()
    except (DBAPIError, OSError) as error:
        return None, (f"The votes cannot be read ({type(error).__name__}).",)


def _starters(stem: str) -> tuple[str, ...]:
    """Some questions nobody trained on."""
    dataset = newest(Home.default().datasets(stem))
    try:
        rows = read_rows(dataset, HELDOUT_FILE) if dataset else []
    except (SnapshotError, OSError):
        return ()
    questions = [str(row["messages"][0]["content"]) for row in rows]
    short = [question for question in questions if len(question) <= LONGEST_STARTER]
    return tuple(random.sample(short, min(STARTERS, len(short))))


def _is_down() -> bool:
    try:
        check_running()
    except NotRunning:
        return True
    return False
