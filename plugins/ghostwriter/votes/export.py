"""Votes as rows of TRL's two formats for preferences, after the leak check.

preference   {prompt, chosen, rejected}: one row a vote that prefers one of two different answers
kto          {prompt, completion, label}: one row an answer; both of a tie are wanted, neither of `bad`

Prompts and answers are lists of messages. A vote is left out when one of its questions is, or nearly
is, a held-out one, or when one of its answers nearly repeats the writer's answer to one: what is
trained on it would then be examined on what it knows.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ghostwriter.pairs import Pair
from ghostwriter.similarity import answers_index, questions_index
from ghostwriter.votes.records import VoteRow, messages_of

Format = Literal["preference", "kto"]
FORMATS: tuple[Format, ...] = get_args(Format)
Row = dict[str, Any]


@dataclass(frozen=True)
class Exported:
    """The rows, how many votes they are made of, and the votes left out by reason."""

    rows: tuple[Row, ...]
    votes: int
    dropped: Counter[str]


def export_votes(votes: Sequence[VoteRow], heldout: Sequence[Pair], form: Format) -> Exported:
    """The rows of the votes that may be trained on, in their order."""
    is_leak = _leak_check(heldout)
    rows: list[Row] = []
    dropped: Counter[str] = Counter()
    used = 0
    for vote in votes:
        if reason := ("near_heldout" if is_leak(vote) else _unusable(vote, form)):
            dropped[reason] += 1
        else:
            rows += _ROWS[form](vote)
            used += 1
    return Exported(tuple(rows), used, dropped)


def _leak_check(heldout: Sequence[Pair]) -> Callable[[VoteRow], bool]:
    questions = questions_index((pair.id, pair.question) for pair in heldout)
    answers = answers_index((pair.id, pair.answer) for pair in heldout)

    def is_leak(vote: VoteRow) -> bool:
        messages = messages_of(vote)
        asked = [message["content"] for message in messages if message["role"] == "user"]
        answered = [message["content"] for message in messages if message["role"] == "assistant"]
        return any(map(questions.find, asked)) or any(map(answers.find, (*answered, vote.text_a, vote.text_b)))

    return is_leak


def _unusable(vote: VoteRow, form: Format) -> str | None:
    """Why a vote gives no row of a format; None when it does."""
    if not (vote.text_a.strip() and vote.text_b.strip()):
        return "empty_answer"
    if vote.text_a == vote.text_b and vote.choice in ("a", "b"):
        return "same_answer"
    if form == "preference" and vote.choice not in ("a", "b"):
        return "no_preference"
    return None


def _preference_rows(vote: VoteRow) -> Iterator[Row]:
    chosen, rejected = (vote.text_a, vote.text_b) if vote.choice == "a" else (vote.text_b, vote.text_a)
    yield {"prompt": messages_of(vote), "chosen": _answer(chosen), "rejected": _answer(rejected)}


def _kto_rows(vote: VoteRow) -> Iterator[Row]:
    """Both answers, or the one they both are."""
    for text, letter in {vote.text_a: "a", vote.text_b: "b"}.items():
        wanted = vote.choice in (letter, "tie")
        yield {"prompt": messages_of(vote), "completion": _answer(text), "label": wanted}


def _answer(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


_ROWS: dict[Format, Callable[[VoteRow], Iterator[Row]]] = {"preference": _preference_rows, "kto": _kto_rows}
