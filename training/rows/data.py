"""From dataset rows (`messages`) to token ids with a loss mask, and to padded batches.

The prompt and the answer are tokenised apart, as generation will see them; a row ends in the chat template's end token.
The mask is kept as a length (`answer_start`), so a token id that is also the padding id is never masked by mistake.
"""

import hashlib
import json
import logging
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from training.errors import UNREADABLE, DatasetError
from training.files import prune, touch, whole_file
from training.signals import Look, no_look

log = logging.getLogger(__name__)

IGNORED = -100
"""Label of a position without loss; PyTorch's and transformers' convention."""

MOST_KEPT_BYTES = 2 * 2**30
"""Of kept tokens: 40 datasets of the largest size, 14 million tokens each."""
TEXTS_AT_ONCE = 1000
"""Tokenised together: a text takes some hundred times its size while it is."""

ROLES = ("system", "user", "assistant")
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
        return self.encode([self._render(messages, generation=True)])[0]

    def answer(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the last turn's text and its end token."""
        return self.encode([self.texts(messages)[1]])[0]

    def texts(self, messages: Sequence[Message]) -> tuple[str, str]:
        """The text up to where the last turn's answer begins, and the answer with its end token."""
        prompt, whole = self._render(messages[:-1], generation=True), self._render(messages, generation=False)
        if not whole.startswith(prompt):
            raise DatasetError("The chat template writes another prompt for generation than for training; its answers cannot be masked.")
        answer = whole[len(prompt) :]
        return prompt, answer[: answer.rindex(self.end_token) + len(self.end_token)]

    def encode(self, texts: Sequence[str], look: Look = no_look) -> list[list[int]]:
        """Token ids of each text; many at once use all cores. `look` is called now and then, and may raise."""
        backend = self.tokenizer.backend_tokenizer
        backend.no_padding()
        backend.no_truncation()
        found: list[list[int]] = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            look()
            part = list(texts[start : start + TEXTS_AT_ONCE])
            found += [encoding.ids for encoding in backend.encode_batch_fast(part, add_special_tokens=False)]
        return found

    def fingerprint(self) -> str:
        """SHA-256 of the tokenizer and its template: what decides the ids of a text."""
        state = self.tokenizer.backend_tokenizer.to_str() + self.tokenizer.chat_template
        return hashlib.sha256(state.encode()).hexdigest()

    def has_special_token(self, text: str) -> bool:
        """Whether `text` contains the spelling of a special token, which would be read as the token itself."""
        return any(token in text for token in self._special)

    def _render(self, messages: Sequence[Message], *, generation: bool) -> str:
        text: str = self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=generation)
        return text

    def _find_end_token(self) -> str:
        text = self._render([_turn("user", "x"), _turn("assistant", _PROBE)], generation=False)
        rest = text[text.rindex(_PROBE) + len(_PROBE) :].lstrip()
        found = [token for token in self._special if rest.startswith(token)]
        if not found:
            raise DatasetError(
                f"The chat template of {self.tokenizer.name_or_path} ends an answer with {rest[:20]!r}, which is no special token."
            )
        return str(max(found, key=len))


def load_rows(
    dataset: Path,
    files: Sequence[str],
    chat: ChatFormat,
    max_length: int,
    too_long: Literal["drop", "refuse"] = "drop",
    cache: Path | None = None,
    look: Look = no_look,
) -> Rows:
    """Tokenise the named JSONL files, or take their tokens from the folder `cache`. Rows are kept whole or left out and counted.

    Raises DatasetError, and what `look` raises.
    """
    encoded = _cached(dataset, files, chat, cache, look) if cache else _encode_all(dataset, files, chat, look)
    reasons = [_reason(row, max_length) for row in encoded]
    if too_long == "refuse" and "too_long" in reasons:
        row = encoded[reasons.index("too_long")]
        raise DatasetError(
            f'{row.source}: {len(row.ids)} tokens are more than max_length = {max_length}. Raise max_length, or set too_long = "drop".'
        )
    rows, dropped = [row for row, reason in zip(encoded, reasons, strict=True) if not reason], Counter(filter(None, reasons))
    if not rows:
        left_out = ", ".join(f"{count} {reason}" for reason, count in dropped.items())
        raise DatasetError(
            f"{dataset} has no rows to train on in {', '.join(files)}" + (f"; all were left out: {left_out}." if dropped else ".")
        )
    return Rows(rows, dict(dropped))


