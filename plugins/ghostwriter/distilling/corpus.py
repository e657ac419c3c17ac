"""From a snapshot of answers to the two sides of the split, and the questions the teacher is asked.

`ghostwriter.distilling.split` says on which side a question falls. A pair of the training
side that is a near duplicate of a held-out question or answer is left out, and so is such an extra question.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path

from ghostwriter.collecting.other_answers import OtherAnswers
from ghostwriter.distilling.contrast import other_people, read_twins
from ghostwriter.distilling.split import split
from ghostwriter.distilling.trained_on import trained_on
from ghostwriter.errors import CorpusTooSmall, WriterFileError
from ghostwriter.home import Home
from ghostwriter.pairs import Pair, Question
from ghostwriter.similarity import answers_index, questions_index
from ghostwriter.snapshot import read_rows
from ghostwriter.writer import Writer, beside_writers

ANSWERS_FILE = "answers.jsonl"


class Lookalikes:
    """Says which pairs would give away the writer's answer to a question: its own, those that ask nearly the same, and those whose
    answers nearly repeat one of theirs."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pairs = {pair.id: pair for pair in pairs}
        self._own = {pair.question_id: pair.id for pair in pairs}
        self._questions = questions_index((pair.id, pair.question) for pair in pairs)
        self._answers = answers_index((pair.id, pair.answer) for pair in pairs)
        self._found: dict[str, frozenset[str]] = {}

    def of(self, question: Question) -> frozenset[str]:
        """The ids of those pairs."""
        if question.id not in self._found:
            asked = {*self._questions.find_all(question.text), *([self._own[question.id]] if question.id in self._own else [])}
            repeats = (self._answers.find_all(self._pairs[pair].answer) for pair in asked)
            self._found[question.id] = frozenset(asked.union(*repeats))
        return self._found[question.id]


@dataclass(frozen=True)
class Corpus:
    """The split: pairs to learn from, pairs held out, questions to ask, and what was left out and why."""

    training: tuple[Pair, ...]
    heldout: tuple[Pair, ...]
    questions: tuple[Question, ...]
    dropped: Counter[str] = field(default_factory=Counter)
    contrast: tuple[Pair, ...] = ()
    """Other people's, to measure style against; no prompt and no training row is made of them."""
    twins: tuple[Pair, ...] = ()
    """Training pairs with a plain rewrite in place of the answer; for measures only."""

    @cached_property
    def lookalikes(self) -> Lookalikes:
        """Of the training pairs."""
        return Lookalikes(self.training)


def read_corpus(writer: Writer, answers: Path, home: Home) -> Corpus:
    """Split a snapshot of answers. Raises CorpusTooSmall, SnapshotError, or WriterFileError for a file it names that cannot be read.

    From `home` come other people's answers, where some were collected, and what earlier datasets trained on.
    """
    dropped: Counter[str] = Counter()
    pairs = _pairs(answers, dropped)
    learned, heldout = map(tuple, split(writer, pairs, partial(trained_on, home.datasets(writer.stem))))
    training = _apart(learned, heldout, dropped)
    _check_size(training, heldout, writer)
    questions = [Question(pair.question_id, pair.question) for pair in training]
    if writer.teacher.extra_questions:
        questions += _extra(writer.teacher.extra_questions, pairs, dropped)
    collected = OtherAnswers(home.contrast(writer.stem))
    contrast = other_people(writer.evaluation.contrast, collected, (*training, *heldout))
    twins = read_twins(writer.evaluation.twins, training)
    return Corpus(training, heldout, tuple(questions), dropped, contrast, tuple(twins))


def heldout_pairs(writer: Writer, answers: Path) -> list[Pair]:
    """The pairs of a snapshot that nobody trains on. Raises SnapshotError or WriterFileError."""
    return split(writer, _pairs(answers, Counter()))[1]


def _pairs(answers: Path, dropped: Counter[str]) -> list[Pair]:
    """The snapshot's pairs; a second answer to the same question, and an empty one, are left out."""
    pairs: dict[str, Pair] = {}
    for row in read_rows(answers, ANSWERS_FILE):
        pair = Pair(str(row["id"]), str(row["question_id"]), row["question"].strip(), row["text"].strip())
        if not pair.question or not pair.answer:
            dropped["empty"] += 1
        elif pair.question_id in pairs:
            dropped["same_question"] += 1
        else:
            pairs[pair.question_id] = pair
    return list(pairs.values())


def _apart(training: Sequence[Pair], heldout: Sequence[Pair], dropped: Counter[str]) -> tuple[Pair, ...]:
    questions = questions_index((pair.id, pair.question) for pair in heldout)
    answers = answers_index((pair.id, pair.answer) for pair in heldout)
    kept = tuple(pair for pair in training if not questions.find(pair.question) and not answers.find(pair.answer))
    if len(kept) < len(training):
        dropped["near_duplicate_of_heldout"] += len(training) - len(kept)
    return kept


def _check_size(training: Sequence[Pair], heldout: Sequence[Pair], writer: Writer) -> None:
    need = writer.teacher.examples + 2
    if len(training) >= need and heldout:
        return
    raise CorpusTooSmall(
        f"{writer.name} has {len(training) + len(heldout)} usable answers: {len(training)} to learn from and {len(heldout)} held out "
        f"({_rule(writer)}). At least {need} and 1 are needed; "
        "a style is learned from a hundred or more. Collect more first. Nothing was asked of the teacher."
    )


def _rule(writer: Writer) -> str:
    settings = writer.evaluation
    if settings.heldout_questions:
        return f"those in evaluation.heldout_questions = '{settings.heldout_questions}'"
    if settings.heldout_share:
        return f"evaluation.heldout_share = {settings.heldout_share:g}"
    return "by default a tenth, up to a quarter where there are few; evaluation.heldout_share names another share"


def _extra(named: Path, pairs: Sequence[Pair], dropped: Counter[str]) -> list[Question]:
    """The questions of the file, one a line, that the writer has not answered (nor a near duplicate, nor a line before)."""
    path = beside_writers(named)
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise WriterFileError(
            f"teacher.extra_questions = {str(path)!r} cannot be read ({error}). It is a UTF-8 text file with one question a line."
        ) from error
    seen = questions_index((pair.id, pair.question) for pair in pairs)
    found = []
    for line in lines:
        if seen.find(line):
            dropped["extra_question_known"] += 1
            continue
        name = f"extra-{sha256(line.encode()).hexdigest()[:16]}"
        seen.add(name, line)
        found.append(Question(name, line, "extra"))
    return found
