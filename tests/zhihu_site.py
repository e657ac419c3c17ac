"""A site that misbehaves on command: the demo's site, with a script of faults, a moving list, and a record of what its client did."""

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from demo.site import Handler, Json, Request, Response, Site, author, json_response, to_html

ACCOUNT = "lao-cheng"
COOKIE = "z_c0=2|1:0|10:1700000000|4:z_c0|secret-login-ticket; d_c0=AbCdEf-secret-device|1700000000; _zap=tracker-value"
FIRST_TIME = 1_760_000_000

Delivery = Literal["whole", "cut", "drip", "reset"]


@dataclass(frozen=True)
class Fault:
    """A response and how it is delivered: whole, cut in the middle, dripping byte by byte, or not at all."""

    response: Response
    delivery: Delivery = "whole"


@dataclass(frozen=True)
class Seen:
    """One request as it came in; times in seconds of the monotonic clock."""

    request: Request
    began: float
    peer: tuple[str, int]

    @property
    def offset(self) -> int:
        """Which page was asked for."""
        return int(self.request.query["offset"])


@dataclass
class Record:
    """What the client did."""

    seen: list[Seen] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class FaultyHandler(Handler):
    """HTTP that can break off."""

    def do_GET(self) -> None:
        """Note the request, then answer it."""
        site = self.server.site  # type: ignore[attr-defined]
        with site.record.lock:
            site.record.in_flight += 1
            site.record.most_in_flight = max(site.record.most_in_flight, site.record.in_flight)
        try:
            super().do_GET()
        finally:
            with site.record.lock:
                site.record.in_flight -= 1

    def send(self, response: Response) -> None:
        """Deliver a response the way its fault says."""
        site = self.server.site  # type: ignore[attr-defined]
        site.record.seen[-1] = replace(site.record.seen[-1], peer=self.client_address)
        delivery = site.delivery
        if delivery == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
        elif delivery == "cut":
            super().send(
                Response(
                    response.status,
                    response.body[: len(response.body) // 2],
                    {**response.headers, "Content-Length": str(len(response.body))},
                )
            )
            self.close_connection = True
        elif delivery == "drip":
            self._drip(response)
        else:
            super().send(response)

    def _drip(self, response: Response) -> None:
        super().send(Response(response.status, b"", {**response.headers, "Content-Length": str(len(response.body))}))
        step = max(1, len(response.body) // 40)
        for start in range(0, len(response.body), step):
            self.wfile.write(response.body[start : start + step])
            self.wfile.flush()
            time.sleep(0.01)


class FaultySite(Site):
    """`script` answers the next requests in turn (None: as it should be); `moves` change the list before the request of that number."""

    handler = FaultyHandler

    def __init__(self, items: list[Json], account: str = ACCOUNT, port: int = 0) -> None:
        super().__init__(account, items, port)
        self.record = Record()
        self.script: list[Fault | None] = []
        self.always: Callable[[Request], Fault | None] = lambda request: None
        self.moves: dict[int, Callable[[list[Json]], None]] = {}
        self.edit_page: Callable[[Json], Any] = lambda page: page
        self.delivery: Delivery = "whole"

    @property
    def offsets(self) -> list[int]:
        """The pages asked for, in order."""
        return [seen.offset for seen in self.record.seen]

    @property
    def connections(self) -> int:
        """How many TCP connections the client opened."""
        return len({seen.peer for seen in self.record.seen})

    def respond(self, request: Request) -> Response:
        """Record the request, move the list, play the next fault."""
        self.record.seen.append(Seen(request, time.monotonic(), ("", 0)))
        self.delivery = "whole"
        move = self.moves.pop(len(self.record.seen), None)
        if move:
            move(self.items)
        fault = self.script.pop(0) if self.script else self.always(request)
        if fault is None:
            return super().respond(request)
        self.delivery = fault.delivery
        return fault.response if fault.response.body or fault.delivery == "whole" else super().respond(request)

    def page(self, query: Any) -> Json:
        """A page, edited as the test wants."""
        edited: Json = self.edit_page(super().page(query))
        return edited


def answer(number: int, **changes: Any) -> Json:
    """The `number`-th oldest answer of an invented account; `changes` replace keys of the item."""
    created = FIRST_TIME + number * 3_600
    item = {
        "id": 2_000_000_000 + number,
        "type": "answer",
        "answer_type": "normal",
        "url": f"http://www.zhihu.com/api/v4/answers/{2_000_000_000 + number}",
        "question": {"id": 600_000_000 + number, "type": "question", "title": f"第 {number} 个问题？"},
        "author": author(ACCOUNT),
        "content": to_html(f"第 {number} 个回答。\n\n{number} 斤萝卜，一句实话。"),
        "excerpt": f"第 {number} 个回答。",
        "created_time": created,
        "updated_time": created,
        "comment_count": number % 7,
        "is_collapsed": False,
        "reshipment_settings": "allowed",
        "relationship": {"voting": 0, "is_author": False},
    }
    return {**item, **changes}


def answers(count: int) -> list[Json]:
    """So many answers, newest first."""
    return [answer(number) for number in range(count, 0, -1)]


def error(status: int, **error: Any) -> Fault:
    """An error object as the site nests it."""
    return Fault(json_response({"error": error}, status))


def page(status: int, body: str | bytes, **headers: str) -> Fault:
    """A body that is no JSON of a list."""
    content = body.encode() if isinstance(body, str) else body
    return Fault(Response(status, content, {name.replace("_", "-"): value for name, value in headers.items()}))


def reset() -> Fault:
    """A connection that is reset in place of an answer."""
    return Fault(Response(200), "reset")


def cut() -> Fault:
    """The right answer, broken off in the middle."""
    return Fault(Response(200), "cut")


def drip() -> Fault:
    """The right answer, a few bytes at a time."""
    return Fault(Response(200), "drip")


def zipped(document: Any) -> Fault:
    """A document with a byte order mark, compressed, and called HTML."""
    body = gzip.compress(b"\xef\xbb\xbf" + json.dumps(document).encode())
    return Fault(Response(200, body, {"Content-Encoding": "gzip", "Content-Type": "text/html"}))
