"""How this side reaches hubs of base models: settings from the environment, keys from a file that is read into this process alone.

A launcher hands on `SETTINGS`. What is secret, a hub's token or a proxy's address with its password, stands in the file
`training.env`, a line NAME=VALUE each, so that no container, pod, run or log shows it; here it becomes this process's own setting.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import unquote, urlsplit

from training.errors import TrainingError

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY")
SETTINGS = ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT", "MODELSCOPE_DOMAIN", *PROXIES, "NO_PROXY")
SECRETS = ("HF_TOKEN", "MODELSCOPE_API_TOKEN", *PROXIES)
"""The names that the file may have, each as its library reads it."""
FILE_VARIABLE = "GHOSTWRITER_TRAINING_SECRETS"
DEFAULT_FILE = Path("/run/ghostwriter/training.env")
"""Where containers and pods have it, beside MLflow's login."""
LOOPBACK = "localhost,127.0.0.1,::1"
HOST = r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:]+\])"
HUB = rf"https?://{HOST}(:\d+)?(/[A-Za-z0-9_./~-]*)?"
PROXY = rf"((https?|socks5h?)://)?{HOST}(:\d+)?/?"
FORMS = {
    "HF_ENDPOINT": HUB,
    "MODELSCOPE_ENDPOINT": HUB,
    "MODELSCOPE_DOMAIN": rf"{HOST}(:\d+)?",
    "HTTP_PROXY": PROXY,
    "HTTPS_PROXY": PROXY,
    "NO_PROXY": r"[A-Za-z0-9_.:/*, \[\]-]+",
}
"""What each setting looks like; the guard holds the same against what it is told (guard/network.py)."""
LONGEST = 1_000
HIDDEN = "***"


def problem_of(name: str, value: str) -> str | None:
    """What is wrong with the value of one of SETTINGS; never the value, which may hold a password."""
    if len(value) <= LONGEST and re.fullmatch(FORMS[name], value):
        return None
    if "@" in value:
        return f"{name} holds a login. Put the line {name}=... into the file training.env instead, where nothing shows it."
    return f"{name} is not of the form it should have. Write it without spaces and login, such as {_example(name)}."


def take_settings() -> None:
    """Read the file of secrets, if there is one, into this process's settings, and keep them out of all it prints. Raises TrainingError."""
    secrets = _read(os.environ.get(FILE_VARIABLE))
    os.environ.update(secrets)
    if any(os.environ.get(name) for name in PROXIES):
        listed = os.environ.get("NO_PROXY") or os.environ.get("no_proxy")
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = f"{listed},{LOOPBACK}" if listed else LOOPBACK
    if words := hidden_words(secrets):
        sys.stdout, sys.stderr = _Hiding(sys.stdout, words), _Hiding(sys.stderr, words)


def hidden_words(secrets: dict[str, str]) -> list[str]:
    """What nothing may print: whole values, and the login of a proxy as it is written and as it is meant; the longest first."""
    words = set(secrets.values())
    for name in PROXIES:
        login, _, _ = secrets.get(name, "").partition("://")[2].rpartition("@")
        password = urlsplit(secrets.get(name, "")).password or ""
        words |= {login, unquote(login), password, unquote(password)}
    return sorted(words - {""}, key=len, reverse=True)


def _read(named: str | None) -> dict[str, str]:
    path = Path(named) if named else DEFAULT_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if named:
            raise TrainingError(f"There is no file {path}, which {FILE_VARIABLE} names. Write it, or take the setting out.") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"The file of secrets {path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}.") from None
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    return dict(_setting(path, number, line) for number, line in lines if line and not line.startswith("#"))


def _setting(path: Path, number: int, line: str) -> tuple[str, str]:
    """A line's name and value. Raises TrainingError, which shows neither."""
    name, equals, value = (part.strip() for part in line.partition("="))
    if not equals or name not in SECRETS or not value or len(value) > LONGEST or not value.isprintable():
        raise TrainingError(f"Line {number} of {path} is no NAME=VALUE with one of the names {', '.join(SECRETS)}. Mend that line.")
    return name, value


def _example(name: str) -> str:
    examples = {HUB: "https://mirror.example.org", PROXY: "http://proxy.example.org:3128", FORMS["NO_PROXY"]: "mlflow,10.0.0.0/8"}
    return examples.get(FORMS[name], "hub.example.org")


class _Hiding:
    """A stream that prints *** where a secret stood. Tracebacks and log lines go through it, too."""

    def __init__(self, stream: TextIO, words: list[str]) -> None:
        self._stream, self._words = stream, words

    def write(self, text: str) -> int:
        """Write `text` without the secrets in it."""
        for word in self._words:
            text = text.replace(word, HIDDEN)
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
