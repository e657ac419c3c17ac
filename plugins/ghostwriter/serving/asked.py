"""A chat completion as it is asked for, checked: what OpenAI's clients send becomes what an engine is sent.

What would change the answer and is not known here is refused; what changes nothing (`user`, `metadata`, `store`) is left aside.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ghostwriter.serving.problem import Problem, invalid
from training.contract import Answering

Json = dict[str, Any]
CHAMPION, PREVIOUS, BASE = "champion", "previous", "base"
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
REFUSED = (
    "tools",
    "functions",
    "function_call",
    "tool_choice",
    "audio",
    "prediction",
    "logit_bias",
    "reasoning_effort",
    "web_search_options",
)
"""Fields that ask for what no version here was trained to do."""
SEEDS = 2**31


@dataclass(frozen=True)
class Which:
    """A model's name taken apart: a writer, and `champion`, `previous`, `base` or a version's number."""

    writer: str
    version: str

    @property
    def name(self) -> str:
        """As it is asked for."""
        return f"{self.writer}@{'v' if self.version.isdigit() else ''}{self.version}"


@dataclass(frozen=True)
class Asked:
    """A checked request. `sampling` is what the engine is sent beside the messages, in the names that llama.cpp and vLLM share."""

    which: Which
    messages: tuple[dict[str, str], ...]
    sampling: Json
    seed: int
    is_stream: bool
    wants_usage: bool


def read_which(model: Any) -> Which:
    """Take a name apart. Raises Problem."""
    if not isinstance(model, str) or not model:
        raise invalid("Name a model, like 'WRITER' or 'WRITER@v7'; GET /v1/models lists them.", "model")
    writer, _, version = model.partition("@")
    if version in ("", CHAMPION, PREVIOUS, BASE):
        return Which(writer, version or CHAMPION)
    if version.startswith("v") and version[1:].isascii() and version[1:].isdigit() and len(version) < 10:
        return Which(writer, str(int(version[1:])))
    raise no_model(model)


def no_model(model: str, why: str = "") -> Problem:
    """There is no model of this name; `why` says more."""
    return Problem(404, "model_not_found", f"There is no model {model[:100]!r}.{why} GET /v1/models lists them.", param="model")


def read_request(body: Any, answering: Callable[[str], Answering], most_tokens: Callable[[str], int]) -> Asked:
    """Check the body of a chat completion. `answering` and `most_tokens` give a writer's defaults. Raises Problem."""
    if not isinstance(body, dict):
        raise invalid("The body must be a JSON object.")
    which = read_which(body.get("model"))
    _refuse_unknown_wishes(body)
    defaults = answering(which.writer)
    seed = _number(body, "seed", int, 0, 2**63 - 1)
    seed = secrets.randbelow(SEEDS) if seed is None else int(seed)
    options = body.get("stream_options") or {}
    return Asked(
        which=which,
        messages=_messages(body.get("messages")),
        sampling={**_sampling(body, defaults, most_tokens(which.writer)), "seed": seed},
        seed=seed,
        is_stream=_flag(body, "stream"),
        wants_usage=isinstance(options, dict) and bool(options.get("include_usage")),
    )


def _refuse_unknown_wishes(body: Json) -> None:
    for name in REFUSED:
        if body.get(name):
            raise invalid(f"{name} is not known here: versions answer in plain text.", name, "unsupported_value")
    wished = body.get("response_format") or {"type": "text"}
    kind = wished.get("type") if isinstance(wished, dict) else wished
    if kind != "text":
        raise invalid(f"response_format {kind!r} is not known here, only 'text' is.", "response_format", "unsupported_value")
    if body.get("n") not in (None, 1):
        raise invalid("n must be 1: ask several times for several answers.", "n", "unsupported_value")


def _sampling(body: Json, defaults: Answering, most_tokens: int) -> Json:
    limit = _number(body, "max_completion_tokens", int, 1, 2**20) or _number(body, "max_tokens", int, 1, 2**20)
    found: Json = {
        "temperature": _number(body, "temperature", float, 0, 5, defaults.temperature),
        "min_p": _number(body, "min_p", float, 0, 1, defaults.min_p),
        "top_p": _number(body, "top_p", float, 0, 1, 1.0),
        "top_k": _number(body, "top_k", int, 0, 2**20, 0),
        "presence_penalty": _number(body, "presence_penalty", float, -2, 2, 0.0),
        "frequency_penalty": _number(body, "frequency_penalty", float, -2, 2, 0.0),
        "max_tokens": int(limit or most_tokens),
    }
    if stop := _stop(body.get("stop")):
        found["stop"] = stop
    if _flag(body, "logprobs"):
        found["logprobs"] = True
        found["top_logprobs"] = int(_number(body, "top_logprobs", int, 0, 20, 0) or 0)
    return found


def _messages(given: Any) -> tuple[dict[str, str], ...]:
    if not isinstance(given, list) or not given:
        raise invalid("messages must be a list with at least one message.", "messages")
    found = tuple(_message(message, f"messages[{index}]") for index, message in enumerate(given))
    if found[-1]["role"] != "user":
        raise invalid("The last message must be a user's.", "messages")
    return found


def _message(given: Any, where: str) -> dict[str, str]:
    role = ROLES.get(str(given.get("role"))) if isinstance(given, dict) else None
    if role is None:
        raise invalid(f"{where} needs a role: system, developer, user or assistant.", "messages")
    content = given.get("content")
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in content]
        content = "".join(parts) if all(isinstance(part, str) for part in parts) else None  # type: ignore[arg-type]
    if not isinstance(content, str):
        raise invalid(f"{where} needs content: a text, or a list of parts of type text.", "messages")
    return {"role": role, "content": content}


def _stop(given: Any) -> list[str]:
    found = [given] if isinstance(given, str) else given or []
    if not isinstance(found, list) or len(found) > 4 or not all(isinstance(each, str) and each for each in found):
        raise invalid("stop must be a text, or a list of at most four.", "stop")
    return found


def _flag(body: Json, name: str) -> bool:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise invalid(f"{name} must be true or false, not {value!r}.", name)
    return bool(value)


def _number(body: Json, name: str, kind: type, least: float, most: float, default: float | None = None) -> float | None:
    value = body.get(name)
    if value is None:
        return default
    is_number = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:
        shown = repr(value)[:40]
        raise invalid(f"{name} must be a{'n integer' if kind is int else ' number'} from {least:g} to {most:g}, not {shown}.", name)
    return kind(value)  # type: ignore[no-any-return]
