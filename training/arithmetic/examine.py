"""Have the base and each epoch's adapter multiply numbers they were not trained on, greedily, and check every line they write.

Every arm sits the set `unseen`; the last one sits the reworded questions and the longer numbers too. A rerun goes on where
a killed one stopped.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.answer.arms import BATCHES, LoadedArm, SharedBase
from training.answer.generate import Answer
from training.arithmetic import tracked as examine_tracking
from training.arithmetic.chains import Row
from training.arithmetic.data import DIRECT_FILE, read_facts, read_questions
from training.arithmetic.scores import Marked, mark, score
from training.bootstrap import estimate
from training.contract import RESULT_FILE, ArmRequest, ExamineRequest, ExamineResult, Pace, SetScore, read_json, write_json
from training.errors import DatasetError
from training.measure.ability import ability
from training.processes import best_device
from training.progress import Progress
from training.rows.data import Message, read_messages
from training.signals import StopFlag
from training.tracking.run import TrackedRun, open_run

log = logging.getLogger(__name__)

UNSEEN = "unseen"
ROOM = 16
"""Tokens an answer may have beyond the right one."""


@dataclass(frozen=True)
class ArmResult:
    """What one arm gave: its score and marked answers by set, its other abilities, and how fast it answered."""

    scores: dict[str, SetScore]
    marked: dict[str, list[Marked]]
    ability: dict[str, float]
    pace: Pace


def examine(request: ExamineRequest, stop: StopFlag) -> ExamineResult:
    """Ask and mark all arms, and write the result last. Raises TrainingError, or Stopped with finished batches kept."""
    result_path = request.run_folder / RESULT_FILE
    if result_path.exists():
        log.info("Already examined: %s", result_path)
        return read_json(ExamineResult, result_path)
    sets, trained_phrasings = _questions(request.dataset)
    request.run_folder.mkdir(parents=True, exist_ok=True)
    request = request.model_copy(update={"batch": request.batch or BATCHES.get(best_device().type, BATCHES["cpu"])})
    began = time.monotonic()
    with open_run(request.tracking, request.run_folder) as run:
        examine_tracking.start(run, request)
        shared = SharedBase(request, stop)
        results_by_arm = _examine_arms(request, sets, shared, run)
        shared.prune()
        result = ExamineResult(
            scores={arm: each.scores for arm, each in results_by_arm.items()},
            ability={arm: each.ability for arm, each in results_by_arm.items() if each.ability},
            pace={arm: each.pace for arm, each in results_by_arm.items()},
            trained_phrasings=trained_phrasings,
            run_id=run.run_id,
            seconds=round(time.monotonic() - began, 3),
        )
        examine_tracking.end(run, request, result, {arm: each.marked for arm, each in results_by_arm.items()})
    write_json(result, result_path)
    log.info("Examined %s in %.0f s.", ", ".join(results_by_arm), result.seconds)
    return result


def _questions(dataset: Path) -> tuple[dict[str, list[Row]], int]:
    """The sets of questions, and how many phrasings were trained on. Raises DatasetError."""
    try:
        sets, facts = read_questions(dataset), read_facts(dataset)
        return {UNSEEN: sets[UNSEEN], **sets}, facts["phrasings"]
    except (FileNotFoundError, KeyError) as error:
        raise DatasetError(f"{dataset} holds no multiplications to ask. Make it with `python -m training.arithmetic`.") from error


def _examine_arms(request: ExamineRequest, sets: dict[str, list[Row]], shared: SharedBase, run: TrackedRun) -> dict[str, ArmResult]:
    chosen = {arm.name: sets if arm is request.arms[-1] else {UNSEEN: sets[UNSEEN]} for arm in request.arms}
    total = sum(len(rows) for given in chosen.values() for rows in given.values())
    results_by_arm: dict[str, ArmResult] = {}
    with Progress(request.run_folder, "examine", total, "answers", line_every=request.batch or 1) as progress:
        done = 0
        for arm in request.arms:
            with shared.arm(arm) as loaded:
                results_by_arm[arm.name] = _Examiner(request, arm, loaded, progress, done).examine(chosen[arm.name])
            examine_tracking.arm(run, arm.name, results_by_arm[arm.name].scores)
            done += sum(map(len, chosen[arm.name].values()))
    return results_by_arm


class _Examiner:
    """One arm's model, ready to be asked."""

    def __init__(self, request: ExamineRequest, arm: ArmRequest, loaded: LoadedArm, progress: Progress, done: int) -> None:
        self._request, self._arm, self._progress, self._done = request, arm, progress, done
        self._loaded = loaded
        self._examples = _examples(request, arm)

    def examine(self, sets: Mapping[str, Sequence[Row]]) -> ArmResult:
        """Answer all sets, and have the other abilities probed where that is asked for."""
        asked = [(name, row) for name, rows in sets.items() for row in rows]
        answers, pace = self._answer([row for _, row in asked]), self._loaded.pace
        marked: dict[str, list[Marked]] = {name: [] for name in sets}
        for (name, row), answer in zip(asked, answers, strict=True):
            marked[name].append(mark(row, answer))
        scores = {name: score(ones) for name, ones in marked.items()}
        for name, one in scores.items():
            log.info("%s on %s: %.1f %% exact, %.1f %% whole chains", self._arm.name, name, 100 * one.product, 100 * one.chain)
        log.info("%s generated %d tokens at %d tokens/s", self._arm.name, pace.tokens, pace.per_second)
        return ArmResult(scores, marked, self._probe(), pace)

    def _answer(self, rows: Sequence[Row]) -> list[Answer]:
        """Answers in order, each with a little more room than the right one needs."""
        base = self._loaded.base
        prompts = [base.chat.prompt([*self._examples, row["messages"][0]]) for row in rows]
        right = base.tokenizer([row["messages"][1]["content"] for row in rows]).input_ids
        return self._loaded.answers(prompts, [len(ids) + ROOM for ids in right], self._say)

    def _say(self, done: int) -> None:
        self._progress.update(self._done + done, f"{self._arm.name}  {self._loaded.pace.per_second} tokens/s")

    def _probe(self) -> dict[str, float]:
        probed = (self._request.arms[0], self._request.arms[-1])
        if not self._request.ability or self._arm not in probed:
            return {}
        return {name: estimate(measured).value for name, measured in ability(self._loaded).items()}


def _examples(request: ExamineRequest, arm: ArmRequest) -> list[Message]:
    """The arm's worked examples, as earlier turns: the first training rows in the words of the question."""
    rows = [messages for _, messages in read_messages(request.dataset, [DIRECT_FILE])[: arm.examples]] if arm.examples else []
    return [message for messages in rows for message in messages]
