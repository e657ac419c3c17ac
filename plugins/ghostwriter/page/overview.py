"""All there is to say of each writer, gathered for one page; what does not answer is said instead of what it would have said."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from markupsafe import Markup
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ghostwriter.distilling.typical_cost import typical_cost
from ghostwriter.errors import ConnectionMissing
from ghostwriter.home import Home
from ghostwriter.mlflow_runs.chart import chart
from ghostwriter.mlflow_runs.history import MEASURES, CandidateNight, read_history
from ghostwriter.mlflow_runs.registry import SECONDS, MlflowSilent, Registry
from ghostwriter.mlflow_runs.server import tracking_uri
from ghostwriter.page.champions import Champion, read_champion
from ghostwriter.page.earlier import Earlier, earlier
from ghostwriter.page.nights import Night, read_night
from ghostwriter.page.state import State, read_state
from ghostwriter.writer import Writer, readable_writers

AT_ONCE = 8


@dataclass(frozen=True)
class Card:
    """One writer on the page; a part is None when it is not known, and `problems` say why."""

    writer: Writer
    night: Night
    state: State | None
    champion: Champion | None
    problems: tuple[str, ...]
    history: tuple[CandidateNight, ...] = ()
    """Its nights so far, the oldest first."""
    cost: str = ""
    """What an answer of the teacher costs."""
    datasets: tuple[Earlier, ...] = ()
    snapshots: tuple[Earlier, ...] = ()

    @property
    def charts(self) -> list[tuple[str, Markup]]:
        """Style and loss over the nights: the measure, and the picture."""
        drawn = ((measure, chart(self.history, measure)) for measure in MEASURES)
        return [(measure, picture) for measure, picture in drawn if picture]

    def local(self, when: datetime) -> str:
        """A time on the writer's own clock."""
        return f"{when.astimezone(ZoneInfo(self.writer.schedule.timezone)):%Y-%m-%d %H:%M}"


def visible_writers(dags: Collection[str]) -> list[Writer]:
    """The writers of whom someone who may see these DAGs may see something."""
    return [writer for writer in readable_writers() if f"{writer.stem}_train" in dags]


def cards(session: Session, writers: list[Writer]) -> list[Card]:
    """One card a writer. MLflow is asked for all of them at once, so that its silence costs the page the same wait for one or for ten."""
    home = Home.default()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = [pool.submit(_champion, writer.stem) for writer in writers]
        nights = [read_night(session, writer.stem) for writer in writers]
        rest = [(night, _state(writer, night.began)) for writer, night in zip(writers, nights, strict=True)]
        champions = [future.result() for future in asked]
    return [
        Card(
            writer,
            night,
            state,
            champion,
            tuple(problem for problem in (trouble, silence) if problem),
            history,
            typical_cost(writer, home),
            tuple(earlier(home.datasets(writer.stem))),
            tuple(earlier(home.answers(writer.stem))),
        )
        for writer, (night, (state, trouble)), (champion, history, silence) in zip(writers, rest, champions, strict=True)
    ]


def open_registry(seconds: float = SECONDS) -> Registry:
    """MLflow, as the tasks know it, for so many seconds. Raises MlflowSilent when it has no HTTP address."""
    try:
        uri = tracking_uri()
    except ConnectionMissing as error:
        raise MlflowSilent(str(error)) from None
    if not uri.startswith(("http://", "https://")):
        raise MlflowSilent("This page reads MLflow over HTTP, and MLFLOW_TRACKING_URI names no HTTP address.")
    return Registry(uri, seconds)


def _champion(stem: str) -> tuple[Champion | None, tuple[CandidateNight, ...], str]:
    try:
        registry = open_registry()
        return read_champion(registry, stem), read_history(registry, stem), ""
    except MlflowSilent as silent:
        return None, (), str(silent)


def _state(writer: Writer, night: datetime | None) -> tuple[State | None, str]:
    try:
        return read_state(Home.default().database_url, writer, night), ""
    except (DBAPIError, OSError) as error:
        return None, f"The archive cannot be read ({type(error).__name__})."
