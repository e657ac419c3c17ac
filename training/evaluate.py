"""Examine arms on the same held-out questions: greedy answers, the loss on the writer's real answers, and scores of both.

A rerun goes on where a killed one stopped. Nothing is compared or decided here.
"""

import json
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from training import evaluate_tracking
from training.answers import answer_all
from training.bootstrap import Measured, mean, ratio
from training.contract import HELDOUT_FILE, RESULT_FILE, TRAINING_FILES, ArmRequest, EvaluateRequest, EvaluateResult, read_json, write_json
from training.data import Message, Row, collate, read_messages
from training.degeneration import degeneration
from training.generate import Answer, answer_batch
from training.loss import answer_loss, head, hidden_states
from training.measures import Measures, differences, scores
from training.memorisation import memorisation
from training.model import Base, load_adapter, load_base
from training.processes import best_device
from training.progress import Progress
from training.signals import StopFlag
from training.style import Style, style
from training.tracking import open_run

log = logging.getLogger(__name__)

WRITER, BASE = "writer", "base"
SAMPLES_FILE = "samples.jsonl"
BATCH = 8


@dataclass(frozen=True)
class Exam:
    """The held-out conversations all arms are asked, and the writer's own training pairs."""

    heldout: list[list[Message]]
    training: list[list[Message]]


@dataclass(frozen=True)
class ArmAnswers:
    """What one arm gave: its answers, and its loss on each of the writer's real ones: nats, and answer tokens."""

    answers: list[Answer]
    nats: list[float]
    tokens: list[int]


def evaluate(request: EvaluateRequest, stop: StopFlag) -> EvaluateResult:
    """Ask and score all arms, and write the result last. Raises TrainingError, or Stopped with finished batches kept."""
    result_path = request.run_folder / RESULT_FILE
    if result_path.exists():
        log.info("Already evaluated: %s", result_path)
        return read_json(EvaluateResult, result_path)
    request.run_folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with open_run(request.tracking, request.run_folder) as run:
        exam = load_exam(request)
        evaluate_tracking.start(run, request)
        given = _ask_arms(request, exam, stop)
        measured, withheld = _measure(exam, given)
        samples = _samples(exam, given)
        result = EvaluateResult(
            samples=_write_samples(request.run_folder, samples),
            candidate=request.candidate,
            scores=scores(measured, request.seed),
            differences=differences(measured, request.candidate, request.seed),
            withheld=withheld,
            reloaded=None,
            questions=len(exam.heldout),
            run_id=run.run_id,
            seconds=round(time.monotonic() - began, 3),
        )
        evaluate_tracking.end(run, request, samples, result)
    write_json(result, result_path)
    log.info("Evaluated %s on %d questions in %.0f s.", ", ".join(given), result.questions, result.seconds)
    return result


def load_exam(request: EvaluateRequest) -> Exam:
    """The questions: all held-out rows, or a seeded choice of `questions` of them, in the file's order. Raises DatasetError."""
    heldout = [messages for _, messages in read_messages(request.dataset, [HELDOUT_FILE])]
    chosen = sorted(random.Random(request.seed).sample(range(len(heldout)), min(request.questions, len(heldout))))
    training = [messages for _, messages in read_messages(request.dataset, TRAINING_FILES["direct"])]
    return Exam([heldout[index] for index in chosen], training)


