"""vLLM as the engine, for a GPU: one server for each base, in an environment of its own; versions are adapters that it loads while it runs.

Each is loaded once, under a name made of its weights' digest: an adapter replaced under its name is answered from the old one's cache
(vLLM's issues 30931 and 42125). Nothing but this process reaches the server, and of its routes only those named here are used.
"""

import asyncio
import json
import logging
import os
import secrets
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from ghostwriter.errors import LaunchError
from ghostwriter.home import ROOT, Home
from ghostwriter.launchers.local import training_environment
from ghostwriter.serving.engine import EngineFailed, Json
from ghostwriter.serving.level import Facts
from training.contract import ExportForm
from training.models.base_models import folders_of

log = logging.getLogger(__name__)

CONFIG_FILE = "adapter_config.json"
RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as --max-lora-rank; it holds buffers of that size, so the smallest that fits is taken."""
ADAPTERS, ADAPTERS_IN_MEMORY = 2, 5
"""In one batch, and kept beside the processor: champion, previous, those asked for, and one that is being loaded."""
START_SECONDS, CALL_SECONDS, PAUSE = 900.0, 300.0, 0.5
LAST_BYTES, LONGEST = 4000, 300
BASE_NAME = "base"
OWN = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


def vllm_program() -> Path:
    """The program: GHOSTWRITER_VLLM, else `.venv-serving/bin/vllm` beside the code. Raises LaunchError."""
    path = Path(os.environ.get("GHOSTWRITER_VLLM") or ROOT / ".venv-serving" / "bin" / "vllm")
    if not path.exists():
        raise LaunchError(f"There is no vLLM ({path}). docs/talk.md says how to install it; or name it in GHOSTWRITER_VLLM.")
    return path


@dataclass
class Server:
    """One process of vLLM with a base: the `adapters` it knows, and how many versions are `used`, the base among them."""

    process: Process
    address: str
    key: str
    log: Path
    adapters: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)

    def said(self) -> str:
        """Its last line with an error, or its last line."""
        lines = self.log.read_bytes()[-LAST_BYTES:].decode(errors="replace").splitlines()
        wrong = [line for line in lines if "error" in line.lower()]
        return (wrong or lines or ["It said nothing."])[-1].strip()[:LONGEST]


class VllmEngine:
    """Starts servers as they are needed; `options` go to each."""

    form: ExportForm = "peft"
    near_tie = 0.5
    """It computes in bf16."""
    asked_again = (8, 64)
    """All: plain peft gave them."""

    def __init__(self, home: Home, logs: Path, room: int = 4096, options: tuple[str, ...] = ()) -> None:
        self._home, self._logs, self._room, self._options = home, logs, room, options
        self._servers: dict[tuple[tuple[str, str | None], int], Server] = {}
        self._lock = asyncio.Lock()

    async def load(self, name: str, export: Path, facts: Facts) -> "VllmRunning":
        """Load an adapter, or nothing for the base itself, which every server has. Raises EngineFailed in vLLM's words."""
        rank = _rank(export)
        async with self._lock:  # two versions of one base start one server
            server = await self._server(facts, _bucket(rank))
            if rank and name not in server.adapters:
                await _call(server, "load_lora_adapter", {"lora_name": name, "lora_path": str(export.resolve())})
                server.adapters.add(name)
            server.used.add(name)
        return VllmRunning(self, server, name if rank else BASE_NAME, name)

    async def unload(self, server: Server, name: str) -> None:
        """Take an adapter out; a server that nobody uses ends. What vLLM does not let go of stays, to be used again."""
        async with self._lock:
            server.used.discard(name)
            if server.process.returncode is not None or not server.used:
                await self._end(server)
                return
            if name in server.adapters:
                try:
                    await _call(server, "unload_lora_adapter", {"lora_name": name})
                    server.adapters.discard(name)
                except EngineFailed as error:
                    log.warning("%s stays in vLLM: %s", name, error)

    async def close(self) -> None:
        """End all servers."""
        for server in list(self._servers.values()):
            await self._end(server)

    async def _end(self, server: Server) -> None:
        self._servers = {key: each for key, each in self._servers.items() if each is not server}
        assert server.process.stdin
        server.process.stdin.close()
        await server.process.wait()

    async def _server(self, facts: Facts, rank: int) -> Server:
        """The server of a base that takes adapters of this rank; one with larger buffers takes smaller ones too."""
        for (served, most), server in self._servers.items():
            if served == (facts.base, facts.revision) and most >= rank and server.process.returncode is None:
                return server
        server = await self._start(facts, max(rank, RANKS[0]))
        self._servers[(facts.base, facts.revision), max(rank, RANKS[0])] = server
        return server

    async def _start(self, facts: Facts, rank: int) -> Server:
        self._logs.mkdir(parents=True, exist_ok=True)
        log, port, key = self._logs / f"vllm-{rank}.log", _free_port(), secrets.token_urlsafe(32)
        folder = next((each for each in folders_of(facts.base, self._home.models) if (each / "config.json").exists()), None)
        revision = ("--revision", facts.revision) if facts.revision and not folder else ()
        command = [
            sys.executable, "-m", "ghostwriter.serving.leash", vllm_program(), "serve", folder or facts.base, "--host", "127.0.0.1",
            "--port", port, "--served-model-name", BASE_NAME, "--enable-lora", "--max-lora-rank", rank, "--max-loras", ADAPTERS,
            "--max-cpu-loras", ADAPTERS_IN_MEMORY, "--generation-config", "vllm", "--max-model-len", self._room, *revision, *self._options,
        ]  # fmt: skip
        settings = {name: value for name, value in os.environ.items() if name.startswith("VLLM_")}
        own = {**training_environment(), **settings, **OWN, "VLLM_API_KEY": key, "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"}
        with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as words:
            process = await asyncio.create_subprocess_exec(*map(str, command), stdin=PIPE, stdout=words, stderr=words, cwd=ROOT, env=own)
        server = Server(process, f"http://127.0.0.1:{port}", key, log)
        try:
            await _wait_healthy(server)
        except EngineFailed:
            await self._end(server)
            raise
        return server