def read_messages(dataset: Path, files: Iterable[str]) -> list[tuple[str, list[Message]]]:
    """(source, messages) of every row, in order; the last message is a non-empty answer. Raises DatasetError."""
    found = []
    for name in files:
        with _existing(dataset / name).open("rb") as file:
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


def _reason(row: Row, max_length: int) -> str | None:
    """Why a row is left out, if it is. Rows that spell a special token were not tokenised."""
    return "special_token" if not row.ids else "too_long" if len(row.ids) > max_length else None


def _encode_all(dataset: Path, files: Sequence[str], chat: ChatFormat, look: Look) -> list[Row]:
    """All rows in order; those whose text would be read as a special token have no ids."""
    named = read_messages(dataset, files)
    plain = [not any(chat.has_special_token(message["content"]) for message in messages) for _, messages in named]
    texts = [text for (_, messages), good in zip(named, plain, strict=True) if good for text in chat.texts(messages)]
    ids = iter(chat.encode(texts, look))
    rows = []
    for (source, _), good in zip(named, plain, strict=True):
        prompt, answer = (next(ids), next(ids)) if good else ([], [])
        rows.append(Row(source, prompt + answer, len(prompt)))
    return rows


def _cached(dataset: Path, files: Sequence[str], chat: ChatFormat, cache: Path, look: Look) -> list[Row]:
    """`_encode_all`, done once for each content of the files and tokenizer."""
    digest = hashlib.sha256(chat.fingerprint().encode())
    for name in files:
        digest.update(f"{name}\n".encode() + _existing(dataset / name).read_bytes())
    path = cache / f"{digest.hexdigest()[:32]}.pt"
    if path.exists():
        touch(path)
        try:
            return _read_cache(path)
        except UNREADABLE:
            log.warning("The kept tokens %s cannot be read; tokenising again.", path)
    rows = _encode_all(dataset, files, chat, look)
    _write_cache(rows, path)
    prune(cache, MOST_KEPT_BYTES)
    return rows


def _read_cache(path: Path) -> list[Row]:
    found = torch.load(path, weights_only=True)
    parts = found["ids"].split(found["lengths"])
    return [Row(source, ids.tolist(), start) for source, ids, start in zip(found["sources"], parts, found["answer_starts"], strict=True)]


def _write_cache(rows: list[Row], path: Path) -> None:
    columns = {"sources": [row.source for row in rows], "answer_starts": [row.answer_start for row in rows]}
    ids = torch.tensor([token for row in rows for token in row.ids], dtype=torch.int32)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # several processes may write the same at once
        mine = Path(folder) / path.name
        with whole_file(mine, synced=False) as file:  # given a path, torch would say a full disk in words of its own
            torch.save({**columns, "ids": ids, "lengths": [len(row.ids) for row in rows]}, file)
        mine.replace(path)


def _existing(path: Path) -> Path:
    if not path.exists():
        raise DatasetError(f"{path} does not exist. Build the dataset again.")
    return path


def _parse(source: str, line: bytes) -> list[Message]:
    try:
        messages = [_turn(message["role"], message["content"]) for message in json.loads(line)["messages"]]
    except (ValueError, KeyError, TypeError) as error:
        form = '{"messages": [{"role": ..., "content": ...}, ...]}'
        raise DatasetError(f"{source} is no row of the form {form}: {type(error).__name__}: {error}.") from error
    if len(messages) < 2 or messages[-1]["role"] != "assistant" or not messages[-1]["content"].strip():
        raise DatasetError(
            f"{source} has no answer: its last message must be a non-empty one of the assistant. Remove the row or build the dataset again."
        )
    return messages


def _turn(role: str, content: str) -> Message:
    if role not in ROLES:
        raise ValueError(f"role is {role!r}, none of {', '.join(ROLES)}")
    if not isinstance(content, str):
        raise TypeError(f"content is {type(content).__name__}, not text")
    content.encode()  # half a surrogate pair, which JSON can spell, is no text
    return {"role": role, "content": content}
