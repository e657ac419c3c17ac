"""`compare`: every arm on one split, by hand, in one table and a report for an issue. It promotes nothing."""

import argparse
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from ghostwriter.commands.run import INTERRUPTED, Display
from ghostwriter.commands.services import services
from ghostwriter.distilling.distill import distill, estimate
from ghostwriter.distilling.typical_cost import TYPICAL_ANSWER, TYPICAL_QUESTION
from ghostwriter.errors import GhostwriterError, SnapshotError
from ghostwriter.home import Home
from ghostwriter.modes import MODE_OF_ARM, Mode
from ghostwriter.snapshot import newest, read_manifest
from ghostwriter.writer import Writer, load_writer
from training.contract import (
    FIRST_STAGE,
    INVERSE_FILE,
    PREFERRING,
    SELECTING,
    TRAINING_FILES,
    Arm,
    EvaluateResult,
    Recipe,
    TrainResult,
    load_recipe,
    read_json,
    recipe_names,
)

ARMS: tuple[Arm, ...] = (
    "distilled",
    "direct",
    "mixed",
    "inverse",
    "inverse+distilled",
    "preferred",
    "inverse+preferred",
    "staged",
    "distilled-top",
    "distilled-random",
)
"""All but the ablation `self-instruct`; `distilled` first, with which all others are compared."""
TOKENS_A_SECOND = 15_000
"""Of a 7B with a rank of 256, on one H100 or H200 (docs/speed.md)."""
ANSWERS_A_SECOND = 20
"""Of the same, a few hundred tokens each, all questions at once (training/LOG.md: 17,000 tokens a second)."""
FURTHER_ARMS, MINUTES_TO_START = 6, 2
"""Base, few-shot, champion, and three arms once more in two passes; imports and weights, for each stage."""
INVERSE_ROWS, PAIR_ROWS, SELECTED_SHARE = 2.5, 4, 1 / 3
"""What a pair is in rows of the usual length: its row with notes and two thirds of a bare one; two answers, once more to sample one and
take the reference. And the share that `distilled-top` trains on."""
LARGE = "7b"
Done = TypeVar("Done")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `compare`."""
    parser = commands.add_parser("compare", help="every arm on one split: which one has the voice? Nothing is promoted")
    parser.add_argument("writer", metavar="WRITER", help="stem of a file in writers/")
    parser.add_argument("--arms", nargs="+", choices=sorted(TRAINING_FILES), default=list(ARMS), help="only these (default: all)")
    parser.add_argument("--recipe", choices=recipe_names(), help="another than the writer file's")
    parser.add_argument("--dry-run", action="store_true", help="say what it would cost and take; ask nothing, train nothing")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Buy what is missing, train, answer, measure; 0 when the report is written. Run again it goes on where it stopped."""
    home = Home(arguments.home.resolve()) if arguments.home else Home.default()
    writer, arms = load_writer(arguments.writer), in_order(arguments.arms)
    if arguments.recipe:
        writer = writer.model_copy(update={"training": writer.training.model_copy(update={"recipe": arguments.recipe})})
    answers = newest(home.answers(writer.stem))
    if answers is None:
        raise SnapshotError(f"There are no answers of {writer.name} yet: python -m ghostwriter run {writer.stem} collect snapshot")
    if arguments.dry_run:
        plan = estimate(writer, home, answers, mode=mode_for(arms))
        print(plan, duration(writer, load_recipe(writer.training.recipe), plan.pairs, arms), sep="\n")
        return 0
    home.check_space()
    with services(home), Display([*_stages(arms)]) as display:
        comparison = Comparison(writer, home, answers, arms, display)
        try:
            report = comparison.run()
        except KeyboardInterrupt:
            display.fail("stopped. What was done is kept: the same command goes on from there.")
            return INTERRUPTED
        except GhostwriterError as error:
            display.fail(f"{error.code}: {error}")
            return error.exit_status
    print(report.read_text(encoding="utf-8"))
    print(f"The report is {report}. Read it, fill in the two lines with dots, and paste it into an issue.")
    return 0


