"""A dialogue on the terminal: questions that are asked until the answer can be used, with what was typed before as the proposal."""

import getpass
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from ghostwriter.errors import GhostwriterError

Answer = TypeVar("Answer")
LONGEST_LINE = 4_095
"""Characters of a line that a terminal hands on; it drops the rest without a word."""


class NotUsable(GhostwriterError):
    """An answer that cannot be used; the question is asked again."""

    code = "not_usable"


def ask(question: Callable[[], Answer]) -> Answer:
    """Ask until the answer can be used."""
    while True:
        try:
            return question()
        except GhostwriterError as error:
            print(f"   That does not work: {error}\n")


@dataclass
class Dialogue:
    """What was typed so far, so that a question of several lines that is asked again needs only the wrong one."""

    typed: dict[str, str] = field(default_factory=dict)

    def line(self, key: str, words: str, proposal: str = "") -> str:
        """One line; an empty one is what was typed before, else the proposal."""
        known = self.typed.get(key) or proposal
        self.typed[key] = input(f"   {words}{f' [{known}]' if known else ''}: ").strip() or known
        return self.typed[key]

    def secret(self, key: str, words: str) -> str:
        """One line that is not shown. Raises NotUsable for one that the terminal may have cut."""
        known = self.typed.get(key, "")
        text = getpass.getpass(f"   {words}{' [as before]' if known else ''}: ").strip()
        if len(text) >= LONGEST_LINE:
            raise NotUsable(f"a terminal cuts a line after {LONGEST_LINE:,} characters. Put it into a file (chmod 600) and name that.")
        self.typed[key] = text or known
        return self.typed[key]

    def one_of(self, key: str, question: str, choices: Mapping[str, str]) -> str:
        """One of several names, by its number or itself. Raises NotUsable."""
        print(question)
        for number, (name, words) in enumerate(choices.items(), start=1):
            print(f"   {number}) {name}: {words}")
        names, known = list(choices), self.typed.get(key, "")
        answer = input(f"   Number or word{f' [{known}]' if known else ''}: ").strip().lower() or known
        chosen = names[int(answer) - 1] if answer.isdecimal() and 1 <= int(answer) <= len(names) else answer
        if chosen not in choices:
            raise NotUsable(f"{answer!r} is none of {', '.join(names)}.")
        self.typed[key] = chosen
        return chosen
