"""Readers' files and the key into ballots: which arm each reader chose in each trial."""

from collections.abc import Sequence
from dataclasses import dataclass

from ghostwriter.errors import PanelError
from ghostwriter.panel.answer_file import AnswerFile
from ghostwriter.panel.key import Key
from ghostwriter.panel.trials import Kind

_QUALITY = {"a": 0.0, "equal": 0.5, "b": 1.0}


@dataclass(frozen=True)
class Ballot:
    """What one reader said of one trial: of two arms, in the order of the sides."""

    reader: str
    trial: str
    question: int
    kind: Kind
    arms: tuple[str, str]
    voice: int
    """0 or 1: the side that sounds more like the writer."""
    quality: float
    """0 or 1: the side that is the better answer; 0.5: neither."""

    @property
    def chosen(self) -> str:
        """The arm that sounds more like the writer."""
        return self.arms[self.voice]


def ballots_of(key: Key, files: Sequence[AnswerFile]) -> list[Ballot]:
    """All votes, by reader and trial. Raises PanelError for a trial that the panel does not have."""
    found = []
    for file in files:
        if unknown := sorted(set(file.votes) - set(key.trials)):
            raise PanelError(
                f"The file of {file.reader} was changed: it has a vote on trial {unknown[0]!r}, and panel {key.panel} has no such trial."
            )
        for name, vote in file.votes.items():
            trial = key.trials[name]
            said = int(vote.voice == "b"), _QUALITY[vote.quality]
            found.append(Ballot(file.reader, name, trial.question, trial.kind, (trial.a, trial.b), *said))
    return found
