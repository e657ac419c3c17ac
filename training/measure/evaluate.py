"""Ask all arms the same held-out questions and measure what they answer: figures with intervals, and a report. Nothing is decided here.

`evaluate` asks (training.measure.asking), `measure` measures: two stages on one request. What was answered travels in files between
them, so that the GPU is given back before, and measuring again needs none.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from training.answer import lm_eval_tasks
from training.bootstrap import Measured
from training.contract import ANSWERED_FILE, RESULT_FILE, Estimate, EvaluateRequest, EvaluateResult, read_json, write_json
from training.interruptible import in_child
from training.measure import tracked as evaluate_tracking
from training.measure.answered import Answered, is_answered, read_answered, read_embeddings
from training.measure.asking import Corpus, answer, last_answers, load_corpus
from training.measure.contrast import language_of, other_writers
from training.measure.measures import BASE, WRITER, Measures, differences, scores
from training.measure.style_distance import style_distance
from training.measure.style_transfer import Gains
from training.measure.text_figures import TextFigures, Texts, text_figures
from training.signals import StopFlag
from training.tracking.run import TrackedRun, open_run

log = logging.getLogger(__name__)

SAMPLES_FILE = "samples.jsonl"
KEPT = "All answers are kept; run the same command again to measure them."


def evaluate(request: EvaluateRequest, stop: StopFlag, ask_before: Callable[[], None] = lambda: None) -> None:
    """Ask all arms, and write what they answered last. Raises TrainingError, or Stopped with finished batches kept.

    What `ask_before` has asked elsewhere, and kept, is not asked again.
    """
    if _earlier(request):
        return
    if is_answered(request.run_folder):
        log.info("Already answered: %s", request.run_folder / ANSWERED_FILE)
        return
    lm_eval_tasks.require(request.lm_eval)
    request.run_folder.mkdir(parents=True, exist_ok=True)
    with open_run(request.tracking, request.run_folder) as run:
        evaluate_tracking.start(run, request)
        ask_before()
        answer(request, load_corpus(request), run.run_id, stop)


def measure(request: EvaluateRequest, stop: StopFlag) -> EvaluateResult:
    """Measure what the arms have answered, without a model, and write the result last. Raises TrainingError, or Stopped soon."""
    if done := _earlier(request):
        return done
    read_answered(request.run_folder)
    with open_run(request.tracking, request.run_folder) as run:
        result = _measure(request, load_corpus(request), run, stop)
    return _finish(request, result)


def _earlier(request: EvaluateRequest) -> EvaluateResult | None:
    """The result that is there already."""
    path = request.run_folder / RESULT_FILE
    if not path.exists():
        return None
    log.info("Already evaluated: %s", path)
    return read_json(EvaluateResult, path)


def _finish(request: EvaluateRequest, result: EvaluateResult) -> EvaluateResult:
    write_json(result, request.run_folder / RESULT_FILE)
    names = ", ".join(arm.name for arm in request.arms)
    log.info("Evaluated %s on %d questions in %.0f s.", names, result.questions, result.seconds)
    return result


def _measure(request: EvaluateRequest, corpus: Corpus, run: TrackedRun, stop: StopFlag) -> EvaluateResult:
    began, answered = time.monotonic(), read_answered(request.run_folder)
    answered.check(request, corpus.questions, request.run_folder / ANSWERED_FILE)
    log.info("Measuring %d answers of each of %d arms ...", len(corpus.questions), len(answered.arms))
    answers_by_arm = {name: (arm.texts, arm.finished) for name, arm in answered.arms.items()}
    of_texts = in_child(stop, KEPT, text_figures, _texts(request, corpus, answers_by_arm, answered.transfer), request.seed)
    measured, withheld = _join(request, answered, of_texts)
    samples = _samples(corpus, answered)
    result = EvaluateResult(
        samples=_write_samples(request.run_folder, samples),
        candidate=request.candidate,
        scores=scores(measured, request.seed),
        differences=differences(measured, request.candidate, request.seed),
        withheld=withheld,
        separation=of_texts.views.separation,
        shuffled=of_texts.views.shuffled,
        greedy=_greedy_scores(request, corpus, answered, stop),
        phrases=of_texts.phrases,
        reloaded=answered.arms[request.candidate].reloaded,
        questions=len(corpus.heldout),
        run_id=run.run_id,
        seconds=round(answered.seconds + time.monotonic() - began, 3),
    )
    evaluate_tracking.end(run, request, samples, result, of_texts.views.styles["style"])
    return result


def _texts(
    request: EvaluateRequest,
    corpus: Corpus,
    answers_by_arm: Mapping[str, tuple[Sequence[str], Sequence[bool]]],
    transfer: Gains | None = None,
) -> Texts:
    """All that is compared, with each arm's answers and whether they came to their end; the writer's have all ended."""
    training = last_answers(corpus.training)
    language = language_of(training)
    return Texts(
        training=training,
        teacher=corpus.teacher,
        twins=corpus.twins,
        others=other_writers(request.dataset, language),
        language=language,
        answers={**{name: texts for name, (texts, _) in answers_by_arm.items()}, WRITER: corpus.writer},
        finished={**{name: finished for name, (_, finished) in answers_by_arm.items()}, WRITER: (True,) * len(corpus.writer)},
        transfer=transfer or {},
    )


def _greedy_scores(request: EvaluateRequest, corpus: Corpus, answered: Answered, stop: StopFlag) -> dict[str, dict[str, Estimate]]:
    """The figures of texts that greedy answers of all arms would have had, measured apart from those that count."""
    greedy = {name: arm.greedy for name, arm in answered.arms.items() if arm.greedy}
    if not greedy:
        return {}
    answers_by_arm = {name: (found.texts, found.finished) for name, found in greedy.items()}
    measured = in_child(stop, KEPT, text_figures, _texts(request, corpus, answers_by_arm), request.seed).measured
    return scores({name: measured[name] for name in greedy}, request.seed)


def _join(request: EvaluateRequest, answered: Answered, of_texts: TextFigures) -> tuple[Measures, dict[str, str]]:
    """All figures of all arms and of the writer, and why some are withheld."""
    tables = read_embeddings(request.run_folder)
    distances, why_not = style_distance(tables.pop("training"), tables[WRITER], tables.get(BASE), tables)
    measured: dict[str, dict[str, Measured]] = {}
    for name in (*answered.arms, WRITER):
        measured[name] = {**(answered.arms[name].measured if name in answered.arms else {}), **of_texts.measured[name]}
        if name in distances:
            measured[name]["style_distance"] = distances[name]
    reasons = {"style_distance": why_not, "ability": "" if request.ability else "it was not asked for"}
    return measured, {**of_texts.views.withheld, **{name: why for name, why in reasons.items() if why}}


def _samples(corpus: Corpus, answered: Answered) -> list[dict[str, str]]:
    return [
        {"question": pair[-2]["content"], WRITER: pair[-1]["content"], **{name: arm.texts[index] for name, arm in answered.arms.items()}}
        for index, pair in enumerate(corpus.heldout)
    ]


def _write_samples(run_folder: Path, samples: Sequence[dict[str, str]]) -> Path:
    path = run_folder / SAMPLES_FILE
    path.write_text("".join(json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples), encoding="utf-8")
    return path
