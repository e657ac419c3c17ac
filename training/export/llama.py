"""Questions to llama.cpp: a GGUF file into a running server, its token ids of a prompt, its greedy answer."""

import json
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from training.errors import ExportError
from training.export.llama_server import ROOM
from training.rows.data import Message

SECONDS = 600
LAST = 2000
SLOTS = 8
"""Answers at once: a token of each costs little more than a token of one, since the weights are read once for all."""


class Llama:
    """llama.cpp with one GGUF file, in a process of its own, until the block ends. Raises ExportError when it does not load."""

    def __init__(self, model: Path, room: int = ROOM) -> None:
        """`room`: tokens of the longest prompt with its answer."""
        settings = ("--slots", str(SLOTS), "--room", str(room))
        self._command = [sys.executable, "-m", "training.export.llama_server", str(model), *settings]

    def __enter__(self) -> "Llama":
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors)
        assert self._process.stdout
        self._address = self._process.stdout.readline().decode().strip()
        if not self._address.startswith("http"):
            self._process.wait()
            said = self._said()
            self._end()
            raise ExportError(f"llama.cpp cannot load {self._command[3]}: {said}")
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._end()

    def prompt(self, messages: list[Message]) -> list[int]:
        """Token ids of a conversation, by the chat template and the tokenizer inside the file."""
        text = self._ask("apply-template", {"messages": messages})["prompt"]
        ids: list[int] = self._ask("tokenize", {"content": text, "add_special": False, "parse_special": True})["tokens"]
        return ids

    def answers(self, prompts: Sequence[list[int]], most: int) -> list[list[int]]:
        """Token ids of the greedy answers, each with its end token when it comes within `most`. Several are written at once."""
        with ThreadPoolExecutor(SLOTS) as pool:
            return list(pool.map(lambda prompt: self._answer(prompt, most), prompts))

    def _answer(self, prompt: list[int], most: int) -> list[int]:
        sampling = {"temperature": 0, "samplers": ["temperature"], "cache_prompt": False, "return_tokens": True}
        ids: list[int] = self._ask("completion", {"prompt": prompt, "n_predict": most, **sampling})["tokens"]
        return ids

    def _ask(self, path: str, body: dict[str, Any]) -> Any:
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self._address}/{path}", data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as reply:
                return json.loads(reply.read())
        except OSError as error:
            raise ExportError(f"llama.cpp with {self._command[3]} does not answer ({error}): {self._said()}") from error

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _said(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read()[-LAST:].decode(errors="replace").splitlines()
        wrong = [line for line in lines if "error" in line.lower()]
        return (wrong or lines or ["it said nothing"])[-1].strip()
