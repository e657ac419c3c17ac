"""Ask all arms the same held-out questions: answers, losses and embeddings, all that needs the models.

What is measured from them (training.measure.evaluate) needs no GPU. A rerun goes on where a killed one stopped.
"""

import logging
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from training.answer.arms import KEPT, LoadedArm, SharedBase
from training.answer.generate import Answer
from training.answer.limit import answer_limit
from training.answer.reload import reloaded_share
from training.bootstrap import Measured
from training.contract import (
    ANSWERED_FILE,
    GREEDY,
    HELDOUT_FILE,
    TRAINING_FILES,
    TWINS_FILE,
    ArmRequest,
    EvaluateRequest,
    asking_for_notes,
    with_notes,
    write_json,
)
from training.measure.ability import ability
from training.measure.answered import Answered, AnsweredArm, Answers, save_embeddings, sums_of
from training.measure.contrast import language_of, other_writers
from training.measure.measures import BASE, WRITER
from training.measure.style_distance import embed
from training.measure.style_transfer import hears_transfer, transfer_gains
from training.models.model import Base
from training.processes import Processes, leave
from training.progress import Progress
from training.rows.data import Message, Row, read_messages
from training.signals import Look, StopFlag

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Corpus:
    """The held-out conversations all arms are asked, the writer's own training pairs, and what the teacher answered for training."""

    heldout: list[list[Message]]
    training: list[list[Message]]
    teacher: list[str]
    twins: dict[int, str]
    """Plain rewrites of the writer's training answers, by their place among `training`."""

    @property
    def writer(self) -> list[str]:
        """The writer's own answers to the questions."""
        return last_answers(self.heldout)

    @property
    def questions(self) -> list[str]:
        """What each conversation asks last."""
        return [messages[-2]["content"] for messages in self.heldout]


@dataclass(frozen=True)
class ArmAnswers:
    """What one arm gave, with the tokens of its answers."""

    answers: list[Answer]
    greedy: list[Answer] | None
    figures: dict[str, Measured]

    @property
    def kept(self) -> AnsweredArm:
        figures = {name: sums_of(figure) for name, figure in self.figures.items()}
        answers = _texts_of(self.answers)
        greedy = None if self.greedy is None else _texts_of(self.greedy)
        return AnsweredArm(texts=answers.texts, finished=answers.finished, figures=figures, greedy=greedy)


def _texts_of(answers: Sequence[Answer]) -> Answers:
    return Answers(texts=tuple(answer.text for answer in answers), finished=tuple(answer.finished for answer in answers))


def answer(request: EvaluateRequest, corpus: Corpus, run_id: str | None, stop: StopFlag) -> None:
    """Ask all arms and write what they gave, `answered.json` last. Raises TrainingError, or Stopped with finished batches kept."""
    began = time.monotonic()
    shared = SharedBase(request, stop)
    limit = limit_of(request, corpus, shared.base)
    arms = _ask_arms(request.model_copy(update={"max_new_tokens": limit}), corpus, shared)
    _embed(request, corpus, arms, shared.base, lambda: stop.raise_if_set(KEPT))
    transfer = _transfer(request, corpus, arms, shared) if hears_transfer(shared.base.model.num_parameters()) else {}
    shared.prune()
    seconds = round(time.monotonic() - began, 3)
    answered = Answered(
        arms=arms,
        questions=tuple(corpus.questions),
        answering=request.answering,
        limit=limit,
        transfer=transfer,
        seconds=seconds,
        run_id=run_id,
    )
    write_json(answered, request.run_folder / ANSWERED_FILE)
    log.info("%s answered %d questions in %.0f s.", ", ".join(arms), len(corpus.heldout), seconds)


def load_corpus(request: EvaluateRequest) -> Corpus:
    """The questions: all held-out rows, or a seeded choice of `questions` of them, in the file's order. Raises DatasetError."""
    heldout = [messages for _, messages in read_messages(request.dataset, [HELDOUT_FILE])]
    chosen = sorted(random.Random(request.seed).sample(range(len(heldout)), min(request.questions, len(heldout))))
    training = [messages for _, messages in read_messages(request.dataset, TRAINING_FILES["direct"])]
    others = [name for name in TRAINING_FILES["distilled"] if (request.dataset / name).exists()]
    teacher = last_answers([messages for _, messages in read_messages(request.dataset, others)])
    return Corpus([heldout[index] for index in chosen], training, teacher, _twins(request.dataset, training))


