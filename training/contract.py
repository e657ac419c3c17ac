"""What the Airflow side and the training side tell each other: one request file in, one result file out.

Importable without torch, Airflow or MLflow; arms (training.arms), recipes (training.recipe), the files (training.frozen), how answers
are drawn (training.answering) and exports (training.export_contract) are reached through it too.
The launcher writes `request.json` into a run folder and starts `python -m training STAGE REQUEST` on it; the stage writes `result.json`
into the same folder last, by rename. `evaluate` and `measure` work on one request: the first writes `answered.json` last.

A dataset folder holds, beside its manifest, JSONL files whose rows carry `messages` (a user question, an assistant answer):

    direct.jsonl      the writer's own pairs of the training split
    inverse.jsonl     may be there: the same answers, most of them to their question with plain notes (training.notes)
    distilled.jsonl   the teacher's answers to questions of the training split
    heldout.jsonl     the writer's own pairs of the held-out split: never trained on, never shown to the teacher
    twins.jsonl       may be there: plain rewrites of answers of direct.jsonl, to the same questions; for measures only

The multiplication check's dataset has the same form: `direct.jsonl` are worked chains, `heldout.jsonl` those of unseen pairs,
and `reworded.jsonl` and `beyond.jsonl` are examined too. Its rows also carry `x`, `y` and `phrasing`.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from training.answering import GREEDY as GREEDY, Answering as Answering
from training.arms import (
    FIRST_STAGE as FIRST_STAGE,
    INVERSE_FILE as INVERSE_FILE,
    PAIRS_FILE as PAIRS_FILE,
    PREFERRING as PREFERRING,
    SELECTED_FILE as SELECTED_FILE,
    SELECTING as SELECTING,
    TRAINING_FILES as TRAINING_FILES,
    VOTES_FILE as VOTES_FILE,
    Arm as Arm,
    ArmRequest as ArmRequest,
    Notes as Notes,
)
from training.export_contract import (
    ExportCard as ExportCard,
    ExportForm as ExportForm,
    ExportProof as ExportProof,
    ExportRequest as ExportRequest,
    ExportResult as ExportResult,
)
from training.frozen import Frozen as Frozen, read_json as read_json, write_json as write_json
from training.notes import asking_for_notes as asking_for_notes, with_notes as with_notes
from training.recipe import Recipe as Recipe, RecipeError as RecipeError, load_recipe as load_recipe, recipe_names as recipe_names

METRIC_NAMES = {"heldout_loss": "heldout_loss_nats_per_token", "ability_loss": "ability_loss_nats_per_token"}
"""Names of measures in MLflow that say more than those in the result; the same for an arm and for the candidate's run above it."""

FEW_QUESTIONS = 24
"""Below so many held-out questions only large differences are certain: the split tries to hold out as many, and reports say so."""

HELDOUT_FILE = "heldout.jsonl"
TWINS_FILE = "twins.jsonl"
LM_EVAL = "lm_eval/"
"""What the names of measures from lm-eval's tasks begin with."""
REQUEST_FILE = "request.json"
RESULT_FILE = "result.json"
LAUNCHER_VARIABLE = "GHOSTWRITER_LAUNCHER_PID"
"""Environment variable with the id of the process that started a stage on this machine and waits for it: the stage ends with it."""
ANSWERED_FILE = "answered.json"
"""Answers and losses of all arms, which `evaluate` writes last: `measure` makes the result of them without a GPU."""

Stage = Literal["train", "evaluate", "measure", "examine", "export"]
WITHOUT_MODEL: tuple[Stage, ...] = ("measure",)
"""Stages that need neither a model nor a GPU."""


def last_files(stage: str) -> tuple[str, ...]:
    """The files by which a stage has ended well, any of them; an earlier version's `evaluate` measured too, and left a result."""
    return (ANSWERED_FILE, RESULT_FILE) if stage == "evaluate" else (RESULT_FILE,)


def last_file(run_folder: Path, stage: str) -> Path | None:
    """The one that is there."""
    return next((path for name in last_files(stage) if (path := run_folder / name).exists()), None)


class Tracking(Frozen):
    """Where a stage's MLflow run is, or is to be made."""

    uri: str
    experiment: str
    run_name: str
    run_id: str | None = None
    """An existing run to go on with."""
    parent_run_id: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)


class TrainRequest(Frozen):
    """Train one adapter."""

    run_folder: Path
    """Checkpoints, adapter, state and result go here; a rerun on the same folder goes on where it stopped."""
    dataset: Path
    arm: Arm
    recipe: Recipe
    start: Path | None = None
    """The adapter to start from (`warm_steps` of the recipe); None: a fresh one."""
    models: Path
    """Where base models made from packages are kept."""
    tracking: Tracking | None = None


class TrainResult(Frozen):
    """What training gave. Losses in nats per token, of answer tokens only."""

    adapter: Path
    epoch_adapters: tuple[Path, ...] = ()
    """With `keep_epochs`: the adapters of the epochs that ended before the last step, in order."""
    base: str
    run_id: str | None
    rows: int
    dropped: dict[str, int]
    steps: int
    planned_steps: int | None = None
    """Steps that were meant to be taken; more than `steps` where `max_seconds` cut them. None in results of earlier versions."""
    tokens: int
    """Real (non-padding) tokens seen, all epochs."""
    seconds: float
    first_loss: float
    last_loss: float


class Estimate(Frozen):
    """A figure over held-out questions, with its 95 % interval (training.bootstrap)."""

    value: float
    low: float
    high: float
    questions: int


