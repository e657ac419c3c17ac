"""A conversation with the gateway, as any client of OpenAI's chat completions would have one: questions in, pieces of answers out."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2

from ghostwriter.errors import ServiceError

LOADING_SECONDS = 600.0
"""For a version that is being fetched and loaded because it was asked for."""
PATIENT = ("model_loading", "model_unavailable", "too_many_requests")
SECONDS = 600.0


class NoAnswer(ServiceError):
    """The gateway refused, failed, or is not there; the message is its own."""

    code = "no_answer"


@dataclass
class Conversation:
    """Messages so far, with one model of the gateway at `url` (with /v1)."""

    url: str
    model: str
    key: str = ""
    messages: list[dict[str, str]] = field(default_factory=list)
    version: str = ""
    digest: str = ""
    """Of the version that gave the last answer."""

    def ask(self, question: str, wait: Callable[[str], None]) -> Iterator[str]:
        """The answer in pieces. However far it came, it stays in the conversation. Raises NoAnswer; the question is taken back then.

        `wait` is told why before each pause, when the gateway says to ask again later.
        """
        self.messages.append({"role": "user", "content": question})
        answer = ""
        try:
            for piece in self._pieces(wait):
                answer += piece
                yield piece
        finally:
            if answer:
                self.messages.append({"role": "assistant", "content": answer})
            else:
                self.messages.pop()

    def take_back(self) -> str:
        """Remove the last question with its answer; returns the question, empty when there is none."""
        while self.messages:
            message = self.messages.pop()
            if message["role"] == "user":
                return message["content"]
        return ""

    def _pieces(self, wait: Callable[[str], None]) -> Iterator[str]:
        body = {"model": self.model, "messages": self.messages, "stream": True}
        deadline = time.monotonic() + LOADING_SECONDS
        try:
            with httpx2.Client(timeout=httpx2.Timeout(SECONDS, connect=10), headers=self._headers(), trust_env=False) as client:
                while True:
                    with client.stream("POST", f"{self.url}/chat/completions", json=body) as answer:
                        if answer.status_code == 200:
                            self.version = answer.headers.get("X-Ghostwriter-Version", "")
                            self.digest = answer.headers.get("X-Ghostwriter-Digest", "")
                            yield from _contents(answer)
                            return
                        pause = _pause(answer.status_code, answer.read(), answer.headers, deadline, wait)
                    time.sleep(pause)
        except httpx2.ConnectError:
            raise NoAnswer(f"Nothing answers at {self.url}. Start it: python -m ghostwriter serve") from None
        except httpx2.HTTPError as error:
            raise NoAnswer(f"The gateway at {self.url} ended the conversation ({type(error).__name__}). Ask again.") from None

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


def _contents(answer: httpx2.Response) -> Iterator[str]:
    for line in answer.iter_lines():
        if not line.startswith("data: "):
            continue
        if (content := line.removeprefix("data: ")) == "[DONE]":
            return
        event: dict[str, Any] = json.loads(content)
        if "error" in event:
            raise NoAnswer(event["error"]["message"])
        for choice in event.get("choices", []):
            if piece := choice["delta"].get("content"):
                yield piece
    raise NoAnswer("The answer broke off. Ask again.")


def _pause(status: int, body: bytes, headers: httpx2.Headers, deadline: float, wait: Callable[[str], None]) -> float:
    """Seconds until to ask again. Raises NoAnswer where that does not help."""
    try:
        error = json.loads(body)["error"]
        message, code = str(error["message"]), str(error["code"])
    except (ValueError, KeyError, TypeError):
        raise NoAnswer(f"What answers there is no gateway of Ghostwriter (status {status}).") from None
    seconds = headers.get("Retry-After", "")
    if code not in PATIENT or not seconds.isdigit() or time.monotonic() > deadline:
        raise NoAnswer(message)
    wait(message)
    return float(seconds)
