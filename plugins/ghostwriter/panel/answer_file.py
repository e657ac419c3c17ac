"""The files that readers save: read back, and refused with a reason where they are not what they should be."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from ghostwriter.errors import PanelError
from training.contract import Frozen

FORMAT = "ghostwriter panel 1"
MOST_BYTES = 2**20


class Vote(Frozen):
    """What a reader said of one trial."""

    voice: Literal["a", "b"]
    quality: Literal["a", "b", "equal"]


class AnswerFile(Frozen):
    """One reader's answers; `sitting` is drawn by the page in the reader's browser."""

    format: Literal["ghostwriter panel 1"]
    panel: str = Field(pattern=r"^[0-9a-f]{12}$")
    reader: str = Field(pattern=r"^[^\x00-\x1f\x7f|]{1,40}$")
    sitting: str = Field(min_length=1, max_length=64)
    votes: dict[str, Vote] = Field(min_length=1)


def read_answer_files(paths: Sequence[Path]) -> list[AnswerFile]:
    """All files, of one panel, each of another reader. Raises PanelError."""
    files = [_read(path) for path in paths]
    for place, file in enumerate(files):
        for before in range(place):
            _check_pair(files[before], file, paths[before], paths[place])
    return files


def _read(path: Path) -> AnswerFile:
    try:
        raw = path.read_bytes()[: MOST_BYTES + 1]
        content = json.loads(raw.decode("utf-8"))
    except OSError as error:
        raise PanelError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise PanelError(f"{path} is not a file that a panel's page saved.") from None
    except ValueError:
        if FORMAT.encode() in raw[:100]:
            raise PanelError(f"{path} is cut off: ask its reader to send it again, or to save it again from the page.") from None
        raise PanelError(f"{path} is not a file that a panel's page saved.") from None
    if not isinstance(content, dict) or not str(content.get("format")).startswith("ghostwriter panel"):
        raise PanelError(f"{path} is not a file that a panel's page saved.")
    try:
        return AnswerFile.model_validate(content)
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, wrong["loc"])) or "the file"
        raise PanelError(f"{path} was changed since the page saved it, or is of another version: {where}: {wrong['msg']}.") from None


def _check_pair(one: AnswerFile, other: AnswerFile, first: Path, second: Path) -> None:
    if one.panel != other.panel:
        raise PanelError(
            f"{first} belongs to panel {one.panel} and {second} to panel {other.panel}. Read the files of one panel at a time."
        )
    if one.sitting == other.sitting:
        more = first if len(one.votes) > len(other.votes) else second
        same = one.votes == other.votes
        what = f"{first} and {second} are the same answers" if same else f"{first} and {second} were saved by one reader at different times"
        raise PanelError(f"{what}. Name only one of them{'' if same else f': {more} has more'}.")
    if one.reader == other.reader:
        raise PanelError(
            f"{first} and {second} both say that they are by {one.reader!r}."
            " If that is one person, name only one of them; else change `reader` in one."
        )
