"""A teacher that costs next to nothing, so that a benchmark on the same cores measures its client: canned answers, one byte scan a request.

    python benchmarks/parts/cheap_teacher.py --answers 10000 --latency 0.5    prints its base URL; a line on stdin gets statistics

It speaks as much HTTP as its clients need: POST with Content-Length, keep-alive. No two answers are alike, up to `--answers`;
`--texts FILE` names the answers, one a line, as JSON strings.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import uvloop

from tests.teacher_server import MODEL, invent

PROMPT_TOKENS, ANSWER_TOKENS = 700, 160
REFUSAL = json.dumps(
    {"error": {"message": "Rate limit reached.", "type": "requests", "code": "rate_limit_exceeded", "param": None}}
).encode()


class CheapTeacher:
    """What is served, and what was seen. `rate` is answers a second: a bucket of one second's worth, then 429 with `retry-after: 1`."""

    def __init__(self, texts: Iterable[str], latency: float, rate: float | None) -> None:
        self.latency = latency
        self._replies = [_response(200, _completion(number, text)) for number, text in enumerate(texts)]
        self._refusal = _response(429, REFUSAL, b"retry-after: 1\r\n")
        self._rate = rate
        self._level, self._filled = 1.0, time.monotonic()
        self._started: list[float] = []
        self._statuses: Counter[int] = Counter()
        self.in_flight = self._most_in_flight = 0

    def begin(self) -> bytes | None:
        """Take a request in; returns a refusal, or None when an answer will come."""
        if self._rate and not self._allowed(self._rate):
            self._statuses[429] += 1
            return self._refusal
        self._started.append(time.monotonic())
        self.in_flight += 1
        self._most_in_flight = max(self._most_in_flight, self.in_flight)
        return None

    def reply(self) -> bytes:
        """The next answer, at the end of its latency."""
        self.in_flight -= 1
        number = self._statuses[200]
        self._statuses[200] += 1
        return self._replies[number % len(self._replies)]

    def stats(self) -> dict[str, Any]:
        """What was seen; the first completion (a warm-up) is left out of the times."""
        times = self._started[1:] or [0.0]
        return {
            "completions": len(times),
            "first": times[0],
            "last": times[-1],
            "most_in_flight": self._most_in_flight,
            "refused": self._statuses[429],
            "cpu_seconds": time.process_time(),
        }

    def _allowed(self, rate: float) -> bool:
        now = time.monotonic()
        self._level = min(rate, self._level + (now - self._filled) * rate)
        self._filled = now
        if self._level < 1:
            return False
        self._level -= 1
        return True


class Connection(asyncio.Protocol):
    """One client's connection, one request after the other."""

    def __init__(self, teacher: CheapTeacher, loop: asyncio.AbstractEventLoop) -> None:
        self._teacher = teacher
        self._loop = loop
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer once the whole request is there."""
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0 or len(self._buffer) < head + 4 + _content_length(self._buffer[:head]):
            return
        self._buffer = b""
        refusal = self._teacher.begin()
        if refusal:
            self._transport.write(refusal)
        else:
            self._loop.call_later(self._teacher.latency, self._answer)

    def _answer(self) -> None:
        reply = self._teacher.reply()
        if not self._transport.is_closing():
            self._transport.write(reply)


def _content_length(head: bytes) -> int:
    lower = head.lower()
    start = lower.find(b"content-length:")
    return int(lower[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0


def invented(answers: int) -> Iterator[str]:
    """So many answers."""
    return (invent([{"role": "user", "content": f"question {number}"}], (90, 130)) for number in range(answers))


def _completion(number: int, text: str) -> bytes:
    completion = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": ANSWER_TOKENS, "total_tokens": PROMPT_TOKENS + ANSWER_TOKENS},
    }
    return json.dumps(completion).encode()


def _response(status: int, body: bytes, more: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n".encode()
    return head + more + b"\r\n" + body


async def serve(teacher: CheapTeacher) -> None:
    """Until stdin ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(teacher, loop), "127.0.0.1", 0, backlog=2048)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    ended = loop.create_future()

    def asked() -> None:
        if sys.stdin.readline():
            print(json.dumps(teacher.stats()), flush=True)
        elif not ended.done():
            ended.set_result(None)

    loop.add_reader(sys.stdin, asked)
    await ended


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--answers", type=int)
    given.add_argument("--texts", type=Path)
    parser.add_argument("--latency", type=float, required=True)
    parser.add_argument("--rate", type=float)
    chosen = parser.parse_args()
    texts = map(json.loads, chosen.texts.read_text().splitlines()) if chosen.texts else invented(chosen.answers)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(CheapTeacher(texts, chosen.latency, chosen.rate)))