def heldout_nats(model: Any, base: Base, rows: Sequence[Row], batch: int) -> list[float]:
    """Cross-entropy, in nats, of the answer tokens of each row together."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index].ids))
    nats = [0.0] * len(rows)
    with torch.inference_mode():
        for start in range(0, len(rows), batch):
            chosen = order[start : start + batch]
            padded = collate([rows[index] for index in chosen], base.tokenizer.pad_token_id).to(base.model.device)
            hidden = hidden_states(model, input_ids=padded.ids, attention_mask=padded.attention)
            for place, index in enumerate(chosen):
                nats[index] = float(answer_loss(hidden[place, :-1], padded.labels[place, 1:], head(model)))
    return nats


def _ask_arms(request: EvaluateRequest, exam: Exam, stop: StopFlag) -> dict[str, ArmAnswers]:
    total = len(request.arms) * len(exam.heldout)
    given: dict[str, ArmAnswers] = {}
    with Progress(request.run_folder, "evaluate", total, "answers", line_every=request.batch or BATCH) as progress:
        for index, arm in enumerate(request.arms):
            given[arm.name] = _ask_arm(request, arm, exam, stop, progress, index * len(exam.heldout))
    return given


def _ask_arm(request: EvaluateRequest, arm: ArmRequest, exam: Exam, stop: StopFlag, progress: Progress, before: int) -> ArmAnswers:
    base = load_base(request.base, request.revision, request.precision, request.models, best_device())
    model = load_adapter(base, arm.adapter) if arm.adapter else base.model.eval()
    conversations = _with_examples(arm, exam, request.seed)
    prompts = [base.chat.prompt(messages[:-1]) for messages in conversations]
    rows = [
        Row("heldout", prompt + base.chat.answer(messages), len(prompt)) for prompt, messages in zip(prompts, conversations, strict=True)
    ]

    def ask(batch: Sequence[list[int]]) -> list[Answer]:
        stop.raise_if_set("The answers given so far are kept; run the same command again to go on.")
        return answer_batch(model, base, batch, request.max_new_tokens)

    batch = request.batch or BATCH
    nats = heldout_nats(model, base, rows, batch)
    path = request.run_folder / f"answers-{arm.name}.jsonl"
    answers = answer_all(path, prompts, batch, ask, lambda done: progress.update(before + done, arm.name))
    return ArmAnswers(answers, nats, [len(row.ids) - row.answer_start for row in rows])


def _with_examples(arm: ArmRequest, exam: Exam, seed: int) -> list[list[Message]]:
    """Each held-out conversation, after the arm's example pairs (the same for all) as earlier turns."""
    pairs = random.Random(seed).sample(exam.training, min(arm.examples, len(exam.training)))
    earlier = [message for pair in pairs for message in pair]
    return [[*earlier, *messages] for messages in exam.heldout]


def _style(exam: Exam, given: dict[str, ArmAnswers]) -> Style:
    if BASE not in given:
        return Style({}, None, f"there is no arm {BASE!r} to measure the floor with")
    texts = {name: [answer.text for answer in arm.answers] for name, arm in given.items()}
    return style([pair[-1]["content"] for pair in exam.training], [pair[-1]["content"] for pair in exam.heldout], texts[BASE], texts)


def _measure(exam: Exam, given: dict[str, ArmAnswers]) -> tuple[Measures, dict[str, str]]:
    """All figures of all arms and of the writer, and why some are withheld."""
    training_texts = [pair[-1]["content"] for pair in exam.training]
    writer = [pair[-1]["content"] for pair in exam.heldout]
    measured: dict[str, dict[str, Measured]] = {}
    for name, arm in given.items():
        texts, finished = [answer.text for answer in arm.answers], [answer.finished for answer in arm.answers]
        own = {"heldout_loss": ratio(arm.nats, arm.tokens)}
        measured[name] = {**own, **degeneration(texts, finished, writer), **memorisation(texts, training_texts)}
    measured[WRITER] = {**degeneration(writer, [True] * len(writer), writer), **memorisation(writer, training_texts)}
    manner = _style(exam, given)
    for name, values in manner.scores.items():
        measured[name]["style"] = mean([values] * len(writer))
    return measured, {"style": manner.withheld} if manner.withheld else {}


def _samples(exam: Exam, given: dict[str, ArmAnswers]) -> list[dict[str, str]]:
    return [
        {"question": pair[-2]["content"], WRITER: pair[-1]["content"], **{name: arm.answers[index].text for name, arm in given.items()}}
        for index, pair in enumerate(exam.heldout)
    ]


def _write_samples(run_folder: Path, samples: Sequence[dict[str, str]]) -> Path:
    path = run_folder / SAMPLES_FILE
    path.write_text("".join(json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples), encoding="utf-8")
    return path