def _twins(dataset: Path, training: Sequence[list[Message]]) -> dict[int, str]:
    """The dataset's plain rewrites of the training answers, if it has any, by the place of the answer to the same question."""
    if not (dataset / TWINS_FILE).exists():
        return {}
    plain = {messages[-2]["content"]: messages[-1]["content"] for _, messages in read_messages(dataset, [TWINS_FILE])}
    asked = [messages[-2]["content"] for messages in training]
    return {place: plain[question] for place, question in enumerate(asked) if question in plain}


def limit_of(request: EvaluateRequest, corpus: Corpus, base: Base) -> int:
    """Tokens an answer may have. Raises DatasetError."""
    heldout, training = ([len(ids) for ids in base.chat.encode(texts)] for texts in (corpus.writer, last_answers(corpus.training)))
    limit = answer_limit(request.max_new_tokens, [*heldout, *training], heldout, may_cut=request.cut_answers)
    log.info("Answers may have %d tokens.", limit)
    return limit


def _ask_arms(request: EvaluateRequest, corpus: Corpus, shared: SharedBase) -> dict[str, AnsweredArm]:
    of_each = len(corpus.heldout) * (2 if request.answers_greedily_too else 1)
    total = len(request.arms) * of_each
    answers_by_arm: dict[str, AnsweredArm] = {}
    with Progress(request.run_folder, "evaluate", total, "answers", line_every=request.batch or 1) as progress:
        for index, arm in enumerate(request.arms):
            answers = ask_arm(request, arm, corpus, shared, progress, index * of_each)
            answers_by_arm[arm.name] = answers.kept
            if arm.name == request.candidate and arm.adapter:
                reloaded = _reloaded(request, arm, corpus, answers.answers, shared.base)
                answers_by_arm[arm.name] = answers_by_arm[arm.name].model_copy(update={"reloaded": reloaded})
    return answers_by_arm


def ask_arm(
    request: EvaluateRequest,
    arm: ArmRequest,
    corpus: Corpus,
    shared: SharedBase,
    progress: Progress,
    before: int = 0,
) -> ArmAnswers:
    """Have one arm answer all questions on a base that is loaded; `before` answers were given by others. `max_new_tokens` is set."""
    began = time.monotonic()
    asked = _with_notes(corpus, _notes(request, arm, corpus, shared))
    with shared.arm(arm) as loaded:
        answers = _ask_loaded(request, arm, asked, loaded, progress, before)
    _say_pace(arm.name, time.monotonic() - began, loaded)
    return answers


def _notes(request: EvaluateRequest, arm: ArmRequest, corpus: Corpus, shared: SharedBase) -> list[str] | None:
    """The notes under each question, of an arm that gets some; the base drafts them without an adapter, once for all such arms."""
    if arm.notes == "none":
        return None
    if arm.notes == "answer":
        return corpus.writer
    assert request.max_new_tokens
    with shared.arm(ArmRequest(name=f"{arm.name}: drafts")) as loaded:
        asked = [[*messages[:-2], {"role": "user", "content": asking_for_notes(messages[-2]["content"])}] for messages in corpus.heldout]
        prompts = [loaded.base.chat.prompt(messages) for messages in asked]
        drafts = loaded.answers(prompts, [request.max_new_tokens] * len(prompts), answering=request.answering)
    texts = [draft.text for draft in drafts]
    return [*texts[1:], texts[0]] if arm.notes == "another draft" else texts


def _with_notes(corpus: Corpus, notes: Sequence[str] | None) -> Corpus:
    """The same questions, each with its notes; those that have no text stay without."""
    if notes is None:
        return corpus
    return replace(corpus, heldout=[_noted(messages, one) for messages, one in zip(corpus.heldout, notes, strict=True)])


def _noted(messages: list[Message], notes: str) -> list[Message]:
    *earlier, question, answer = messages
    asked = with_notes(question["content"], notes) if notes else question["content"]
    return [*earlier, {"role": "user", "content": asked}, answer]


def _say_pace(name: str, seconds: float, loaded: LoadedArm) -> None:
    log.info("%s: %.0f s, of which %.0f s answering, at %d tokens/s", name, seconds, loaded.pace.seconds, loaded.pace.per_second)


