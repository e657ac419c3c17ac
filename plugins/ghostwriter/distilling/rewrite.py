"""Mode `inverse`: the teacher rewrites each of the writer's training answers plainly, and the student learns the way back.

Bought as answers are: one call an answer, in the same rounds, with the answer itself as the only pair shown. A rewrite that the
filters reject is asked for again, as often as `teacher.attempts` allows.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any

from ghostwriter.distilling.corpus import Corpus
from ghostwriter.distilling.dataset import Row, training_row
from ghostwriter.distilling.filters import Candidate, Judge, Lengths, copied_share
from ghostwriter.distilling.harvest import Accepted, Harvest
from ghostwriter.distilling.plan import AnswerPlanner, Planner
from ghostwriter.distilling.prompt import Prompt, load_plain_prompt, load_prompt
from ghostwriter.modes import Mode
from ghostwriter.pairs import Pair, Question
from ghostwriter.teacher.call import Call
from ghostwriter.teacher.ledger import Ledger
from ghostwriter.tokens import words
from ghostwriter.words.catalogue import Language
from ghostwriter.writer import Writer
from training.contract import with_notes

SHORTEST, LONGEST = 0.5, 1.5
"""Words of a rewrite, of those of the answer."""
COPY_RUN = {"en": 8, "zh": 13}
"""Words (Chinese characters) in a row that count as taken over."""
COPY_SHARE = 0.1
"""Of a rewrite's runs, those that may stand in the answer: what is copied needs no voice to be put back."""
BARE_SHARE = 0.4
"""Of the rows, those without notes, so that questions can be answered in one pass too."""
ANNOUNCED = re.compile(r"\A\W*(here('|’)?s?\b.{0,30}|the |plain )?(re-?write|rewritten)\b|\A\W*(以下|下面)?是?改写", re.IGNORECASE)


def planner_of(writer: Writer, corpus: Corpus, ledger: Ledger, mode: Mode) -> Planner:
    """What plans the calls of one purchase. Raises CorpusTooSmall and WriterFileError."""
    return RewritePlanner(writer, corpus) if mode == "inverse" else AnswerPlanner(writer, corpus, ledger, mode)


def prompt_of(writer: Writer, mode: Mode) -> Prompt:
    """The prompt of one purchase. Raises WriterFileError."""
    return load_plain_prompt(writer.language) if mode == "inverse" else load_prompt(writer.teacher.prompt or writer.language)


def harvest_of(writer: Writer, corpus: Corpus, mode: Mode) -> Harvest:
    """What sorts the answers of one purchase. Plain rewrites may resemble each other as the answers do."""
    if mode == "inverse":
        return Harvest(corpus, writer.language, partial(rewrite_reason, writer.language), distinct=False)
    return Harvest(corpus, writer.language)


class RewritePlanner(Planner):
    """Every training answer is shown once in a round, until a rewrite of it is accepted."""

    def __init__(self, writer: Writer, corpus: Corpus) -> None:
        self._pairs = {pair.question_id: pair for pair in corpus.training}
        self._done: frozenset[str] = frozenset()
        questions = [Question(pair.question_id, pair.question) for pair in corpus.training]
        super().__init__(writer, questions, load_plain_prompt(writer.language), "inverse", wanted=len(questions), shown=1)

    def settle(self, accepted: Iterable[Call]) -> None:
        """Answers with an accepted rewrite are not asked about again."""
        self._done = frozenset(call.question.id for call in accepted)

    def peek(self, number: int) -> list[Call]:
        """The next calls about answers that lack a rewrite."""
        waiting = [call for call in self._ahead if call.question.id not in self._done]
        self._ahead.clear()
        self._ahead.extend(waiting)
        while len(self._ahead) < number and len(self._done) < len(self._pairs):
            call = self._call(*next(self._walk))
            if call.question.id not in self._done:
                self._ahead.append(call)
        return super().peek(min(number, len(self._ahead)))

    def _examples(self, question: Question, sample: int) -> tuple[Pair, ...]:
        return (self._pairs[question.id],)


def rewrite_reason(language: Language, candidate: Candidate) -> str | None:
    """Why a rewrite may not stand as notes; None when it may: the general filters, lengths and copies against the answer itself."""
    (answer,) = candidate.shown
    length = len(words(answer))
    lengths = Lengths(shortest=max(1, int(length * SHORTEST)), longest=int(length * LONGEST) + 1)
    if found := Judge(language, lengths).reason(replace(candidate, shown=())):
        return found
    if ANNOUNCED.search(candidate.text):
        return "meta"
    return "copy" if copied_share(candidate.words, (answer,), COPY_RUN[language]) > COPY_SHARE else None


def inverse_rows(corpus: Corpus, accepted: Sequence[Accepted], model: str, prompt_hash: str) -> list[Row]:
    """Rows whose answers are all the writer's: each accepted rewrite as notes under its question, and as many questions without
    notes as make BARE_SHARE of all rows: those whose rewrite was not accepted first, then by a hash of the question's id."""
    plain = {each.call.question.id: each for each in accepted}
    facts = {"model": model, "prompt_hash": prompt_hash}
    noted = [_noted(pair, plain[pair.question_id], facts) for pair in corpus.training if pair.question_id in plain]
    bare = sorted(corpus.training, key=lambda pair: (pair.question_id in plain, sha256(pair.question_id.encode()).digest()))
    share = round(len(noted) * BARE_SHARE / (1 - BARE_SHARE))
    return [*noted, *(training_row(f"{pair.id}-bare", "inverse", pair, pair.question) for pair in bare[:share])]


def _noted(pair: Pair, rewrite: Accepted, facts: Mapping[str, Any]) -> Row:
    row = training_row(rewrite.call.key, "inverse", pair, with_notes(pair.question, rewrite.text))
    return {**row, **facts, "sample": rewrite.call.sample, "examples": pair.id}
