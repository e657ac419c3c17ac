"""`chat`: talk to a writer's champion, or another version, in a terminal."""

import argparse
import select
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from ghostwriter.addresses import serving_url
from ghostwriter.commands.options import home_of
from ghostwriter.home import read_serving_key
from ghostwriter.serving.conversation import Conversation, NoAnswer

NOTICE = (
    "You talk to a model that imitates how one person writes. What it says is not what that person said or thinks;"
    " do not pass it off as theirs. Nothing of this conversation is kept."
)
HELP = "/stop (or Ctrl-C) ends an answer, /retry asks the last question again, /version says who answers, /new begins anew, /quit leaves."
SHOWN = 12


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `chat`."""
    parser = commands.add_parser("chat", help="talk to a writer's champion in this terminal; `serve` must run")
    parser.add_argument("model", metavar="WRITER", help="a writer, or WRITER@previous, WRITER@v7, WRITER@base")
    parser.add_argument("--url", default=serving_url(), help="of the gateway (default: GHOSTWRITER_SERVING_URL, or this machine's)")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state, with the gateway's key")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Talk until /quit or the end of the input."""
    console = Console(highlight=False)
    key = read_serving_key(home_of(arguments))
    talk = Talk(Conversation(arguments.url.rstrip("/"), arguments.model, key), console)
    console.print(NOTICE, style="dim")
    console.print(HELP, style="dim")
    for line in _lines():
        if not talk.hear(line):
            break
    return 0


class Talk:
    """A conversation on a terminal."""

    def __init__(self, conversation: Conversation, console: Console) -> None:
        self._conversation, self._console = conversation, console

    def hear(self, line: str) -> bool:
        """Act on a line; False when it ends the conversation."""
        words = line.strip()
        if words == "/quit":
            return False
        if words == "/retry":
            words = self._conversation.take_back()
            if not words:
                self._say("There is no question yet.")
        elif words == "/version":
            self._say(self._version())
            return True
        elif words == "/new":
            self._conversation.messages.clear()
            self._say("A new conversation.")
            return True
        elif words == "/stop":
            self._say("Nothing is being answered.")
            return True
        elif words.startswith("/"):
            self._say(HELP)
            return True
        if words:
            self._answer(words)
        return True

    def _answer(self, question: str) -> None:
        pieces = self._conversation.ask(question, self._say)
        try:
            for piece in pieces:
                self._console.print(Text(_harmless(piece)), end="")
                if _is_stopped():
                    self._say("\n(stopped)")
                    break
        except KeyboardInterrupt:
            self._say("\n(stopped)")
        except NoAnswer as error:
            self._say(f"\n{error}")
        finally:
            pieces.close()  # type: ignore[attr-defined]
        self._console.print()

    def _version(self) -> str:
        found = self._conversation
        if not found.version:
            return f"{found.model}: it has not answered yet."
        number = found.version if found.version == "base" else f"version {found.version}"
        return f"{found.model}: the last answer was by {number} ({found.digest[:SHOWN]})."

    def _say(self, words: str) -> None:
        self._console.print(Text(words, style="dim"))


def _lines() -> Iterator[str]:
    while True:
        try:
            yield input("> " if sys.stdin.isatty() else "")
        except EOFError:
            return
        except KeyboardInterrupt:
            print()


def _is_stopped() -> bool:
    """Whether somebody typed /stop meanwhile."""
    if not sys.stdin.isatty() or not select.select([sys.stdin], [], [], 0)[0]:
        return False
    return sys.stdin.readline().strip() in ("/stop", "")


def _harmless(piece: str) -> str:
    """Without the control characters that would move a terminal's cursor or change its title."""
    return "".join(letter for letter in piece if letter.isprintable() or letter in "\n\t")
