"""How fast distillation asks a teacher, and what a call costs in CPU and memory. Real HTTP, on this machine.

    .venv/bin/python benchmarks/distill_throughput.py                    a few minutes; --calls 10000 for the figures in training/LOG.md
    .venv/bin/python benchmarks/distill_throughput.py --peer PYTHON      also bespokelabs-curator, in an environment of its own

The teacher is parts/cheap_teacher.py in a process of its own; its CPU is not counted. Each contender runs in a fresh process:

    ours     ghostwriter.distill: plan, ledger (SQLite), cap, throttle, filters, near duplicates, dataset
    plain    the same prompts through the same openai client: asyncio.gather under a semaphore; nothing is kept but the texts
    curator  bespokelabs-curator with its OpenAI-compatible online backend

The peer needs its own environment: python -m venv PEER && PEER/bin/pip install bespokelabs-curator; then --peer PEER/bin/python.
"""

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SERVER = ROOT / "benchmarks" / "parts" / "cheap_teacher.py"
CORPUS = ROOT / "demo" / "corpus" / "lamplight.jsonl"
LATENCY, IN_FLIGHT, RATE = 0.5, 64, 40.0
Figures = dict[str, Any]


def main() -> None:
    """Run the contenders one after the other and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--limited-calls", type=int, default=2_000, help="calls of the rate-limited run")
    parser.add_argument("--peer", metavar="PYTHON", help="a Python that has bespokelabs-curator")
    parser.add_argument("--child", nargs=3, metavar=("CONTENDER", "URL", "CALLS"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        contender, url, calls = chosen.child
        print(json.dumps(measured(CONTENDERS[contender], url, int(calls))))
        return
    print(f"Load when it began: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    full_speed(chosen.calls, chosen.peer)
    rate_limited(chosen.limited_calls)


def full_speed(calls: int, peer: str | None) -> None:
    """0.5 s latency, 64 in flight: the ideal is 128 answers a second."""
    ideal = IN_FLIGHT / LATENCY
    print(f"{calls} calls, {LATENCY} s latency, {IN_FLIGHT} in flight, ideal {ideal:.0f} answers/s")
    for contender in ["plain", "ours", *(["curator"] if peer else [])]:
        with Server(calls, LATENCY) as server:
            try:
                figures = in_child(contender, server.url, calls, peer)
            except subprocess.CalledProcessError as error:
                print(f"  {contender:<8} ended with status {error.returncode}; its own words are above")
                continue
            stats = server.stats()
        sent, first, last = stats["completions"], stats["first"], stats["last"]
        asking = sent / (last - first + LATENCY)
        print(
            f"  {contender:<8} {asking:6.1f} answers/s while asking ({asking / ideal:5.1%} of ideal), {figures['seconds']:6.1f} s in all, "
            f"{figures['cpu_ms']:5.2f} ms CPU and {figures['kilobytes']:5.1f} KB a call, most in flight {stats['most_in_flight']}; "
            f"the teacher itself {stats['cpu_seconds'] / sent * 1e3:.2f} ms",
            flush=True,
        )


def rate_limited(calls: int) -> None:
    """The server allows 40 answers a second and refuses the rest with 429 and Retry-After: 1."""
    with Server(calls, 0.2, "--rate", str(RATE)) as server:
        figures = in_child("ours", server.url, calls, None)
        stats = server.stats()
    refused = stats["refused"]
    rate = stats["completions"] / (stats["last"] - stats["first"])
    share = refused / (refused + calls)
    print(f"{calls} calls, limited to {RATE:.0f} answers/s, 0.2 s latency, 64 allowed in flight")
    print(f"  ours     {rate:6.1f} answers/s ({rate / RATE:.1%} of the limit), {share:.1%} of sends refused, {figures['seconds']:.1f} s")


class Server:
    """The teacher in a process of its own."""

    def __init__(self, answers: int, latency: float, *arguments: str) -> None:
        self._command = [sys.executable, str(SERVER), "--answers", str(answers + 1), "--latency", str(latency), *arguments]

    def __enter__(self) -> "Server":
        paths = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, env=paths)
        assert self._process.stdout
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def stats(self) -> Figures:
        """What the server saw."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("stats\n")
        self._process.stdin.flush()
        found: Figures = json.loads(self._process.stdout.readline())
        return found


