"""The whole chain at the article's size on a CPU: `.venv/bin/python -m benchmarks.full_size [--interrupt]`, both environments made.

4,000 answers of an invented writer (benchmarks/parts/authors.py) in a file, 10,000 of a teacher without latency, 2,000 texts of other
people, 200 held-out questions, five arms, in Chinese and in English, by the commands that people run. The model is tiny and learns
little; every row is tokenised. It answers in 24 tokens, so what is measured are answers as long as the writer's, put in their place.

A line a stage: seconds, (processor time) and peak memory of an almost empty run, at a quarter of the size and at the whole, and how many
times as much processor time the whole took beyond the empty run: other work on the machine does not change that much.
`--interrupt` asks each stage to end while it is at work instead, at the whole size, and runs it again.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.parts.chain import Chain, Texts
from benchmarks.parts.watched import Usage

SIZES = (0.0, 0.25, 1.0)
"""Shares of the whole; the empty run has FEWEST of everything."""
MOST_GROWTH, MOST_SECONDS, MOST_GIB, MOST_ENDING = 5.5, 600.0, 4.0, 5.0
SHORT_SECONDS = 2.0
"""What takes less says nothing by its growth."""


def compare(language: str, folder: Path, whole_size: float) -> bool:
    """Print a line a stage, which is run at all sizes; whether all is as it should be."""
    texts, fine, whole = Texts(language), True, list[Usage]()
    with texts.teacher(folder) as teacher:
        chains = [Chain(folder / str(share), texts, share * whole_size, teacher) for share in SIZES]
        for same in zip(*(chain.stages for chain in chains), strict=True):
            used = [chain.run(stage) for chain, stage in zip(chains, same, strict=True)]
            print(f"{language} {same[0].name:15} {_line(used)}", flush=True)
            fine &= used[-1].gib <= MOST_GIB and (_growth(used) or 0) <= MOST_GROWTH
            whole.append(used[-1])
    seconds, processor = sum(one.seconds for one in whole), sum(one.processor for one in whole)
    print(f"{language} all stages at the whole size: {seconds:.0f} s ({processor:.0f})", flush=True)
    return fine and seconds <= MOST_SECONDS


def _growth(used: Sequence[Usage]) -> float | None:
    """Of the processor time beyond the empty run's, from a quarter to the whole; None where there is little of it."""
    empty, quarter, whole = (one.processor for one in used)
    return (whole - empty) / (quarter - empty) if whole - empty > SHORT_SECONDS and quarter > empty else None


def _line(used: Sequence[Usage]) -> str:
    parts = [
        f"{name} {one.seconds:6.1f} s ({one.processor:6.1f}) {one.gib:5.2f} GiB"
        for name, one in zip(("empty", "a quarter", "the whole"), used, strict=True)
    ]
    growth = _growth(used)
    return "   ".join([*parts, f"growth {growth:.1f}" if growth else ""])


def interrupt(language: str, folder: Path, whole_size: float) -> bool:
    """Ask each stage to end while it is at work, say what it kept, and run it again; whether all ended in time and kept something."""
    texts, fine = Texts(language), True
    with texts.teacher(folder) as teacher:
        chain = Chain(folder, texts, whole_size, teacher)
        for stage in chain.stages:
            before = stage.kept()
            usage = chain.interrupt(stage)
            kept = stage.kept()
            again = chain.run(stage)
            ending = (
                "ended before it was asked to"
                if usage.ending is None
                else f"ended {usage.ending:.1f} s ({usage.ending_processor:.1f}) after SIGTERM"
            )
            print(
                f"{language} {stage.name:15} at work for {usage.seconds - (usage.ending or 0):5.1f} s, {ending} (status {usage.status}),"
                f" kept {before} -> {kept}; again {again.seconds:.1f} s -> {stage.kept()}",
                flush=True,
            )
            fine &= usage.ending is not None and usage.ending <= MOST_ENDING
    return fine


def main() -> None:
    """Print the table; exit status 1 when something grows, takes or holds more than it may, or does not end in time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--interrupt", action="store_true", help="ask each stage to end while it is at work, and run it again")
    parser.add_argument("--language", choices=("zh", "en"), help="only this one")
    parser.add_argument("--whole", type=float, default=1.0, metavar="SHARE", help="of the article's size")
    options = parser.parse_args()
    print(f"Load when it began: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores", flush=True)
    fine = True
    for language in (options.language,) if options.language else ("zh", "en"):
        with tempfile.TemporaryDirectory(prefix="ghostwriter-full-size-") as folder:
            fine &= (interrupt if options.interrupt else compare)(language, Path(folder), options.whole)
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
