"""Ask all arms the same held-out questions and measure what they answer.

A rerun goes on where a killed one stopped. Nothing is decided here.
"""

import json
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from training.answer import lm_eval_tasks
from training.answer.arms import LoadedArm, SharedBase
from training.answer.generate import Answer
from training.answer.limit import answer_limit
from training.answer.reload import reloaded_share
from training.bootstrap import Measured, mean
from training.contract import (
    HELDOUT_FILE,
    RESULT_FILE,
    TRAINING_FILES,
    TWINS_FILE,
    ArmRequest,
    EvaluateRequest,
    EvaluateResult,
    read_json,
    write_json,
)
from training.measure import tracked as evaluate_tracking
from training.measure.ability import ability
from training.measure.contrast import language_of, other_writers
from training.measure.degeneration import degeneration
from training.measure.measures import Measures, differences, scores
from training.measure.memorisation import memorisation
from training.measure.phrases import Phrases, find_phrases
from training.measure.style_distance import embed, style_distance
from training.models.model import Base
from training.progress import Progress
from training.rows.data import Message, Row, read_messages
from training.signals import StopFlag
from training.tracking.run import open_run

if TYPE_CHECKING:
    from training.measure.views import Views

log = logging.getLogger(__name__)

WRITER, BASE = "writer", "base"
SAMPLES_FILE = "samples.jsonl"


@dataclass(frozen=True)
class Exam:
    """The held-out conversations all arms are asked, the writer's own training pairs, and all texts an arm may have been trained on."""

    heldout: list[list[Message]]
    training: list[list[Message]]
    trained_texts: list[str]
    teacher: list[str] = field(default_factory=list)
    twins: dict[int, str] = field(default_factory=dict)
    """Plain rewrites of the writer's training answers, by their place among `training`."""

    @property
    def writer(self) -> list[str]:
        """The writer's own answers to the questions."""
        return _answers(self.heldout)


@dataclass(frozen=True)
class ArmAnswers:
    """What one arm gave: answers, its figures beyond those of texts, and the share of answers that plain transformers gave again."""

    answers: list[Answer]
    figures: dict[str, Measured]
    reloaded: float | None = None


def evaluate(request: EvaluateRequest, stop: StopFlag) -> EvaluateResult:
    """Ask and measure all arms, and write the result last. Raises TrainingError, or Stopped with finished batches kept."""
    result_path = request.run_folder / RESULT_FILE
    if result_path.exists():
        log.info("Already evaluated: %s", result_path)
        return read_json(EvaluateResult, result_path)
    lm_eval_tasks.require(request.lm_eval)
    request.run_folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with open_run(request.tracking, request.run_folder) as run:
        exam = load_exam(request)
        evaluate_tracking.start(run, request)
        shared = SharedBase(request, stop)
        given = _ask_arms(request.model_copy(update={"max_new_tokens": _limit(request, exam, shared.base)}), exam, shared)
        seen = _views(request, exam, given)
        measured, withheld = _measure(request, exam, given, seen, shared.base)
        phrases = _phrases(request, exam, given)
        measured = {name: {**measured[name], **phrases.measures(texts)} for name, texts in _crowds(exam, given).items()}
        samples = _samples(exam, given)
        result = EvaluateResult(
            samples=_write_samples(request.run_folder, samples),
            candidate=request.candidate,
            scores=scores(measured, request.seed),
            differences=differences(measured, request.candidate, request.seed),
            withheld=withheld,
            separation=seen.separation,
            shuffled=seen.shuffled,
            phrases=phrases.listed,
            reloaded=given[request.candidate].reloaded,
            questions=len(exam.heldout),
            run_id=run.run_id,
            seconds=round(time.monotonic() - began, 3),
        )
        evaluate_tracking.end(run, request, samples, result, seen.styles["style"])
    write_json(result, result_path)
    log.info("Evaluated %s on %d questions in %.0f s.", ", ".join(given), result.questions, result.seconds)
    return result


