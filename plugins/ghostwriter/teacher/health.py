"""Whether the teacher is well enough for a run to go on: what became of its calls, and how long it has been silent."""

import time
from dataclasses import dataclass

from ghostwriter.errors import TeacherError
from ghostwriter.model_settings import Teacher as Settings
from ghostwriter.teacher.client import CallFault, TeacherDown, TeacherUnfit
from ghostwriter.teacher.ledger import Answer

FIRST_FAILURES = 10
"""Failed calls without a single answer after which the teacher, not the call, is at fault."""


@dataclass(frozen=True)
class Failure:
    """A call that has failed for good: the fault's short name and its words."""

    code: str
    message: str


Outcome = Answer | Failure


class Health:
    """Of the teacher, in one run."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.answers = 0
        self._failures = 0
        self._last_answer = time.monotonic()

    def heard(self) -> None:
        """An answer has come, or the run begins."""
        self._last_answer = time.monotonic()

    def count(self, outcome: Outcome, planned: int) -> None:
        """Raises TeacherError and TeacherUnfit when too many of the `planned` calls have failed."""
        if isinstance(outcome, Answer):
            self.answers += 1
            return
        self._failures += 1
        if not self.answers:
            if self._failures < FIRST_FAILURES:
                return
            raise TeacherError(
                f"The first {self._failures} calls all failed, the last with {outcome.code}: {outcome.message}. "
                "Look at the teacher's settings in the writer file."
            )
        if self._failures > self._settings.failed_share * planned:
            share = self._settings.failed_share
            raise TeacherUnfit(
                f"{self._failures} of {planned} calls failed, more than teacher.failed_share = {share:g} allows. "
                f"The last one: {outcome.code}: {outcome.message}. What was bought is kept; run again when the teacher is well."
            )

    def asks_too_long(self, fault: CallFault) -> bool:
        """Whether the teacher asks for a longer pause than this run has patience for."""
        return (fault.retry_after or 0) > self._settings.outage_seconds

    def check_outage(self, fault: CallFault) -> None:
        """Raises TeacherDown when the teacher has not answered for too long, or says that it will not."""
        if self.asks_too_long(fault):
            raise TeacherDown(
                f"The teacher asks to wait {fault.retry_after:.0f} s ({fault.code}: {fault.message}), longer than "
                f"teacher.outage_seconds = {self._settings.outage_seconds:g}. What was bought is kept; run again then."
            )
        silent = time.monotonic() - self._last_answer
        if silent > self._settings.outage_seconds:
            raise TeacherDown(
                f"No answer for {silent:.0f} s, the last error was {fault.code}: {fault.message}. What was bought is kept; run again later."
            )
