"""What each chat service wants to be posted, how it signs, and what its replies mean: all of them answer errors with 200, too.

generic, slack   {"text": ...}
feishu           open.feishu.cn/document/client-docs/bot-v3/add-custom-bot
dingtalk         open.dingtalk.com/document/robots/custom-robot-access
wecom            developer.work.weixin.qq.com/document/path/91770
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote_plus

Json = dict[str, Any]
Kind = Literal["feishu", "dingtalk", "wecom", "slack", "generic"]
KEYWORD = "Ghostwriter"
"""Stands in every message to a service that lets a group's robot speak only with a keyword in it."""
WECOM_BYTES = 2_000
"""WeCom cuts a text at 2,048 bytes."""
ADVICE: dict[Kind, dict[int, str]] = {
    "feishu": {
        19021: "The robot's key belongs into the extra field `secret`; with the right one, this machine's clock is off by an hour.",
        19022: "The robot admits other addresses only: add this machine's to its list.",
        19024: f"The robot wants a keyword: make it {KEYWORD}.",
        19001: "The address is of no robot: copy it again, its secret end into the password.",
        11232: "Too many messages for this group at the moment.",
    },
    "dingtalk": {
        310000: f"Put the robot's key (SEC...) into the extra field `secret`, or make its keyword {KEYWORD}.",
        300001: "The address is of no robot: copy it again, its secret end into the password.",
        400013: "The group of this robot was dissolved.",
        410100: "More than 20 messages a minute: the robot is silent for ten minutes.",
        660026: "More than 20 messages a minute: the robot is silent for ten minutes.",
    },
    "wecom": {
        93000: "The address is of no robot: copy it again, its secret end into the password.",
        45009: "More than 20 messages a minute.",
        40058: "The message was not of the form WeCom wants.",
    },
}
OTHERWISE = "Look this code up in the service's own pages, and send a message by hand: python -m ghostwriter notify WRITER."


@dataclass(frozen=True)
class Post:
    """What goes to a service: a body, and what is added to the address."""

    body: Json
    query: str = ""


def compose(kind: Kind, text: str, secret: str, now: float) -> Post:
    """The message `text` as `kind` wants it, signed where the robot has a key. `now`: seconds since 1970."""
    if kind in ("generic", "slack"):
        return Post({"text": text})
    return _COMPOSERS[kind](f"{KEYWORD} · {text}", secret, now)


def problem_in(kind: Kind, reply: bytes) -> str | None:
    """What a reply that came with status 200 says went wrong; None when the message was taken."""
    if kind == "generic":
        return None
    if kind == "slack":
        words = reply.decode(errors="replace").strip()
        return None if words == "ok" else f"slack did not take the message: {words[:200]!r}."
    try:
        code, words = _code(kind, json.loads(reply))
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"{kind} answered with something else than its API does: {reply[:200]!r}. See where the connection's host leads."
    return None if code == 0 else f"{kind} did not take the message (code {code}: {words}). {ADVICE[kind].get(code, OTHERWISE)}"


def _code(kind: Kind, reply: Any) -> tuple[int, str]:
    code, words = ("code", "msg") if kind == "feishu" else ("errcode", "errmsg")
    return int(reply[code]), str(reply.get(words, ""))[:200]


def _feishu(text: str, secret: str, now: float) -> Post:
    """The signed text is empty, and its key is time and secret: that is how Feishu has it."""
    body: Json = {"msg_type": "text", "content": {"text": text}}
    if secret:
        timestamp = str(round(now))
        body |= {"timestamp": timestamp, "sign": _mac(f"{timestamp}\n{secret}", "")}
    return Post(body)


def _dingtalk(text: str, secret: str, now: float) -> Post:
    if not secret:
        return Post({"msgtype": "text", "text": {"content": text}})
    timestamp = round(now * 1000)
    sign = quote_plus(_mac(secret, f"{timestamp}\n{secret}"))
    query = f"&timestamp={timestamp}&sign={sign}"
    return Post({"msgtype": "text", "text": {"content": text}}, query)


def _wecom(text: str, _secret: str, _now: float) -> Post:
    short = text.encode()[:WECOM_BYTES].decode(errors="ignore")
    return Post({"msgtype": "text", "text": {"content": short}})


def _mac(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


_COMPOSERS: dict[Kind, Callable[[str, str, float], Post]] = {"feishu": _feishu, "dingtalk": _dingtalk, "wecom": _wecom}
