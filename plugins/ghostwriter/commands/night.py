"""A whole night by hand, stage by stage, with what Airflow's tasks do: each stage takes the newest of what the one before left.

Everything is named by its inputs, so a stage that is run again finds what is done and goes on from there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ghostwriter.collecting.answers import snapshot_answers
from ghostwriter.collecting.collect import Tally, collect
from ghostwriter.distilling.distill import distill
from ghostwriter.errors import LaunchError, SnapshotError
from ghostwriter.home import Home
from ghostwriter.judging.gate import Decision
from ghostwriter.launchers.local import LocalStage
from ghostwriter.mlflow_runs.pipeline_run import RunByHand, close_run
from ghostwriter.mlflow_runs.server import mlflow_client
from ghostwriter.snapshot import newest, read_manifest, set_current
from ghostwriter.tasks import stages
from ghostwriter.tasks.connections import site_access, teacher_endpoint
from ghostwriter.writer import Writer
from training.contract import RESULT_FILE, EvaluateResult, TrainResult, read_json

Say = Callable[[str], None]


@dataclass
class Night:
    """One writer's night. `say` is told, again and again, how far a stage is; each stage returns what came of it, in words."""

    writer: Writer
    home: Home
    say: Say
    approved: bool = False
    _planned: dict[str, str] = field(default_factory=dict)
    _decided: Decision | None = None

    def run(self, stage: str) -> str:
        """Run one of the stages, by its name. Raises GhostwriterError."""
        work: dict[str, Callable[[], str]] = {
            "collect": self._collect,
            "snapshot": self._snapshot,
            "distil": self._distil,
            "train": self._train,
            "evaluate": self._evaluate,
            "judge": self._judge,
            "promote": self._promote,
        }
        return work[stage]()

    def _collect(self) -> str:
        def show(tally: Tally) -> None:
            self.say(f"{tally.seen} of {tally.site_total or '?'} answers read, {tally.new} new, {tally.changed} changed")

        access: dict[str, Any] = dict(site_access(self.writer.source))
        return collect(self.writer, self.home, progress=show, **access).statement

    def _snapshot(self) -> str:
        folder = snapshot_answers(self.writer, self.home)
        return f"{sum(entry.rows for entry in read_manifest(folder).files.values())} answers in {folder}"

    def _distil(self) -> str:
        answers = _found(
            self.home.answers(self.writer.stem), f"There are no answers of {self.writer.name} yet: run collect and snapshot first."
        )
        mode = self.writer.mode
        endpoint = None if mode == "direct" else teacher_endpoint(self.writer.asking(mode).teacher.connection)
        folder = distill(self.writer, self.home, answers, endpoint, mode=mode, progress=lambda progress: self.say(str(progress)))
        set_current(folder)
        return f"{self._rows(folder)} in {folder}"

    def _train(self) -> str:
        result = read_json(TrainResult, LocalStage("train", Path(self._plan()["request"])).run(self.say))
        return f"{result.steps} steps in {result.seconds:.0f} s, loss {result.first_loss:.2f} to {result.last_loss:.2f}"

    def _evaluate(self) -> str:
        LocalStage("evaluate", request := self._evaluation()).run(self.say)
        result = read_json(EvaluateResult, LocalStage("measure", request).run(self.say))
        return f"{result.questions} questions answered by {len(result.scores) - 1} models in {result.seconds:.0f} s"

    def _judge(self) -> str:
        return self._decide().summary

    def _promote(self) -> str:
        planned, decision = self._plan(), self._decide()
        if not decision.promote:
            close_run(mlflow_client(), planned["run_id"], succeeded=True)
            return decision.summary
        if self.writer.gate.approval and not self.approved:
            return "The writer file asks for a person's approval: run promote again with --approve, if you approve. Nothing was changed."
        trained = read_json(TrainResult, Path(planned["request"]).parent / RESULT_FILE)
        parts = {"request": planned["request"], "run_id": trained.run_id or ""}
        version = stages.promote(self.writer, parts, decision.model_dump(mode="json"), None, planned["run_id"], self._by_hand())
        close_run(mlflow_client(), planned["run_id"], succeeded=True)
        return f"Version {version} is the champion."

    def _decide(self) -> Decision:
        """The gate's verdict; what a judge was asked before stands in the ledger and costs nothing again."""
        if self._decided is None:
            request, run_id = self._examined(), self._plan()["run_id"]
            content = stages.compare_content(self.writer, request, run_id) if self.writer.judge else None
            self._decided = Decision.model_validate(stages.judge(self.writer, request, run_id, content))
        return self._decided

    def _plan(self) -> dict[str, str]:
        """The MLflow run of this night and the training request; planned once, since a promotion changes what would be planned."""
        if not self._planned:
            training = self.writer.training
            self._planned = stages.plan_training(self.writer, self._dataset(), training.arm, training.recipe, self._by_hand())
        return self._planned

    def _evaluation(self) -> Path:
        request = Path(self._plan()["request"])
        if not (request.parent / RESULT_FILE).exists():
            raise LaunchError(f"The newest dataset of {self.writer.name} has not been trained on yet: run train first.")
        return Path(stages.plan_evaluation(self.writer, [str(request)], self._plan()["run_id"]))

    def _examined(self) -> str:
        request = self._evaluation()
        if not (request.parent / RESULT_FILE).exists():
            raise LaunchError(f"The newest adapter of {self.writer.name} has not been evaluated yet: run evaluate first.")
        return str(request)

    def _dataset(self) -> Path:
        return _found(self.home.datasets(self.writer.stem), f"There is no dataset of {self.writer.name} yet: run distil first.")

    def _by_hand(self) -> RunByHand:
        """Named by what it works on, so that a night that was killed finds its MLflow run again."""
        made = read_manifest(self._dataset())
        return RunByHand(f"{self.writer.stem}_train", f"by-hand-{made.digest[:16]}-{self.writer.training.recipe}", datetime.now(UTC))

    @staticmethod
    def _rows(folder: Path) -> str:
        return ", ".join(f"{entry.rows} {name.removesuffix('.jsonl')}" for name, entry in read_manifest(folder).files.items())


def _found(folder: Path, missing: str) -> Path:
    """The snapshot in a folder that the nights go on from. Raises SnapshotError in these words when there is none."""
    if (found := newest(folder)) is None:
        raise SnapshotError(missing)
    return found
