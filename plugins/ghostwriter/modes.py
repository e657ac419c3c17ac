"""The modes of distilling: what each buys, which arms it serves, and where its answers stand in the ledger."""

from typing import Literal, get_args

from training.contract import Arm

Mode = Literal["distilled", "self-instruct", "direct", "inverse", "inverse+distilled"]
"""Answers of a stronger teacher, of the student itself (an ablation), or the writer's own pairs only, without any call; `inverse`: the
teacher rewrites the writer's own answers plainly, and with `+distilled` it answers as well."""
MODES: tuple[Mode, ...] = get_args(Mode)
PURCHASES: dict[Mode, tuple[Mode, ...]] = {
    "distilled": ("distilled",),
    "self-instruct": ("self-instruct",),
    "direct": (),
    "inverse": ("inverse",),
    "inverse+distilled": ("inverse", "distilled"),
}
"""What each mode buys, in this order; each has its own prompt and its own place in the ledger."""
MODE_OF_ARM: dict[Arm, Mode] = {
    "direct": "direct",
    "distilled": "distilled",
    "mixed": "distilled",
    "self-instruct": "self-instruct",
    "inverse": "inverse",
    "inverse+distilled": "inverse+distilled",
    "staged": "distilled",
    "distilled-top": "distilled",
    "distilled-random": "distilled",
    "preferred": "distilled",
    "inverse+preferred": "inverse",
}
"""The mode that gives what each arm trains on."""
LEDGER_SUFFIX: dict[Mode, str] = {"self-instruct": "-student", "inverse": "-plain"}
"""What the writer's name has behind it in the ledger, where calls may never mix with the teacher's answers."""
