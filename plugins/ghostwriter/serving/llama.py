"""llama.cpp as the engine: a process for each version, in the training environment, on a free port of this machine.

Nothing is shared between versions but the pages of the processor's memory, so no cache of one can reach another. The process ends with
this one, whatever ends it: it reads from a pipe that closes then.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import time
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, field
from pathlib import Path

from ghostwriter.home import ROOT
from ghostwriter.launchers.local import YIELDING, training_environment, training_python
from ghostwriter.serving.engine import EngineFailed, Json
from ghostwriter.serving.level import Facts
from training.contract import ExportForm

MODEL_FILE = "model.gguf"
LOAD_SECONDS = 300.0
STOP_SECONDS = 5.0
LAST_BYTES = 2000
LOG_DAYS = 30
"""Each version has a log, and there is a version each night."""
SAMPLERS = ["penalties", "temperature", "min_p", "top_k", "top_p"]
"""In the order of training.answer.choice: temperature first, then what is cut off."""


class LlamaEngine:
    """Starts llama.cpp's server from `training.export.llama_server`, whose words go to a log file of each version."""

    form: ExportForm = "gguf"
    near_tie = 0.01
    """The file has float32 weights, as plain peft had."""
    asked_again = (3, 12)
    """It has given all of them already, when the same file was proved. What is left to find is a file that is not the one proved."""

    def __init__(self, logs: Path, slots: int = 8, room: int = 4096) -> None:
        """`slots` conversations are answered at once, each with `room` tokens for prompt and answer."""
        self._logs, self._slots, self._room = logs, slots, room

    async def load(self, name: str, export: Path, facts: Facts) -> "LlamaRunning":
        """Start the process and wait until it has the model. Raises EngineFailed in llama.cpp's words."""
        self._logs.mkdir(parents=True, exist_ok=True)
        self._forget_old_logs()
        log = self._logs / f"{name}.log"
        command = [training_python(), "-m", "training.export.llama_server", export / MODEL_FILE]
        options = ["--slots", str(self._slots), "--room", str(self._room), "--key"]
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as words:
            process = await asyncio.create_subprocess_exec(
                *map(str, command), *options, stdin=PIPE, stdout=PIPE, stderr=words, cwd=ROOT,
                env={**training_environment(), **YIELDING}, start_new_session=True,
            )  # fmt: skip
        running = LlamaRunning(process, log, secrets.token_urlsafe(32))
        try:
            await asyncio.wait_for(running.begin(), LOAD_SECONDS)
        except TimeoutError:
            raise EngineFailed(f"llama.cpp did not load {export} in {LOAD_SECONDS:.0f} s. {running.said()}") from None
        finally:
            if not running.address:
                await running.stop()
        return running

    async def close(self) -> None:
        """Nothing is shared."""

    def _forget_old_logs(self) -> None:
        for log in self._logs.glob("*.log"):
            if time.time() - log.stat().st_mtime > LOG_DAYS * 86_400:
                log.unlink()


@dataclass
class LlamaRunning:
    """One process of llama.cpp."""

    process: Process
    log: Path
    key: str
    address: str = ""
    model: str = "version"
    extra: Json = field(default_factory=lambda: {"samplers": SAMPLERS, "repeat_penalty": 1.0})

    async def begin(self) -> None:
        """Hand over the key and read the address, which comes when the model is loaded. Raises EngineFailed."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{self.key}\n".encode())
        address = (await self.process.stdout.readline()).decode().strip()
        if not address.startswith("http"):
            await self.process.wait()
            raise EngineFailed(f"llama.cpp cannot load the model. {self.said()}")
        self.address = f"{address}/v1"

    async def ended(self) -> str:
        """Wait for the end of the process."""
        status = await self.process.wait()
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return f"llama.cpp {how}. {self.said()}"

    async def stop(self) -> None:
        """Close its standard input, on which it ends; kill it when it does not."""
        assert self.process.stdin
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()

    def said(self) -> str:
        """Its last line with an error, or its last line."""
        words = self.log.read_bytes() if self.log.exists() else b""
        lines = words[-LAST_BYTES:].decode(errors="replace").splitlines()
        wrong = [line for line in lines if "error" in line.lower() or "failed" in line.lower()]
        return (wrong or lines or ["It said nothing."])[-1].strip()