def _ask_loaded(
    request: EvaluateRequest, arm: ArmRequest, corpus: Corpus, loaded: LoadedArm, progress: Progress, before: int
) -> ArmAnswers:
    chat, conversations = loaded.base.chat, _with_examples(arm, corpus, request.seed)
    prompts = [chat.prompt(messages[:-1]) for messages in conversations]
    rows = [Row("heldout", prompt + chat.answer(messages), len(prompt)) for prompt, messages in zip(prompts, conversations, strict=True)]
    assert request.max_new_tokens
    limits = [request.max_new_tokens] * len(prompts)
    answers = loaded.answers(prompts, limits, lambda done: progress.update(before + done, arm.name), request.answering)
    greedy = None
    if request.answers_greedily_too:
        before += len(prompts)
        greedy = loaded.answers(prompts, limits, lambda done: progress.update(before + done, f"{arm.name}, greedily"), GREEDY)
    figures = {"heldout_loss": loaded.loss(rows)}
    if request.ability and not arm.examples:
        figures |= ability(loaded)
    if not arm.examples:
        figures |= loaded.lm_eval(request.lm_eval)
    return ArmAnswers(answers, greedy, figures)


def _reloaded(request: EvaluateRequest, arm: ArmRequest, corpus: Corpus, answers: Sequence[Answer], base: Base) -> float:
    """Share of some answers that the adapter, read again by plain peft, gives again."""
    assert arm.adapter is not None
    prompts = [base.chat.prompt(messages[:-1]) for messages in _with_examples(arm, corpus, request.seed)]
    return reloaded_share(base, arm.adapter, prompts, answers, request.answering)


def _with_examples(arm: ArmRequest, corpus: Corpus, seed: int) -> list[list[Message]]:
    """Each held-out conversation, after the arm's example pairs (the same for all) as earlier turns."""
    pairs = random.Random(seed).sample(corpus.training, min(arm.examples, len(corpus.training)))
    earlier = [message for pair in pairs for message in pair]
    return [[*earlier, *messages] for messages in corpus.heldout]


def _transfer(
    request: EvaluateRequest, corpus: Corpus, arms: Mapping[str, AnsweredArm], shared: SharedBase
) -> dict[str, tuple[float | None, ...]]:
    """What each answer gains by an example of the writer, by the base's own likelihood."""
    training = last_answers(corpus.training)
    language = language_of(training)
    crowds = {**{name: arm.texts for name, arm in arms.items()}, WRITER: corpus.writer}
    with shared.arm(ArmRequest(name=BASE)) as loaded:
        return transfer_gains(loaded, crowds, training, other_writers(request.dataset, language), corpus.twins, language, request.seed)


def _embed(request: EvaluateRequest, corpus: Corpus, arms: dict[str, AnsweredArm], base: Base, look: Look) -> None:
    """Write the embeddings of as many training answers as there are questions, of the writer's answers and of each arm's."""
    training = random.Random(request.seed).sample(corpus.training, min(len(corpus.training), len(corpus.heldout)))
    crowds: dict[str, Sequence[str]] = {"training": last_answers(training), WRITER: corpus.writer}
    crowds |= {name: arm.texts for name, arm in arms.items()}
    rows = iter(embed(base, [text for texts in crowds.values() for text in texts], look))
    tables: dict[str, Any] = {name: np.array([next(rows) for _ in texts]) for name, texts in crowds.items()}
    save_embeddings(request.run_folder, tables)


def last_answers(conversations: Sequence[list[Message]]) -> list[str]:
    """The last turn of each."""
    return [messages[-1]["content"] for messages in conversations]


def ask_own_arms(request: EvaluateRequest, stop: StopFlag) -> None:
    """In one of several processes, one per GPU: ask this one's arms, on a base of its own.

    What they answer is kept beside the base models (training.answer.kept_rows), where the process that goes on when all have ended
    finds it. So nothing is sent between them, and a killed one costs its last batch. Raises TrainingError, or Stopped.
    """
    processes, corpus = Processes(), load_corpus(request)
    shared = SharedBase(request, stop)
    request = request.model_copy(update={"max_new_tokens": limit_of(request, corpus, shared.base)})
    arms = request.arms[processes.rank :: processes.count]
    others = request.run_folder / f"process-{processes.rank}"
    folder = request.run_folder if processes.is_main else others
    folder.mkdir(parents=True, exist_ok=True)
    of_each = len(corpus.heldout) * (2 if request.answers_greedily_too else 1)
    total, every = of_each * len(arms), request.batch or 1
    silent = not processes.is_main
    with Progress(folder, "evaluate", total, "answers", line_every=every, silent=silent) as progress:
        for index, arm in enumerate(arms):
            ask_arm(request, arm, corpus, shared, progress, index * of_each)
    leave()
