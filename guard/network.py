"""Where training containers find hubs of models, and through which proxy: the guard's own values.

A client chooses none of them: with an address of its own choosing it could have a hub's token sent
there, which containers read from a file.
"""

import re
from collections.abc import Mapping
from typing import Any

from guard.parsing import Refused, shown, texts

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
"""The same as `training.network.FORMS`; no form has a place for a login."""
LONGEST = 1_000


class NetworkError(Exception):
    """A setting is not of its form; the message names it and does not show it: it may hold a login."""


def network_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Those that whoever starts the guard has set. Raises NetworkError."""
    given = {name: environment[name] for name in FORMS if environment.get(name)}
    for name, value in given.items():
        if len(value) > LONGEST or not re.fullmatch(FORMS[name], value):
            raise NetworkError(
                f"{name} is no address without a login. One with a login belongs into the file"
                " training.env (docs/containers.md), where `docker inspect` does not show it."
            )
    return given


def allowed(asked: Any, settings: Mapping[str, str]) -> list[str]:
    """The environment of a container, built from the guard's values for the names a client asks for.

    Raises Refused for any other name or value.
    """
    names = [_name(entry, settings) for entry in texts(asked, "Env")]
    return [f"{name}={settings[name]}" for name in sorted(set(names))]


def _name(entry: str, settings: Mapping[str, str]) -> str:
    name, equals, value = entry.partition("=")
    if name not in FORMS or not equals:
        raise Refused(f"Env {shown(name)} is not allowed, only {', '.join(sorted(FORMS))}.")
    if value != settings.get(name):
        advice = "Start guard and Airflow again with the same setting."
        raise Refused(f"Env {name} is not what the guard was told. {advice}")
    return name