@dataclass
class VllmRunning:
    """One adapter in a server."""

    engine: VllmEngine
    server: Server
    model: str
    name: str
    extra: Json = field(default_factory=lambda: {"repetition_penalty": 1.0})

    @property
    def address(self) -> str:
        """Base URL, with /v1."""
        return f"{self.server.address}/v1"

    @property
    def key(self) -> str:
        """What a request bears."""
        return self.server.key

    async def ended(self) -> str:
        """Wait for the end of the server."""
        status = await self.server.process.wait()
        return f"vLLM ended with status {status}. {self.server.said()}"

    async def stop(self) -> None:
        """Unload the adapter."""
        await self.engine.unload(self.server, self.name)


def _rank(export: Path) -> int:
    """The adapter's rank; 0 for a base. Raises EngineFailed for one that vLLM does not take."""
    if not (export / CONFIG_FILE).exists():
        return 0
    config = json.loads((export / CONFIG_FILE).read_bytes())
    if config.get("modules_to_save"):
        raise EngineFailed(f"The adapter has modules_to_save = {config['modules_to_save']}, which vLLM does not load. Train without.")
    return int(config["r"])


def _bucket(rank: int) -> int:
    for allowed in (0, *RANKS):
        if rank <= allowed:
            return allowed
    raise EngineFailed(f"The adapter's rank is {rank}, and vLLM takes {RANKS[-1]} at most. Train with a smaller rank.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _wait_healthy(server: Server) -> None:
    deadline = time.monotonic() + START_SECONDS
    async with httpx2.AsyncClient(trust_env=False) as client:
        while True:
            if server.process.returncode is not None:
                raise EngineFailed(f"vLLM ended with status {server.process.returncode}. {server.said()}")
            if time.monotonic() > deadline:
                raise EngineFailed(f"vLLM was not ready in {START_SECONDS:.0f} s. {server.said()}")
            try:
                if (await client.get(f"{server.address}/health", timeout=5)).status_code == 200:
                    return
            except httpx2.HTTPError:
                pass
            await asyncio.sleep(PAUSE)


async def _call(server: Server, route: str, body: Json) -> None:
    async with httpx2.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {server.key}"}) as client:
        try:
            answer = await client.post(f"{server.address}/v1/{route}", json=body, timeout=CALL_SECONDS)
        except httpx2.HTTPError as error:
            raise EngineFailed(f"vLLM does not answer ({type(error).__name__}). {server.said()}") from error
    if answer.status_code != 200:
        raise EngineFailed(f"vLLM refused the adapter: {answer.text[:LONGEST]}")
