"""The calls a dataset needs, in the order they are made, and what is known about them before any is sent."""

import json
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from ghostwriter.distilling.corpus import Corpus
from ghostwriter.distilling.prompt import Prompt, load_prompt
from ghostwriter.distilling.sampling import Rotation, walk
from ghostwriter.model_settings import Teacher
from ghostwriter.modes import Mode
from ghostwriter.pairs import Pair, Question
from ghostwriter.snapshot import read_manifest
from ghostwriter.teacher.budget import Message
from ghostwriter.teacher.call import Call
from ghostwriter.teacher.ledger import Ledger, request_key
from ghostwriter.writer import Writer

NEVER_ASKED = "never asked"


class Planner(ABC):
    """Takes calls off the walk over `questions`, a batch at a time; each shows the teacher `shown` pairs. `wanted` are to be accepted."""

    def __init__(self, writer: Writer, questions: Sequence[Question], prompt: Prompt, mode: Mode, *, wanted: int, shown: int) -> None:
        self.parameters = parameters(writer.teacher)
        self.settings = settings_hash(self.parameters)
        self.prompt = prompt
        self.wanted, self.shown = wanted, shown
        self.planned = 0
        self._name = writer.name
        self._named = self.parameters if mode == "distilled" else {**self.parameters, "mode": mode}
        self._ahead: deque[Call] = deque()
        self._walk = walk(questions, writer.teacher.seed)

    @abstractmethod
    def _examples(self, question: Question, sample: int) -> tuple[Pair, ...]:
        """The pairs shown for one sample of a question. Raises CorpusTooSmall when there are none fit for it."""

    def _keep(self, calls: Sequence[Call]) -> None:  # noqa: B027  (not every planner has something to keep)
        """These calls were taken."""

    def settle(self, accepted: Iterable[Call]) -> None:  # noqa: B027  (nor goes by what was accepted)
        """These calls' answers are accepted, all that are so far."""

    def peek(self, number: int) -> list[Call]:
        """The next `number` calls, which stay to be taken. Raises CorpusTooSmall when a question has no fit examples."""
        while len(self._ahead) < number:
            self._ahead.append(self._call(*next(self._walk)))
        return list(islice(self._ahead, number))

    def take(self, number: int) -> list[Call]:
        """The next `number` calls; none when it is not positive. Raises CorpusTooSmall when a question has no fit examples."""
        calls = self.peek(max(0, number))
        for _ in calls:
            self._ahead.popleft()
        self._keep(calls)
        self.planned += len(calls)
        return calls

    def messages(self, call: Call) -> list[Message]:
        """What the teacher is sent."""
        return self.prompt.messages(self._name, call.examples, call.question.text)

    def facts(self, call: Call) -> dict[str, Any]:
        """What the ledger keeps of a call beside its answer."""
        return call_facts(call, self.parameters["model"], self.settings, self.prompt)

    def _call(self, question: Question, sample: int) -> Call:
        examples = self._examples(question, sample)
        key = request_key(self._named, self.prompt.messages(self._name, examples, question.text), sample)
        return Call(key, question, sample, examples)


class AnswerPlanner(Planner):
    """Every question is asked with a few of the writer's pairs before it; which, the ledger keeps once a call is taken.

    The student is shown the same ones, so that its answers can be compared with the teacher's.
    """

    def __init__(self, writer: Writer, corpus: Corpus, ledger: Ledger, mode: Mode) -> None:
        settings = writer.teacher
        prompt = load_prompt(settings.prompt or writer.language)
        super().__init__(writer, corpus.questions, prompt, mode, wanted=settings.answers, shown=settings.examples)
        self._choices = Ledger(ledger.engine, writer.stem)
        self._rotation_name = f"seed {settings.seed}, {settings.examples} examples"
        self._kept = self._choices.examples(self._rotation_name)
        self._rotation = Rotation(corpus, settings.examples, settings.seed, self._kept)

    def _examples(self, question: Question, sample: int) -> tuple[Pair, ...]:
        return self._rotation.choose(question, sample)

    def _keep(self, calls: Sequence[Call]) -> None:
        chosen = {(call.question.id, call.sample): tuple(pair.id for pair in call.examples) for call in calls}
        self._choices.keep_examples(self._rotation_name, {place: ids for place, ids in chosen.items() if self._kept.get(place) != ids})


def parameters(teacher: Teacher) -> dict[str, Any]:
    """Everything a request holds beside its messages."""
    return {"model": teacher.model, "temperature": teacher.temperature, teacher.token_limit: teacher.max_tokens, **teacher.parameters}


def call_facts(call: Call, model: str, settings: str, prompt: Prompt) -> dict[str, Any]:
    """The columns of the ledger's answer row that do not come from the answer; `settings` is the hash of the parameters sent."""
    return {
        "key": call.key,
        "question_id": call.question.id,
        "sample": call.sample,
        "model": model,
        "prompt": prompt.hash,
        "settings": settings,
        "examples": json.dumps([pair.id for pair in call.examples]),
    }


def settings_hash(request: dict[str, Any]) -> str:
    """A short name for the parameters but the model."""
    return sha256(repr(sorted((name, str(value)) for name, value in request.items() if name != "model")).encode()).hexdigest()[:12]


def run_name(ledger: Ledger, answers: Path, planner: Planner) -> str:
    """Names a run by what it buys from what, so that a retry goes on under the same cap."""
    parts = (ledger.writer, read_manifest(answers).digest, planner.prompt.hash, planner.settings, str(planner.parameters["model"]))
    return sha256("\n".join(parts).encode()).hexdigest()[:16]


def reasons_to_buy(missing: Sequence[Call], planner: Planner, ledger: Ledger) -> dict[str, int]:
    """Why these calls, which the ledger does not hold, must be bought: each reason with its number of calls."""
    earlier = ledger.earlier({call.question.id for call in missing})
    return dict(Counter(_reason(earlier.get((call.question.id, call.sample)), planner) for call in missing))


def _reason(earlier: tuple[str, str, str] | None, planner: Planner) -> str:
    if earlier is None:
        return NEVER_ASKED
    model, prompt, settings = earlier
    if prompt != planner.prompt.hash:
        return "the prompt changed"
    if model != planner.parameters["model"]:
        return "the model changed"
    if settings != planner.settings:
        return "the settings changed"
    return "the question or an example changed"
