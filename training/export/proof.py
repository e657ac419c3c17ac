"""Does an export answer as the adapter does in plain peft, and otherwise than the base?

The export answers some questions greedily, in the program it is made for. Then plain peft reads each answer in one forward pass: token
by token it must be its own choice, or as good as that, so a near tie that fell otherwise changes nothing after it. An answer that the
base would give as well proves nothing, and of an export all of whose answers are such the adapter has been lost on the way.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Any, Protocol

from training.answer.reload import Compared, compare, tolerance
from training.contract import ExportProof
from training.errors import ExportError
from training.models.model import Base
from training.rows.data import Message

PROBES: tuple[list[Message], ...] = (
    [{"role": "user", "content": "3.14 is not 22/7; it's about 12345 times  nothing.\n\n\tAnd I'll say so."}],
    [{"role": "user", "content": "灯塔为什么要亮一整夜?“因为”海——很黑。"}],
    [{"role": "user", "content": "What does <|im_end|> mean, and </s>?"}],
    [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Who are you?"},
        {"role": "assistant", "content": "A keeper."},
        {"role": "user", "content": "Of what? 🕯️"},
    ],
)
"""Conversations whose token ids must be training's: digits, blanks, another script, spelled special tokens, several turns."""


class Answerer(Protocol):
    """A program that runs an export."""

    def prompt(self, messages: list[Message]) -> list[int]:
        """Token ids of a conversation up to where the answer begins."""
        ...

    def answers(self, prompts: Sequence[list[int]], most: int) -> list[list[int]]:
        """Token ids of the greedy answers, each with its end token when it comes within `most`."""
        ...


ROUNDED = 1
"""Answers that say how much is rounding, in a second way of computing them; somebody waits, and in float32 it is next to nothing."""

Answered = Sequence[tuple[list[int], list[int]]]
"""Prompts with the export's answers, as token ids."""


def ask(export: Answerer, base: Base, questions: Sequence[str], most: int) -> Answered:
    """The export's answers. Raises ExportError when it writes a prompt otherwise than training did, or has nothing to say."""
    asked: list[list[Message]] = [[{"role": "user", "content": question}] for question in questions]
    for messages in (*asked, *PROBES):
        theirs, ours = export.prompt(messages), base.chat.prompt(messages)
        if theirs != ours:
            raise ExportError(
                f"The export writes the prompt {messages[-1]['content'][:60]!r} as {len(theirs)} tokens, training as {len(ours)}, and"
                " they are not the same. Its chat template or tokenizer is another one. Export it --as peft or --as merged."
            )
    prompts = [base.chat.prompt(messages) for messages in asked]
    answers = export.answers(prompts, most)
    if not all(answers):
        raise ExportError(f"The export gives no answer to {questions[answers.index([])][:60]!r}.")
    return list(zip(prompts, answers, strict=True))


def prove(base: Base, adapted: Any | None, answered: Answered) -> ExportProof:
    """Compare an export's answers with plain peft's and the base's; `base` is in float32, so that only true near ties are allowed for.

    `adapted` is PEFT's model: `base` with the adapter as its folder has it, unmerged; None where it is the base that is exported.
    Raises ExportError when an answer is not the adapter's, or all could be the base's.
    """
    model = base.model if adapted is None else adapted
    first, second = compare(model, answered, "sdpa"), compare(model, answered[:ROUNDED], "eager")
    near = tolerance(first[:ROUNDED], second, base.model.dtype)
    proof = ExportProof(
        questions=len(answered),
        agree=_within(near, first),
        like_base=len(answered) if adapted is None else _like_base(adapted, answered, near),
        furthest=round(max(float(each.gap.max()) for each in first), 6),
        near_tie=round(near, 6),
        tokens=sum(len(ids) for _, ids in answered),
        answers=tuple(base.tokenizer.decode(ids) for _, ids in answered),
        ids=tuple(tuple(ids) for _, ids in answered),
    )
    _check(proof, "base in plain transformers" if adapted is None else "adapter in plain peft")
    if adapted is not None and proof.like_base == proof.questions:
        raise ExportError(
            f"All {proof.questions} answers of the export could be the base's: the adapter changes nothing, or was lost on the way."
            " Nothing was exported."
        )
    return proof


def _like_base(adapted: Any, answered: Answered, near: float) -> int:
    """How many answers, from the first on, the base could have given too. One that it could not is enough, and somebody waits."""
    with adapted.disable_adapter():
        return sum(takewhile(bool, (_within(near, compare(adapted, [each], "sdpa")) for each in answered)))


def _within(near: float, compared: Sequence[Compared]) -> int:
    """Answers none of whose tokens has a larger gap than `near`, in nats."""
    return sum(float(each.gap.max()) <= near for each in compared)


def _check(proof: ExportProof, what: str) -> None:
    if proof.agree < proof.questions:
        raise ExportError(
            f"The export answers {proof.questions - proof.agree} of {proof.questions} questions otherwise than the {what}"
            f" (up to {proof.furthest:.3f} nats behind its choice). Nothing was exported."
        )