def load_exam(request: EvaluateRequest) -> Exam:
    """The questions: all held-out rows, or a seeded choice of `questions` of them, in the file's order. Raises DatasetError."""
    heldout = [messages for _, messages in read_messages(request.dataset, [HELDOUT_FILE])]
    chosen = sorted(random.Random(request.seed).sample(range(len(heldout)), min(request.questions, len(heldout))))
    training = [messages for _, messages in read_messages(request.dataset, TRAINING_FILES["direct"])]
    others = [name for name in TRAINING_FILES["distilled"] if (request.dataset / name).exists()]
    distilled = [messages for _, messages in read_messages(request.dataset, others)]
    trained_texts = _answers([*training, *distilled])
    twins = _twins(request.dataset, training)
    return Exam([heldout[index] for index in chosen], training, trained_texts, _answers(distilled), twins)


def _twins(dataset: Path, training: Sequence[list[Message]]) -> dict[int, str]:
    """The dataset's plain rewrites of the training answers, if it has any, by the place of the answer to the same question."""
    if not (dataset / TWINS_FILE).exists():
        return {}
    plain = {messages[-2]["content"]: messages[-1]["content"] for _, messages in read_messages(dataset, [TWINS_FILE])}
    asked = [messages[-2]["content"] for messages in training]
    return {place: plain[question] for place, question in enumerate(asked) if question in plain}


def _limit(request: EvaluateRequest, exam: Exam, base: Base) -> int:
    """Tokens an answer may have. Raises DatasetError."""
    heldout, training = ([len(ids) for ids in base.chat.encode(texts)] for texts in (exam.writer, _answers(exam.training)))
    limit = answer_limit(request.max_new_tokens, [*heldout, *training], heldout, may_cut=request.cut_answers)
    log.info("Answers may have %d tokens.", limit)
    return limit


def _ask_arms(request: EvaluateRequest, exam: Exam, shared: SharedBase) -> dict[str, ArmAnswers]:
    total = len(request.arms) * len(exam.heldout)
    given: dict[str, ArmAnswers] = {}
    with Progress(request.run_folder, "evaluate", total, "answers", line_every=request.batch or 1) as progress:
        for index, arm in enumerate(request.arms):
            began = time.monotonic()
            with shared.arm(arm) as loaded:
                given[arm.name] = _ask_arm(request, arm, exam, loaded, progress, index * len(exam.heldout))
            if arm.name == request.candidate and arm.adapter:
                reloaded = _reloaded(request, arm, exam, given[arm.name], shared.base)
                given[arm.name] = replace(given[arm.name], reloaded=reloaded)
            _say_pace(arm.name, time.monotonic() - began, loaded)
    return given


def _say_pace(name: str, seconds: float, loaded: LoadedArm) -> None:
    log.info("%s: %.0f s, of which %.0f s answering, at %d tokens/s", name, seconds, loaded.pace.seconds, loaded.pace.per_second)


def _ask_arm(request: EvaluateRequest, arm: ArmRequest, exam: Exam, loaded: LoadedArm, progress: Progress, before: int) -> ArmAnswers:
    chat, conversations = loaded.base.chat, _with_examples(arm, exam, request.seed)
    prompts = [chat.prompt(messages[:-1]) for messages in conversations]
    rows = [Row("heldout", prompt + chat.answer(messages), len(prompt)) for prompt, messages in zip(prompts, conversations, strict=True)]
    assert request.max_new_tokens
    limits = [request.max_new_tokens] * len(prompts)
    answers = loaded.answers(prompts, limits, lambda done: progress.update(before + done, arm.name), request.answering)
    figures = {"heldout_loss": loaded.loss(rows)}
    if request.ability and not arm.examples:
        figures |= ability(loaded)
    if not arm.examples:
        figures |= loaded.lm_eval(request.lm_eval)
    return ArmAnswers(answers, figures)


def _reloaded(request: EvaluateRequest, arm: ArmRequest, exam: Exam, given: ArmAnswers, base: Base) -> float:
    """Share of some answers that the adapter, read again by plain peft, gives again."""
    assert arm.adapter is not None
    prompts = [base.chat.prompt(messages[:-1]) for messages in _with_examples(arm, exam, request.seed)]
    return reloaded_share(base, arm.adapter, prompts, given.answers, request.answering)


