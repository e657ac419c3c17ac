"""From dataset rows (`messages`) to token ids with a loss mask, and to padded batches.

The prompt and the answer are tokenised apart, as generation will see them; a row ends in the chat template's end token.
The mask is kept as a length (`answer_start`), so a token id that is also the padding id is never masked by mistake.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from training.errors import DatasetError

IGNORED = -100
"""Label of a position without loss; PyTorch's and transformers' convention."""

Message = dict[str, str]
_PROBE = "PROBE7ANSWER"


@dataclass(frozen=True)
class Row:
    """One example: `ids[answer_start:]` are the answer and its end token; `source` is like `direct.jsonl:12` (line numbers from 1)."""

    source: str
    ids: list[int]
    answer_start: int


@dataclass(frozen=True)
class Rows:
    """All rows of a dataset that can be trained on, and how many were left out, by reason."""

    rows: list[Row]
    dropped: dict[str, int]


@dataclass(frozen=True)
class Batch:
    """Padded rows: int64 `ids` and `labels`, 0/1 `attention`, each (rows, longest row)."""

    ids: torch.Tensor
    labels: torch.Tensor
    attention: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        return Batch(self.ids.to(device), self.labels.to(device), self.attention.to(device))


class ChatFormat:
    """How one tokenizer's chat template writes a conversation, and how it ends an answer.

    Raises DatasetError when the template's answers do not end in a special token, or do not follow its own generation prompt.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        if not tokenizer.chat_template:
            raise DatasetError(
                f"The tokenizer of {tokenizer.name_or_path} has no chat template. Choose an instruct model, or add one to its folder."
            )
        self._special = [token for token in tokenizer.get_added_vocab() if token.strip()]
        self.end_token = self._find_end_token()
        self.end_id: int = tokenizer.convert_tokens_to_ids(self.end_token)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Token ids up to where the assistant's answer begins; `messages` ends with a user turn."""
        return self._encode(self._prompt_text(messages))

    def answer(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the last turn's text and its end token."""
        prompt, whole = self._prompt_text(messages[:-1]), self._render(messages, generation=False)
        if not whole.startswith(prompt):
            raise DatasetError("The chat template writes another prompt for generation than for training; its answers cannot be masked.")
        answer = whole[len(prompt) :]
        return self._encode(answer[: answer.rindex(self.end_token) + len(self.end_token)])

    def has_special_token(self, text: str) -> bool:
        """Whether `text` contains the spelling of a special token, which would be read as the token itself."""
        return any(token in text for token in self._special)

    def _prompt_text(self, messages: Sequence[Message]) -> str:
        return self._render(messages, generation=True)

    def _render(self, messages: Sequence[Message], *, generation: bool) -> str:
        text: str = self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=generation)
        return text

    def _encode(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False).input_ids)

    def _find_end_token(self) -> str:
        text = self._render([_turn("user", "x"), _turn("assistant", _PROBE)], generation=False)
        rest = text[text.rindex(_PROBE) + len(_PROBE) :].lstrip()
        found = [token for token in self._special if rest.startswith(token)]
        if not found:
            raise DatasetError(
                f"The chat template of {self.tokenizer.name_or_path} ends an answer with {rest[:20]!r}, which is no special token."
            )
        return str(max(found, key=len))


def load_rows(dataset: Path, files: Sequence[str], chat: ChatFormat, max_length: int, too_long: Literal["drop", "refuse"] = "drop") -> Rows:
    """Tokenise the named JSONL files. Rows are kept whole or left out and counted. Raises DatasetError."""
    rows: list[Row] = []
    dropped: dict[str, int] = {}
    for source, messages in read_messages(dataset, files):
        reason, row = _row(source, messages, chat, max_length)
        if reason == "too_long" and too_long == "refuse":
            raise DatasetError(
                f'{source}: {len(row.ids)} tokens are more than max_length = {max_length}. Raise max_length, or set too_long = "drop".'
            )
        if reason:
            dropped[reason] = dropped.get(reason, 0) + 1
        else:
            rows.append(row)
    if not rows:
        reasons = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise DatasetError(
            f"{dataset} has no rows to train on in {', '.join(files)}" + (f"; all were left out: {reasons}." if dropped else ".")
        )
    return Rows(rows, dropped)


def read_messages(dataset: Path, files: Iterable[str]) -> list[tuple[str, list[Message]]]:
    """(source, messages) of every row, in order; the last message is a non-empty answer. Raises DatasetError."""
    found = []
    for name in files:
        path = dataset / name
        if not path.exists():
            raise DatasetError(f"{path} does not exist. Build the dataset again.")
        with path.open(encoding="utf-8") as file:
            found += [(f"{name}:{number}", _parse(f"{name}:{number}", line)) for number, line in enumerate(file, 1) if line.strip()]
    return found


def collate(rows: Sequence[Row], pad_id: int) -> Batch:
    """Pad `rows` on the right to the longest of them; loss on the answer and its end token only."""
    width = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    labels = torch.full((len(rows), width), IGNORED, dtype=torch.long)
    attention = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        length = len(row.ids)
        ids[index, :length] = torch.tensor(row.ids)
        labels[index, row.answer_start : length] = ids[index, row.answer_start : length]
        attention[index, :length] = 1
    return Batch(ids, labels, attention)


def preview(row: Row, tokenizer: Any) -> str:
    """The row as text, with the part that carries loss between ⟦ and ⟧, for a person to check."""
    prompt, answer = tokenizer.decode(row.ids[: row.answer_start]), tokenizer.decode(row.ids[row.answer_start :])
    return f"{row.source}  ({len(row.ids)} tokens, {len(row.ids) - row.answer_start} with loss)\n{prompt}⟦{answer}⟧\n"


def answer_tokens(rows: Iterable[Row]) -> int:
    """How many positions of `rows` carry loss."""
    return sum(len(row.ids) - row.answer_start for row in rows)


def _row(source: str, messages: list[Message], chat: ChatFormat, max_length: int) -> tuple[str | None, Row]:
    if any(chat.has_special_token(message["content"]) for message in messages):
        return "special_token", Row(source, [], 0)
    prompt = chat.prompt(messages[:-1])
    row = Row(source, prompt + chat.answer(messages), len(prompt))
    return ("too_long" if len(row.ids) > max_length else None), row


def _parse(source: str, line: str) -> list[Message]:
    try:
        messages = [_turn(message["role"], message["content"]) for message in json.loads(line)["messages"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(f'{source} is no row of the form {{"messages": [{{"role": ..., "content": ...}}, ...]}}: {error!r}.') from error
    if len(messages) < 2 or messages[-1]["role"] != "assistant" or not messages[-1]["content"].strip():
        raise DatasetError(
            f"{source} has no answer: its last message must be a non-empty one of the assistant. Remove the row or build the dataset again."
        )
    return messages


def _turn(role: str, content: str) -> Message:
    if not isinstance(content, str):
        raise TypeError(f"content is {type(content).__name__}, not text")
    return {"role": role, "content": content}