def in_child(contender: str, url: str, calls: int, peer: str | None) -> Figures:
    """Run one contender in a fresh process."""
    python = peer if contender == "curator" and peer else sys.executable
    command = [python, __file__, "--child", contender, url, str(calls)]
    paths = {"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}:{ROOT / 'tests'}"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, **paths})
    found: Figures = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(contender: Callable[[str, int], None], url: str, calls: int) -> Figures:
    """Seconds, CPU and peak memory of `calls` calls, beyond those of the imports and one call before."""
    contender(url, 1)
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    contender(url, calls)
    after, seconds = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - started
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu_ms": cpu / calls * 1e3, "kilobytes": (after.ru_maxrss - before.ru_maxrss) / calls}


def ours(url: str, calls: int) -> None:
    """The whole stage, on an empty ledger."""
    from pydantic import SecretStr
    from teacher_server import KEY, MODEL

    from ghostwriter.distilling.distill import distill
    from ghostwriter.home import Home
    from ghostwriter.snapshot import write_snapshot
    from ghostwriter.teacher.client import Endpoint
    from ghostwriter.writer import Writer

    values = {"connection": "none", "model": MODEL, "answers": calls, "concurrency": IN_FLIGHT}
    budget = {"input_price": "2.5", "output_price": "10", "cap": "1000"}
    source = {"kind": "jsonl", "account": "benchmark"}
    writer = Writer.model_validate(
        {"stem": "benchmark", "name": "Benchmark", "language": "en", "source": source, "teacher": values, "budget": budget}
    )
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        answers = write_snapshot(home.answers("benchmark"), "answers", "benchmark", {"answers.jsonl": pairs()})
        made = distill(writer, home, answers, Endpoint(base_url=url, key=SecretStr(KEY)), progress=lambda _: None)
        assert len((made / "distilled.jsonl").read_text().splitlines()) == calls


def plain(url: str, calls: int) -> None:
    """asyncio.gather under a semaphore."""
    from openai import AsyncOpenAI
    from teacher_server import KEY, MODEL

    async def everything() -> list[str | None]:
        free = asyncio.Semaphore(IN_FLIGHT)
        client = AsyncOpenAI(base_url=url, api_key=KEY)

        async def one(prompt: str) -> str | None:
            async with free:
                completion = await client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": prompt}], temperature=0.8, max_tokens=1024
                )
                return completion.choices[0].message.content

        async with client:
            return await asyncio.gather(*(one(prompt) for prompt in prompts(calls)))

    assert len(asyncio.run(everything())) == calls


def curator(url: str, calls: int) -> None:
    """bespokelabs-curator's online processor against the same endpoint. Its tokenizer file comes with litellm, which it depends on."""
    tokenizers = find_spec("litellm")
    assert tokenizers and tokenizers.submodule_search_locations
    os.environ["TIKTOKEN_CACHE_DIR"] = f"{tokenizers.submodule_search_locations[0]}/litellm_core_utils/tokenizers"
    os.environ.update(
        OPENAI_API_KEY="sk-test-4f8c2d7e91ab", CURATOR_DISABLE_RICH_DISPLAY="1", TELEMETRY_ENABLED="false", CURATOR_VIEWER="0"
    )
    from bespokelabs import curator as peer

    with tempfile.TemporaryDirectory() as folder:
        os.environ["CURATOR_CACHE_DIR"] = folder
        parameters = {"base_url": url, "max_concurrent_requests": IN_FLIGHT, "require_all_responses": True, "max_retries": 3}
        rates = {"max_requests_per_minute": 1_000_000, "max_tokens_per_minute": 1_000_000_000}
        model = peer.LLM(
            model_name="test-teacher",
            backend="openai",
            generation_params={"temperature": 0.8, "max_tokens": 1024},
            backend_params={**parameters, **rates},
        )
        assert len(model(prompts(calls), working_dir=folder).dataset) == calls


def pairs() -> list[dict[str, Any]]:
    """The demo's corpus as rows of an answers snapshot."""
    rows = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    return [{**{name: value for name, value in row.items() if name != "answer"}, "text": row["answer"]} for row in rows]


def prompts(calls: int) -> list[str]:
    """Prompts like ours: three pairs and a question, all different."""
    rows = pairs()
    shown = [f"Question: {row['question']}\n\nAnswer: {row['text']}" for row in rows]
    picked = ([shown[(number * 3 + place) % len(shown)] for place in range(3)] for number in range(calls))
    return ["\n\n".join([*three, f"Question {number}: {rows[number % len(rows)]['question']}"]) for number, three in enumerate(picked)]


CONTENDERS = {"ours": ours, "plain": plain, "curator": curator}

if __name__ == "__main__":
    main()