def _with_examples(arm: ArmRequest, exam: Exam, seed: int) -> list[list[Message]]:
    """Each held-out conversation, after the arm's example pairs (the same for all) as earlier turns."""
    pairs = random.Random(seed).sample(exam.training, min(arm.examples, len(exam.training)))
    earlier = [message for pair in pairs for message in pair]
    return [[*earlier, *messages] for messages in exam.heldout]


def _views(request: EvaluateRequest, exam: Exam, given: dict[str, ArmAnswers]) -> "Views":
    from training.measure.views import views  # scikit-learn comes with it: the answers begin sooner

    training = _answers(exam.training)
    others = other_writers(request.dataset, language_of(training))
    texts = {name: _texts(arm) for name, arm in given.items()}
    return views(training, others, exam.writer, texts, texts.get(BASE, []), exam.twins, request.seed)


def _measure(
    request: EvaluateRequest, exam: Exam, given: dict[str, ArmAnswers], seen: "Views", base: Base
) -> tuple[Measures, dict[str, str]]:
    """All figures of all arms and of the writer, and why some are withheld."""
    writer = exam.writer
    measured: dict[str, dict[str, Measured]] = {}
    for name, arm in given.items():
        finished = [answer.finished for answer in arm.answers]
        measured[name] = {
            **arm.figures,
            **degeneration(_texts(arm), finished, writer),
        }
    measured[WRITER] = degeneration(writer, [True] * len(writer), writer)
    for name, figures in memorisation(_crowds(exam, given), exam.trained_texts).items():
        measured[name] |= figures
    distances, why_not = _distances(request, exam, given, base)
    for name, figures in measured.items():
        figures |= {view: mean(found.scores[name]) for view, found in seen.styles.items() if name in found.scores}
        if name in distances:
            figures["style_distance"] = distances[name]
    reasons = {"style_distance": why_not, "ability": "" if request.ability else "it was not asked for"}
    return measured, {**seen.withheld, **{name: why for name, why in reasons.items() if why}}


def _phrases(request: EvaluateRequest, exam: Exam, given: dict[str, ArmAnswers]) -> Phrases:
    training = _answers(exam.training)
    language = language_of(training)
    base = _texts(given[BASE]) if BASE in given else []
    others = [*base, *other_writers(request.dataset, language)]
    return find_phrases(training, [*base, *exam.teacher], others, language)


def _crowds(exam: Exam, given: dict[str, ArmAnswers]) -> dict[str, list[str]]:
    """The texts of the writer and of each arm."""
    return {WRITER: exam.writer, **{name: _texts(arm) for name, arm in given.items()}}


def _distances(request: EvaluateRequest, exam: Exam, given: dict[str, ArmAnswers], base: Base) -> tuple[dict[str, Measured], str]:
    training = random.Random(request.seed).sample(exam.training, min(len(exam.training), len(exam.heldout)))
    crowds = {"training": _answers(training), WRITER: exam.writer, **{name: _texts(arm) for name, arm in given.items()}}
    rows = iter(embed(base, [text for texts in crowds.values() for text in texts]))
    tables = {name: np.array([next(rows) for _ in texts]) for name, texts in crowds.items()}
    return style_distance(tables.pop("training"), tables[WRITER], tables.get(BASE), tables)


def _answers(conversations: Sequence[list[Message]]) -> list[str]:
    return [messages[-1]["content"] for messages in conversations]


def _texts(arm: ArmAnswers) -> list[str]:
    return [answer.text for answer in arm.answers]


def _samples(exam: Exam, given: dict[str, ArmAnswers]) -> list[dict[str, str]]:
    return [
        {"question": pair[-2]["content"], WRITER: pair[-1]["content"], **{name: arm.answers[index].text for name, arm in given.items()}}
        for index, pair in enumerate(exam.heldout)
    ]


def _write_samples(run_folder: Path, samples: Sequence[dict[str, str]]) -> Path:
    path = run_folder / SAMPLES_FILE
    path.write_text("".join(json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples), encoding="utf-8")
    return path