class Comparison:
    """One comparison: the stages of the DAG `<writer>_compare`, and the purchase before them."""

    def __init__(self, writer: Writer, home: Home, answers: Path, arms: Sequence[Arm], display: Display) -> None:
        self._writer, self._home, self._answers, self._arms, self._display = writer, home, answers, arms, display

    def run(self) -> Path:
        """The report's file. Raises GhostwriterError."""
        from ghostwriter.mlflow_runs import comparison
        from ghostwriter.mlflow_runs.arm_goals import arms_report
        from ghostwriter.mlflow_runs.pipeline_run import RunByHand, close_run
        from ghostwriter.mlflow_runs.server import mlflow_client
        from ghostwriter.tasks import stages

        recipe = self._writer.training.recipe
        dataset = self._stage("distil", self._distil)
        by_hand = RunByHand(f"{self._writer.stem}_compare", f"by-hand-{read_manifest(dataset).digest[:16]}-{recipe}", datetime.now(UTC))
        run_id = comparison.open_comparison(self._writer, by_hand)
        requests = [stages.plan_arm(self._writer, dataset, arm, recipe, run_id) for arm in self._arms]
        trained = [self._stage(arm, partial(self._train, request)) for arm, request in zip(self._arms, requests, strict=True)]
        asked = stages.plan_evaluation(self._writer, requests, run_id, few_shot=True)
        result = self._stage("answer", lambda: self._examine(asked))
        comparison.summarise(asked, run_id)
        close_run(mlflow_client(), run_id, succeeded=True)
        report = Path(asked).with_name("report-for-an-issue.md")
        report.write_text(arms_report(result, self._facts(dataset, trained, result), self._writer.gate), encoding="utf-8")
        return report

    def _stage(self, name: str, work: Callable[[], Done]) -> Done:
        self._display.start(name)
        done = work()
        self._display.end("")
        return done

    def _distil(self) -> Path:
        """The dataset that all arms train on; what the ledger holds is not bought again. The nights go on from another one."""
        from ghostwriter.tasks.connections import teacher_endpoint

        mode = mode_for(self._arms)
        endpoint = None if mode == "direct" else teacher_endpoint(self._writer.asking(mode).teacher.connection)
        return distill(
            self._writer, self._home, self._answers, endpoint, mode=mode, progress=lambda progress: self._display.detail(str(progress))
        )

    def _train(self, request: str) -> TrainResult:
        from ghostwriter.launchers.local import LocalStage

        return read_json(TrainResult, LocalStage("train", Path(request)).run(self._display.detail))

    def _examine(self, request: str) -> EvaluateResult:
        from ghostwriter.launchers.local import LocalStage

        LocalStage("evaluate", Path(request)).run(self._display.detail)
        return read_json(EvaluateResult, LocalStage("measure", Path(request)).run(self._display.detail))

    def _facts(self, dataset: Path, trained: Sequence[TrainResult], result: EvaluateResult) -> dict[str, str]:
        manifest = read_manifest(dataset)
        recipe = load_recipe(self._writer.training.recipe)
        rows = ", ".join(f"{entry.rows} {name.removesuffix('.jsonl')}" for name, entry in manifest.files.items())
        training = "; ".join(f"{arm} {one.steps} steps, {one.seconds:.0f} s" for arm, one in zip(self._arms, trained, strict=True))
        return {
            "base, recipe": f"{recipe.base}, {self._writer.training.recipe} (rank {recipe.rank}, {recipe.epochs} epochs, one seed)",
            "language": self._writer.language,
            "rows": rows,
            "held-out questions": str(result.questions),
            "teacher": f"{self._writer.teacher.model}, {manifest.facts.get('cost', {}).get('answers', 0)} in all",
            "training": training,
            "answering and measuring": f"{result.seconds:.0f} s",
        }


def in_order(arms: Sequence[Arm]) -> list[Arm]:
    """Each once, `distilled` first where it is among them."""
    return sorted(dict.fromkeys(arms), key=lambda arm: arm != "distilled")


def mode_for(arms: Sequence[Arm]) -> Mode:
    """The mode whose dataset all these arms can train on. Raises SnapshotError when there is none."""
    modes = {MODE_OF_ARM[arm] for arm in arms} - {"direct"}
    if not modes:
        return "direct"
    if "self-instruct" in modes and len(modes) > 1:
        raise SnapshotError("Arm 'self-instruct' trains on answers of the student, the others on the teacher's: compare it by itself.")
    return modes.pop() if len(modes) == 1 else "inverse+distilled"


def duration(writer: Writer, recipe: Recipe, pairs: int, arms: Sequence[Arm]) -> str:
    """About how long it takes where that is known: a 7B on one H100. `pairs` are the writer's own to train on."""
    if LARGE not in recipe.base.lower():
        return f"How long: not known for {recipe.base}; `python -m ghostwriter run {writer.stem} train` shows what one arm takes."
    tokens = sum(_tokens(arm, pairs, writer.teacher.answers) * recipe.epochs for arm in arms)
    asked = writer.evaluation.questions * (len(arms) + FURTHER_ARMS) + pairs * len({*arms} & {*PREFERRING})
    training, answering = tokens / TOKENS_A_SECOND / 60, asked / ANSWERS_A_SECOND / 60
    return (
        f"How long: about {training:.0f} minutes of training (at {TOKENS_A_SECOND:,} tokens/s), {answering:.0f} of answering and"
        f" {MINUTES_TO_START * (len(arms) + 1)} of starting, on one H100. `make gpu-check` says what your card does."
    )


def _tokens(arm: Arm, pairs: int, answers: int) -> float:
    """Of one epoch."""
    row = TYPICAL_QUESTION + TYPICAL_ANSWER
    sizes = {"direct.jsonl": pairs, "distilled.jsonl": answers, INVERSE_FILE: pairs * INVERSE_ROWS}
    if arm in PREFERRING:
        return _tokens(FIRST_STAGE[arm], pairs, answers) + pairs * row * PAIR_ROWS
    share = SELECTED_SHARE if arm in SELECTING else 1
    return row * share * sum(sizes[name] for name in TRAINING_FILES[arm])


def _stages(arms: Sequence[Arm]) -> tuple[str, ...]:
    return ("distil", *arms, "answer")
