"""How long each part of a night may take, from the writer file's own numbers, so that nothing hangs in silence.

A task that takes longer is ended as by a stop (docs/stopping.md): what was bought and the last checkpoint are kept, and it is tried
again. All numbers are the file's alone: one that changed by itself would make a new version of the DAG.
"""

from dataclasses import dataclass
from datetime import timedelta

from ghostwriter.collecting.page_sizes import PAGE_SIZES
from ghostwriter.distilling.typical_cost import TYPICAL_ANSWER, TYPICAL_QUESTION
from ghostwriter.modes import PURCHASES
from ghostwriter.writer import Writer
from training.contract import load_recipe

FACTOR = 3
"""A limit over what is expected."""
SHORT = timedelta(hours=1)
"""For a task that asks nobody and trains nothing; and the least limit that is computed."""
LONG = timedelta(days=1)
"""For a stage of which nothing is known beforehand: its size stands in a form."""
APPROVAL_PATIENCE = timedelta(days=7)
"""After which a candidate counts as rejected: the nights after it wait for the answer."""
BATCH_WAIT = timedelta(hours=26)
"""For a batch: vendors promise it within 24 hours."""
WAITING = timedelta(days=1)
"""That a run may spend waiting for the GPU or the teacher, which other writers use."""

SECONDS_A_REPLY = 1.0
"""Of the site."""
RESTS = 1.2
"""Time with the rests over time without them: five pauses more after every 20 to 30."""
MANY_ANSWERS = 10_000
"""That a first collection may find; nobody knows before."""
SECONDS_AN_ANSWER = 10
"""Of a teacher or a judge for a whole answer; nobody knows before the first ones."""
CARD_TOKENS_A_SECOND = 1_500
"""That a training gets through: a tenth of Qwen2.5-7B at rank 256 on an H100 (docs/speed.md), for lesser cards."""
NIGHTLY_ARMS = 4
"""Examined in a night, at most: candidate, base, champion, and room for one more."""
MANY_ARMS = 8
"""In a comparison by hand."""
SECONDS_AN_EXAMINED_ANSWER = 10
"""Of the student, answers measured and other abilities probed included."""
LM_EVAL = timedelta(hours=2)
"""More for lm-eval's tasks, whose size is theirs."""


@dataclass(frozen=True)
class TimeLimits:
    """For a task of each kind, in one try."""

    collect: timedelta
    ask: timedelta
    judge: timedelta
    train: timedelta
    examine: timedelta
    """Answering, and again measuring."""
    batch: timedelta
    """All waiting for a batch; nothing without one."""
    approve: timedelta
    """Likewise for a person."""

    def of_run(self, stage: str) -> timedelta:
        """One try of every task of a DAG: after that a run is late."""
        work = {
            "collect": self.collect,
            "distill": self.batch + self.ask,
            "train": self.train + 2 * self.examine + self.judge + self.approve,
            "compare": MANY_ARMS * self.train + 2 * self.examine,
        }
        return work.get(stage, timedelta(0)) + SHORT


def time_limits(writer: Writer, arms: int = NIGHTLY_ARMS) -> TimeLimits:
    """The limits of a writer's tasks; the file's [limits] come first. `arms` are examined together."""
    named, judge = writer.limits, timedelta(0)
    if writer.judge:
        judge = _limit(named.judge, 2 * (writer.judge.questions + writer.judge.agreement_pairs) * _pace(writer), writer)
    return TimeLimits(
        collect=_limit(named.collect, _collecting(writer)),
        ask=_limit(named.ask, _asking(writer), writer),
        judge=judge,
        train=_limit(named.train, training_seconds(writer)),
        examine=_limit(named.examine, _examining(writer, arms)),
        batch=BATCH_WAIT if writer.teacher.batch else timedelta(0),
        approve=APPROVAL_PATIENCE if writer.gate.approval else timedelta(0),
    )


def longest(run: timedelta) -> timedelta:
    """That a run may hold its DAG's only place, given one try of its tasks: with retries, and waiting for other writers."""
    return 2 * run + WAITING


def training_seconds(writer: Writer) -> float:
    """That a training is expected to take."""
    recipe = load_recipe(writer.training.recipe)
    if recipe.max_seconds:
        return recipe.max_seconds
    return training_tokens(writer) / CARD_TOKENS_A_SECOND


def training_tokens(writer: Writer) -> float:
    """About how many a night trains on."""
    epochs = load_recipe(writer.training.recipe).epochs
    return writer.teacher.answers * (TYPICAL_QUESTION + TYPICAL_ANSWER) * epochs


def _collecting(writer: Writer) -> float:
    page_size = PAGE_SIZES.get(writer.source.kind)
    pages = MANY_ANSWERS / page_size if page_size else 0
    return pages * (writer.source.pace_seconds * RESTS + SECONDS_A_REPLY)


def _asking(writer: Writer) -> float:
    purchases = max(1, len(PURCHASES[writer.mode]))
    return writer.teacher.answers * purchases * _pace(writer)


def _pace(writer: Writer) -> float:
    """Seconds a call of the teacher's takes, with as many at once as the file allows."""
    together = SECONDS_AN_ANSWER / writer.teacher.concurrency
    return max(together, 60 / writer.teacher.requests_per_minute) if writer.teacher.requests_per_minute else together


def _examining(writer: Writer, arms: int) -> float:
    settings = writer.evaluation
    answers = settings.questions * arms * (2 if settings.greedy else 1)
    return answers * SECONDS_AN_EXAMINED_ANSWER + len(settings.lm_eval) * LM_EVAL.total_seconds()


def _limit(named: float | None, expected: float, teacher: Writer | None = None) -> timedelta:
    """The file's hours, or three times the seconds expected and a teacher's outage, an hour at least."""
    if named is not None:
        return timedelta(hours=named)
    outage = teacher.teacher.outage_seconds if teacher else 0
    return max(SHORT, timedelta(seconds=round(FACTOR * expected + outage)))
