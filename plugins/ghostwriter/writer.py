"""Writer files: one TOML in writers/ for each writer, and the typed settings it becomes.

A file names only what differs from the defaults of ghostwriter.writer_settings, model_settings and keep_settings. Secrets never stand in
it: it names Airflow connections.
"""

import os
import tomllib
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from ghostwriter.errors import WriterFileError
from ghostwriter.home import ROOT
from ghostwriter.keep_settings import Keep
from ghostwriter.model_settings import Budget, Judge, Student, Teacher
from ghostwriter.modes import LEDGER_SUFFIX, MODE_OF_ARM, MODES, Mode
from ghostwriter.words.catalogue import Language
from ghostwriter.writer_settings import Chat, Evaluation, Gate, Limits, Notify, Schedule, Section, Serving, Source, Training, Ui
from training.contract import Answering

NO_STUDENT = (
    "Mode 'self-instruct' asks the student itself, and the writer file does not say where it is served. "
    "Add [student] with connection (an Airflow connection whose host is the base URL) and model."
)
STEM = r"^[a-z][a-z0-9_]{1,40}$"


class Writer(Section):
    """One writer, as its file describes it; `stem` is the file's name."""

    stem: str = Field(pattern=STEM)
    name: str
    language: Language
    source: Source
    schedule: Schedule = Schedule()
    teacher: Teacher
    budget: Budget = Budget()
    training: Training = Training()
    answering: Answering = Answering()
    evaluation: Evaluation = Evaluation()
    gate: Gate = Gate()
    serving: Serving = Serving()
    judge: Judge | None = None
    student: Student | None = None
    notify: Notify | None = None
    ui: Ui = Ui()
    chat: Chat = Chat()
    keep: Keep = Keep()
    limits: Limits = Limits()

    @property
    def tongue(self) -> Language:
        """The language of what people read of this writer."""
        return self.ui.language or self.language

    @model_validator(mode="after")
    def _student_is_there(self) -> Self:
        if self.training.arm == "self-instruct" and not self.student:
            raise ValueError(f"training.arm = 'self-instruct'. {NO_STUDENT}")
        return self

    @model_validator(mode="after")
    def _one_month(self) -> Self:
        budgets = {"judge": self.judge and self.judge.budget, "student": self.student and self.student.budget}
        for name, budget in budgets.items():
            if budget and budget.month is not None:
                raise ValueError(f"{name}.budget.month: a month has one limit, for all of them. Write it as `month` under [budget]")
        return self

    @property
    def judge_ledger(self) -> str:
        """The name under which the judge's calls stand in the ledger, so that they never mix with what is trained on."""
        return f"{self.stem}-judge"

    @property
    def mode(self) -> Mode:
        """The mode that gives what the writer's arm trains on."""
        return MODE_OF_ARM[self.training.arm]

    @property
    def modes(self) -> tuple[Mode, ...]:
        """The modes this file has what is needed for."""
        return MODES if self.student else tuple(mode for mode in MODES if mode != "self-instruct")

    def asking(self, mode: Mode) -> Self:
        """The same writer with whoever `mode` asks in the teacher's place. Raises WriterFileError when no student is named.

        What the vendor limits or names in its own way holds for the vendor only.
        """
        if mode != "self-instruct":
            return self
        if not self.student:
            raise WriterFileError(NO_STUDENT)
        vendor = {"requests_per_minute": None, "tokens_per_minute": None, "token_limit": "max_tokens", "batch": False}
        asked = {"connection": self.student.connection, "model": self.student.model, "parameters": self.student.parameters}
        budget = self.student.budget.model_copy(update={"month": self.budget.month})
        return self.model_copy(update={"teacher": self.teacher.model_copy(update=vendor | asked), "budget": budget})

    def ledger(self, mode: Mode) -> str:
        """The name under which the calls of a purchase stand in the ledger: neither the student's nor plain rewrites mix with answers."""
        return f"{self.stem}{LEDGER_SUFFIX.get(mode, '')}"

    @property
    def ledgers(self) -> tuple[str, ...]:
        """All names under which calls that are paid for this writer stand in the ledger."""
        return *dict.fromkeys(map(self.ledger, MODES)), self.judge_ledger

    def with_teacher_answers(self, wanted: int) -> Self:
        """The same writer with another number of teacher answers wanted (the form's)."""
        return self.model_copy(update={"teacher": self.teacher.model_copy(update={"answers": wanted})})


def writers_folder() -> Path:
    """The folder of writer files: `GHOSTWRITER_WRITERS`, else writers/ beside the code."""
    return Path(os.environ.get("GHOSTWRITER_WRITERS") or ROOT / "writers")


def beside_writers(named: Path) -> Path:
    """A file that a writer file names: a relative one lies beside the folder of writer files, else beside the code as it once did."""
    path = writers_folder().resolve().parent / named.expanduser()
    return path if path.exists() else ROOT / named.expanduser()


def writer_stems() -> list[str]:
    """The names of all writer files, sorted."""
    return sorted(path.stem for path in writers_folder().glob("*.toml"))


def readable_writers(stems: Iterable[str] | None = None) -> list[Writer]:
    """The writers whose files can be read, of these or of all."""
    return [loaded for loaded in _load_all(stems).values() if isinstance(loaded, Writer)]


def unreadable_writers(stems: Iterable[str] | None = None) -> dict[str, WriterFileError]:
    """What is wrong with each file that cannot be read, by its stem, of these or of all."""
    return {stem: loaded for stem, loaded in _load_all(stems).items() if isinstance(loaded, WriterFileError)}


def load_writer(stem: str) -> Writer:
    """The writer of `writers/STEM.toml`. Raises WriterFileError in the file's own words."""
    path = writers_folder() / f"{stem}.toml"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError as error:
        known = ", ".join(writer_stems()) or "none"
        raise WriterFileError(f"There is no writer file {path} (there are: {known}). Write one: the README shows how.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WriterFileError(f"{path} is no TOML file: {error}.") from error
    except OSError as error:
        raise WriterFileError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return Writer.model_validate({**values, "stem": stem})
    except ValidationError as error:
        raise WriterFileError(f"{path}:\n" + "\n".join(_in_words(item) for item in error.errors())) from error


def log_days() -> int:
    """How many days logs stay: what the writer asks for who asks for most."""
    return max((writer.keep.log_days for writer in readable_writers()), default=Keep().log_days)


def _load_all(stems: Iterable[str] | None) -> dict[str, Writer | WriterFileError]:
    return {stem: _loaded_or_error(stem) for stem in (writer_stems() if stems is None else stems)}


def _loaded_or_error(stem: str) -> Writer | WriterFileError:
    try:
        return load_writer(stem)
    except WriterFileError as error:
        return error


def _in_words(item: ErrorDetails) -> str:
    key = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return f"  {key}: unknown key. Remove it, or see the README for the keys a writer file may hold."
    if item["type"] == "missing":
        return f"  {key}: missing."
    words = item["msg"].removeprefix("Value error, ")
    return f"  {key} = {item['input']!r}: {words}." if key else f"  {words}"
