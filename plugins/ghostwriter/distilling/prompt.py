"""The teacher's prompt: a Markdown file in prompts/ with three parts, named by the hash of its text.

The builder is given the fourth question and nothing else about it, so the writer's real answer to it is out of reach.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from ghostwriter.errors import WriterFileError
from ghostwriter.model_settings import PROMPTS, prompt_names
from ghostwriter.pairs import Pair
from ghostwriter.teacher.budget import Message
from ghostwriter.words.catalogue import Language

PARTS = ("before", "example", "after")


@dataclass(frozen=True)
class Prompt:
    """A prompt file, read. `hash` is the first 12 hex digits of the SHA-256 of its text."""

    name: str
    hash: str
    before: str
    example: str
    after: str

    @property
    def template(self) -> str:
        """The three parts as one text, with {{name}} for what is filled in, as MLflow's prompts have it."""
        return re.sub(r"\{(\w+)\}", r"{{\1}}", "\n\n".join([self.before, self.example, self.after]))

    def messages(self, writer: str, examples: Sequence[Pair], question: str) -> list[Message]:
        """One user message: the examples in their order, then the question to answer."""
        shown = [fill(self.example, writer=writer, question=pair.question, answer=pair.answer) for pair in examples]
        parts = [fill(self.before, writer=writer), *shown, fill(self.after, writer=writer, question=question)]
        return [{"role": "user", "content": "\n\n".join(part for part in parts if part)}]


def load_prompt(name: str) -> Prompt:
    """The prompt of `prompts/NAME.md`. Raises WriterFileError when there is none or it lacks a part."""
    path = PROMPTS / f"{name}.md"
    if name not in prompt_names():
        raise WriterFileError(
            f"There is no prompt {name!r}; there are: {', '.join(prompt_names())}. Write {path}, or name one of those in teacher.prompt."
        )
    return _read(path, name)


def load_plain_prompt(language: Language) -> Prompt:
    """The prompt that has an answer, its only example, rewritten as plain prose; there is one of each language."""
    return _read(PROMPTS / "plain" / f"{language}.md", f"plain-{language}")


def _read(path: Path, name: str) -> Prompt:
    text = path.read_text(encoding="utf-8")
    pieces = re.split(r"^# (\w+)\n", text, flags=re.MULTILINE)[1:]
    parts = dict(zip(pieces[::2], (piece.strip() for piece in pieces[1::2]), strict=True))
    if tuple(parts) != PARTS:
        raise WriterFileError(
            f"{path} has the parts {', '.join(parts) or 'none'}; it needs, in this order: {', '.join('# ' + part for part in PARTS)}."
        )
    return Prompt(name=name, hash=sha256(text.encode()).hexdigest()[:12], **parts)


def fill(template: str, **values: str) -> str:
    """Put `values` in place of {name}; braces inside the values stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), template)
