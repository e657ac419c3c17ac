"""A teacher on this machine that speaks OpenAI's chat completions over real HTTP, for tests and benchmarks.

    with TeacherServer(TeacherScript(latency=0.5)) as teacher:
        ...  teacher.base_url, teacher.key, teacher.prompts, teacher.completions

Answers are invented words, the same for the same messages; token counts come from splitting text into pieces of up to six
letters, as a byte-pair tokenizer roughly does. `python tests/teacher_server.py --help` runs it alone.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from types import TracebackType
from typing import Any, Self

KEY = "sk-test-4f8c2d7e91ab"
MODEL = "test-teacher"
_PIECE = re.compile(r"[\u4e00-\u9fff]|[A-Za-z]{1,6}|\d{1,3}|[^\w\s]|\n+")
_CJK = re.compile(r"[\u4e00-\u9fff]")
CONSONANTS, VOWELS = "bdfghklmnprstvw", "aeio"
LINKS = re.findall(r"\w+", "the a of to and in is it you that for on with as but not was this at by from")
HANZI = (
    "山水风云花鸟虫鱼日月星辰春夏秋冬东西南北人心手足口耳目天地田土木火金石竹梅兰菊松柏桃李"
    "米面油盐酱醋茶酒书画琴棋诗歌文字笔墨纸砚门窗桌椅床灯车船桥路城乡村店街巷"
)


@dataclass
class TeacherScript:
    """How the teacher behaves. `fault` is asked before each completion and may name one of FAULTS."""

    latency: float = 0.0
    answers_per_second: float | None = None
    """Rate limit: a bucket of one second's worth, then 429 with `retry-after`."""
    retry_after: str | None = "1"
    answer: Callable[[list[dict[str, str]]], str] | None = None
    finish_reason: str = "stop"
    fault: Callable[[int], str | None] = lambda number: None
    context_tokens: int = 32_000
    words: tuple[int, int] = (80, 160)
    thoughts: str = ""
    """What it thinks before each answer, unless the request turns that off: in `reasoning_content`, and counted, as DashScope does."""
    usage: bool = True
    echo_key: bool = False
    """Put the request's Authorization header into error messages, as careless servers do."""
    batch_seconds: float = 0.0
    batch_drops: int = 0
    """Requests of each batch that end in its error file."""


