"""Values of a client, checked: JSON and parameters into what the rest of the guard may rely on.

Problem           its words can be logged and answered as they are
├── Refused       403: not on the allow list
│   ├── Missing   404: no such container
│   └── Followed  409: another client follows the container
└── Silent        502: the engine does not answer (guard.engine)
"""

import json
import reprlib
from typing import Any

Json = dict[str, Any]
LONGEST_WORDS = 500
_shown = reprlib.Repr()
_shown.maxstring = _shown.maxother = 120
_shown.maxlevel = 3


class Problem(Exception):
    """Something a client is told; nothing in its words can forge a line of a log or an escape."""

    status = 502

    def __init__(self, words: str) -> None:
        super().__init__(printable(words))


class Refused(Problem):
    """The call asks for something that is not on the allow list; the message names it."""

    status = 403


class Missing(Refused):
    """There is no such container, or the engine would have to guess which one is meant."""

    status = 404


class Followed(Refused):
    """Another client follows the container; only that one may stop or remove it meanwhile."""

    status = 409


def printable(text: str) -> str:
    """`text` on one line, cut to 500 characters, with everything that cannot be printed escaped."""
    characters = (char if char.isprintable() else repr(char)[1:-1] for char in text)
    return "".join(characters)[:LONGEST_WORDS]


def shown(value: Any) -> str:
    """`value` as an error message shows it: short, however long or deeply nested it is."""
    return _shown.repr(value)


def parse_json(text: bytes | str, what: str) -> Any:
    """`text` as JSON; `what` names it in the error. Raises Refused."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # RecursionError: thousands of nested lists
        raise Refused(f"{what} is no JSON that can be read.") from None


def known_keys(asked: Any, allowed: set[str], where: str) -> Json:
    """`asked` without empty values, which clients send for every key they know.

    Raises Refused for any other key that is not allowed; `where` stands before it in the message.
    """
    if not isinstance(asked, dict):
        raise Refused(f"{where or 'The body'} must be an object.")
    said = {key: value for key, value in asked.items() if value not in (None, False, "", 0, [], {})}
    unknown = sorted(set(said) - allowed)
    if unknown:
        raise Refused(f"{where}{unknown[0]} is not allowed.")
    return said


def positive(value: Any, largest: int, name: str) -> int:
    """A whole number from 1 to `largest`. Raises Refused."""
    if type(value) is not int or not 0 < value <= largest:
        raise Refused(f"{name} must be between 1 and {largest}, not {shown(value)}.")
    return value


def items(value: Any, name: str) -> list[Any]:
    """A list; none said is an empty one. Raises Refused."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refused(f"{name} must be a list.")
    return value


def texts(value: Any, name: str) -> list[str]:
    """A list of strings; none said is an empty one. Raises Refused."""
    found = items(value, name)
    if not all(isinstance(text, str) for text in found):
        raise Refused(f"{name} must be a list of strings.")
    return found


def whole(text: str, largest: int, name: str) -> int:
    """Decimal digits as a number from 0 to `largest`. Raises Refused."""
    digits = text.isascii() and text.isdigit() and len(text) <= len(str(largest))
    if not digits or int(text) > largest:
        raise Refused(f"{name} must be a whole number up to {largest}, not {shown(text)}.")
    return int(text)
