"""The key of a panel: which arm stood on which side of each trial, and where its answers come from."""

from typing import Literal

from ghostwriter.errors import PanelError
from ghostwriter.home import Home
from training.contract import Frozen, read_json

KEY_FILE = "key.json"


class Origin(Frozen):
    """Where an arm's answers come from: an evaluation's MLflow run, the arm's name in it, and the version it became, if it did."""

    evaluation: str
    experiment: str
    arm: str
    version: str | None = None


class KeyTrial(Frozen):
    """One trial: its kind (ghostwriter.panel.trials), the number of its question, and the arm on each side."""

    kind: Literal["turing", "check", "arms"]
    question: int
    a: str
    b: str


class Key(Frozen):
    """A panel's key. `arms` has no entry for the writer."""

    panel: str
    writer: str
    arms: dict[str, Origin]
    trials: dict[str, KeyTrial]


def find_key(home: Home, stem: str, panel: str) -> Key:
    """The key of a panel of this writer. Raises PanelError with the panels there are."""
    path = home.panels(stem) / panel / KEY_FILE
    if not path.exists():
        there = ", ".join(sorted(key.parent.name for key in home.panels(stem).glob(f"*/{KEY_FILE}"))) or "none"
        raise PanelError(
            f"There is no key of panel {panel} in {home.panels(stem)}; panels of {stem} there: {there}."
            " It was made for another writer, or in another home folder."
        )
    return read_json(Key, path)