@dataclass
class TeacherServer:
    """Runs in a thread of its own, on a free port of 127.0.0.1."""

    script: TeacherScript = field(default_factory=TeacherScript)
    keep_prompts: bool = True
    prompts: list[list[dict[str, str]]] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    completions: int = 0
    started: list[float] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    requests: int = 0
    port: int = 0

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._level, self._filled = 1.0, time.monotonic()

        self._thread.start()
        ready.wait()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def base_url(self) -> str:
        """What goes into the connection."""
        return f"http://127.0.0.1:{self.port}/v1"

    def stats(self) -> dict[str, Any]:
        """What was seen: the first completion (a warm-up) is left out of the times."""
        times = self.started[1:] or [0.0]
        return {
            "completions": len(times),
            "first": times[0],
            "last": times[-1],
            "most_in_flight": self.most_in_flight,
            "statuses": {str(status): number for status, number in self.statuses.items()},
        }

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connection, "127.0.0.1", self.port, backlog=2048))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _read_request(reader):
                await self._respond(*request, writer)
        except (ConnectionError, asyncio.CancelledError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _respond(self, line: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        fault = self.script.fault(self.requests)
        if fault == "hang":
            await asyncio.sleep(3600)
        if fault == "drop":
            raise ConnectionResetError
        if fault == "malformed":
            await _send(writer, 200, b'{"id": "chatcmpl-1", "choices": [{"mess')
        elif fault == "html":
            await _send(writer, 200, b"<html>proxy</html>", {"content-type": "text/html"})
        else:
            status, answer, more = await self._answer(line, headers, body, fault)
            self.statuses[status] += 1
            await _send(writer, status, answer if isinstance(answer, bytes) else json.dumps(answer, ensure_ascii=False).encode(), more)

    async def _answer(self, line: str, headers: dict[str, str], body: bytes, fault: str | None) -> tuple[int, Any, dict[str, str]]:
        method, path, _ = line.split(" ", 2)
        if headers.get("authorization") != f"Bearer {KEY}":
            return 401, self._error("Incorrect API key provided.", "invalid_api_key", headers), {}
        if fault and fault.isdigit():
            return int(fault), self._error(f"scripted {fault}", None, headers), {}
        if path == "/v1/chat/completions":
            return await self._complete(json.loads(body), headers, fault)
        return await asyncio.to_thread(self._files_and_batches, method, path, headers, body)

    async def _complete(self, request: dict[str, Any], headers: dict[str, str], fault: str | None) -> tuple[int, Any, dict[str, str]]:
        if fault == "quota":
            return 429, self._error("You exceeded your current quota.", "insufficient_quota", headers), {}
        if self.script.answers_per_second and not self._allowed(self.script.answers_per_second):
            more = {"retry-after": self.script.retry_after} if self.script.retry_after else {}
            return 429, self._error("Rate limit reached.", "rate_limit_exceeded", headers), more
        self.started.append(time.monotonic())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.script.latency)
        finally:
            self.in_flight -= 1
        status, answer = self.completion(request, fault, headers)
        self.completions += status == 200
        return status, answer, {}

    def completion(self, request: dict[str, Any], fault: str | None = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """The completion of a request, or its error."""
        messages = request["messages"]
        if request["model"] != MODEL:
            return 404, self._error(f"The model `{request['model']}` does not exist.", "model_not_found", headers or {})
        if not messages:
            return 400, self._error("messages is empty.", None, headers or {})
        prompt = sum(count_tokens(message["content"]) + 4 for message in messages) + 3
        limit = request.get("max_tokens") or request.get("max_completion_tokens") or 1024
        if prompt + limit > self.script.context_tokens:
            words = f"This model's maximum context length is {self.script.context_tokens} tokens."
            return 400, self._error(words, "context_length_exceeded", headers or {})
        if self.keep_prompts:
            self.prompts.append(messages)
        text = self.script.answer(messages) if self.script.answer else invent(messages, self.script.words)
        completion = count_tokens(text)
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if self.script.thoughts and request.get("enable_thinking", True):
            budget = request.get("thinking_budget")
            thoughts = self.script.thoughts.split()[:budget]
            message["reasoning_content"] = " ".join(thoughts)
            completion += len(thoughts)
        choice = {"index": 0, "message": message, "finish_reason": self.script.finish_reason}
        usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        return 200, {
            "id": "chatcmpl-" + sha256(text.encode()).hexdigest()[:12],
            "object": "chat.completion",
            "created": int(time.time()),
            "model": request["model"],
            "choices": [] if fault == "no_choices" else [choice],
            **({"usage": usage} if self.script.usage else {}),
        }

    def _allowed(self, rate: float) -> bool:
        now = time.monotonic()
        self._level = min(max(1.0, rate), self._level + (now - self._filled) * rate)
        self._filled = now
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def _error(self, message: str, code: str | None, headers: dict[str, str]) -> dict[str, Any]:
        echo = f" You sent {headers.get('authorization')}." if self.script.echo_key else ""
        return {"error": {"message": message + echo, "type": "invalid_request_error", "code": code, "param": None}}

    def _files_and_batches(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any, dict[str, str]]:
        return 404, self._error(f"{method} {path} is not served.", None, headers), {}


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes] | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    line, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (item.partition(":") for item in rest if item)}
    return line, headers, await reader.readexactly(int(headers.get("content-length", 0)))


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
    headers = {"content-type": "application/json", "content-length": str(len(body)), **(more or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    writer.write(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body)
    await writer.drain()


def count_tokens(text: str) -> int:
    """Pieces of up to six letters, digits by threes, marks; seven tokens for ten Chinese characters."""
    pieces = _PIECE.findall(text)
    cjk = sum(1 for piece in pieces if _CJK.match(piece))
    return len(pieces) - cjk + round(cjk * 0.7)


def invent(messages: list[dict[str, str]], length: tuple[int, int] = (80, 160)) -> str:
    """Invented words (Chinese if the question is Chinese), the same for the same messages."""
    content = messages[-1]["content"]
    chooser = random.Random(sha256(json.dumps(messages, ensure_ascii=False).encode()).digest())
    wanted = chooser.randint(*length)
    if len(_CJK.findall(content)) > len(content) / 4:
        signs = [chooser.choice(HANZI) for _ in range(wanted)]
        return "，".join("".join(signs[start : start + 8]) for start in range(0, wanted, 8)) + "。"
    words = []
    for number in range(wanted):
        made = "".join(chooser.choice(CONSONANTS) + chooser.choice(VOWELS) for _ in range(chooser.randint(2, 3)))
        words.append(chooser.choice(LINKS) if number % 3 == 0 else made)
    return " ".join(words).capitalize() + "."


def main() -> None:
    """Serve until Ctrl-C; with --stats, each line on stdin is answered with what was seen so far."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--answers-per-second", type=float)
    parser.add_argument("--stats", action="store_true")
    chosen = parser.parse_args()
    script = TeacherScript(latency=chosen.latency, answers_per_second=chosen.answers_per_second)
    with TeacherServer(script, keep_prompts=False, port=chosen.port) as teacher:
        sys.stdout.write(f"{teacher.base_url} model {MODEL} key {KEY}\n")
        sys.stdout.flush()
        while chosen.stats and sys.stdin.readline():
            sys.stdout.write(json.dumps(teacher.stats()) + "\n")
            sys.stdout.flush()
        while not chosen.stats:
            time.sleep(3600)


if __name__ == "__main__":
    main()