class EvaluateRequest(Frozen):
    """Answer the same held-out questions with each arm, and measure the answers."""

    run_folder: Path
    dataset: Path
    base: str
    revision: str | None = None
    precision: Literal["bf16", "fp32"] = "bf16"
    arms: tuple[ArmRequest, ...]
    candidate: str
    """The arm whose differences from all others are reported."""
    questions: int = Field(200, ge=1)
    max_new_tokens: int | None = Field(None, ge=1)
    """Tokens an answer may have; None: what 99 % of the writer's own answers need (training.answer.limit)."""
    cut_answers: bool = False
    """Whether max_new_tokens may cut more than 5 % of the writer's own held-out answers; else such a request is refused."""
    answering: Answering = GREEDY
    """How answers are chosen; a request of an earlier version says nothing and means greedily."""
    greedy: bool = False
    """Whether each arm answers greedily too, to be shown beside what `answering` gives; nothing is decided by it."""
    batch: int | None = Field(None, ge=1)
    """Questions answered at once; None: as many as is fast on the device."""
    ability: bool = True
    """Whether to probe what else the arms can do."""
    lm_eval: tuple[str, ...] = ()
    """Tasks of lm-eval to run as well (training.lm_eval_tasks), by name or YAML file."""
    seed: int = 0
    models: Path
    tracking: Tracking | None = None

    @property
    def answers_greedily_too(self) -> bool:
        """Whether greedy answers are asked for beside others."""
        return self.greedy and self.answering.temperature > 0

    @model_validator(mode="after")
    def _candidate_is_an_arm(self) -> Self:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"arms need different names, not {', '.join(names)}")
        if self.candidate not in names:
            raise ValueError(f"candidate {self.candidate!r} is none of the arms: {', '.join(names)}")
        return self


class EvaluateResult(Frozen):
    """Measures of each arm, and of the writer's own held-out answers under the name `writer` (training.measures says what each is)."""

    samples: Path
    """JSONL: `question`, `writer`, and one answer for each arm under its name."""
    candidate: str
    scores: dict[str, dict[str, Estimate]]
    """Arm, or `writer`, to measure to figure."""
    differences: dict[str, dict[str, Estimate]]
    """Each other arm, and `writer`, to measure: the candidate's figure minus theirs, paired by question."""
    withheld: dict[str, str]
    """Measures that are not there, and why."""
    separation: dict[str, dict[str, float]] = Field(default_factory=dict)
    """View of style to AUC of the writer's held-out answers: against `other writers`, and against `plain rewrites` where there are any."""
    shuffled: dict[str, Estimate] = Field(default_factory=dict)
    """View of style to what it gives the writer's held-out answers with their sentences in another order, minus the writer's score."""
    greedy: dict[str, dict[str, Estimate]] = Field(default_factory=dict)
    """Arm to measure of its text to figure, had it answered greedily; empty where that was not asked for."""
    phrases: dict[str, list[str]] = Field(default_factory=dict)
    """The commonest of the phrases counted by the measures of that name (training.measure.phrases)."""
    reloaded: float | None
    """Share of some questions on which plain peft and transformers, given the candidate's adapter, choose the tokens of the answer that
    was scored (training.reload); None for a candidate without an adapter."""
    questions: int
    run_id: str | None
    seconds: float


class MultiplicationData(Frozen):
    """Which multiplications are trained on and examined. What is examined is never trained on, nor with its factors exchanged."""

    samples: int = Field(10_000, ge=1, le=200_000)
    """Training rows; pairs come again in other words only when there are no others left."""
    digits: int = Field(3, ge=1, le=6)
    """Digits of a factor, at most."""
    phrasings: int = Field(12, ge=1, le=12)
    """Ways of asking to train on."""
    pairs: int = Field(500, ge=1, le=100_000)
    """Unseen pairs to examine, at most."""
    reworded_pairs: int = Field(500, ge=0, le=100_000)
    """Of these, how many to ask again in each of the other ways; 0 for none."""
    beyond_pairs: int = Field(500, ge=0, le=100_000)
    """Pairs of numbers one digit longer than any in training; 0 for none."""
    seed: int = 0


class ExamineRequest(Frozen):
    """Have each arm multiply, greedily, and check every line of its chains. The last arm sits all sets, the others only `unseen`."""

    run_folder: Path
    dataset: Path
    base: str
    revision: str | None = None
    precision: Literal["bf16", "fp32"] = "bf16"
    arms: tuple[ArmRequest, ...] = Field(min_length=1)
    batch: int | None = Field(None, ge=1)
    """Questions answered at once; None: 512 on a GPU, 32 on a CPU."""
    ability: bool = True
    """Whether to probe what else the first and the last arm can do."""
    models: Path
    tracking: Tracking | None = None


class SetScore(Frozen):
    """How one arm did on one set of questions. Shares are between 0 and 1."""

    questions: int
    product: float
    """Share of exact products."""
    chain: float
    """Share of chains that are right in every character."""
    first_errors: dict[str, int]
    """Chains by what is wrong first in them (training.arithmetic.KINDS)."""
    by_carries: dict[str, tuple[int, float]]
    """Questions and share of right chains, by the number of carries, like `6-9`."""


class Pace(Frozen):
    """What answering took in the process that ended the examination; answers kept from before cost nothing."""

    tokens: int
    seconds: float

    @property
    def per_second(self) -> int:
        """Tokens a second; 0 when none were generated."""
        return round(self.tokens / self.seconds) if self.seconds else 0


class ExamineResult(Frozen):
    """Scores by arm and set. Sets are `unseen`, `reworded-N` (N a phrasing), `beyond`."""

    scores: dict[str, dict[str, SetScore]]
    ability: dict[str, dict[str, float]]
    pace: dict[str, Pace]
    trained_phrasings: int
    run_id: str | None
    seconds: float
