"""Arms: what an adapter is trained on, in which files it stands, and how one is asked in an evaluation."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from training.frozen import Frozen

Arm = Literal[
    "direct",
    "distilled",
    "mixed",
    "self-instruct",
    "inverse",
    "inverse+distilled",
    "staged",
    "distilled-top",
    "distilled-random",
    "preferred",
    "inverse+preferred",
]
"""What an adapter is trained on: the writer's pairs, the teacher's, both, or answers the base wrote itself;

inverse                          the writer's answers to their questions with plain notes; `+distilled`: and the teacher's
staged                           the teacher's, then the writer's
distilled-top, distilled-random  the third of the teacher's that is most like the writer; any third, to compare it with
preferred                        after `distilled` pairs of the writer's answers and the student's own; `inverse+`: after `inverse`
"""

INVERSE_FILE = "inverse.jsonl"
"""The writer's training answers again, most to their question with notes, where plain rewrites were bought."""
TRAINING_FILES: dict[str, tuple[str, ...]] = {
    "direct": ("direct.jsonl",),
    "distilled": ("distilled.jsonl",),
    "mixed": ("direct.jsonl", "distilled.jsonl"),
    "self-instruct": ("distilled.jsonl",),
    "inverse": (INVERSE_FILE,),
    "inverse+distilled": (INVERSE_FILE, "distilled.jsonl"),
    "staged": ("distilled.jsonl", "direct.jsonl"),
    "distilled-top": ("distilled.jsonl",),
    "distilled-random": ("distilled.jsonl",),
    "preferred": ("distilled.jsonl", "direct.jsonl"),
    "inverse+preferred": (INVERSE_FILE, "direct.jsonl"),
}
"""Files of the dataset folder that each arm trains on."""

FIRST_STAGE: dict[Arm, Arm] = {"staged": "distilled", "preferred": "distilled", "inverse+preferred": "inverse"}
"""Arms that are trained in two stages, and the arm whose training is the first."""
PREFERRING: tuple[Arm, ...] = ("preferred", "inverse+preferred")
"""Arms whose second stage trains on pairs of answers, which stand in PAIRS_FILE and VOTES_FILE of the run folder in TRL's form."""
PAIRS_FILE, VOTES_FILE = "pairs.jsonl", "votes.jsonl"

SELECTING: tuple[Arm, ...] = ("distilled-top", "distilled-random")
"""Arms that train on some rows of their file, which stand in SELECTED_FILE of the run folder (training.measure.selection)."""
SELECTED_FILE = "selected.jsonl"


Notes = Literal["none", "draft", "another draft", "answer"]
"""Notes an adapter of arm `inverse` gets: none; the base's plain draft, in two passes; and as controls the draft of another question
(the voice must stay), and the writer's own answer (what copying looks like)."""


class ArmRequest(Frozen):
    """One arm of an evaluation: the base, bare or with examples in its prompt, or the base with an adapter."""

    name: str
    adapter: Path | None = None
    examples: int = Field(0, ge=0)
    """Pairs of direct.jsonl shown before the question."""
    notes: Notes = "none"
    """What stands under the question as notes."""

    @model_validator(mode="after")
    def _no_notes_without_adapter(self) -> Self:
        if self.notes != "none" and self.adapter is None:
            raise ValueError(f"arm {self.name!r} has notes and no adapter: notes are for adapters that learned to use them")
        return self
