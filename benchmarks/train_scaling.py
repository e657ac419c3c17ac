"""Training speed on 1, 2, ... GPUs of one host: `python -m benchmarks.train_scaling --gpus 1,2` (training environment).

The fixed workload and shape of benchmarks.train_throughput: 32 rows a step however many GPUs there are, so each has fewer rows to fill
its time with. Communication is measured in three ways: the sums alone; the same steps without any sum (which is no training: it shows
what the sums cost although they overlap with the backward pass); and the losses, which must be those of one GPU.
"""

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import torch

from benchmarks.train_throughput import MAX_LENGTH, SHAPES, make_model, take, workload
from training.contract import Recipe
from training.fit.fused import choose_kernels
from training.fit.loop import Step
from training.fit.optimizer import MasterAdamW
from training.fit.paths import packed
from training.models.model import trainable
from training.processes import Processes
from training.rows.data import Row

BATCH, MICRO_BATCH, LEARNING_RATE = 32, 4, 1e-4
REPEATS = 10


class Silent(Processes):
    """Several processes that say nothing of their gradients to each other."""

    def begin_sum(self, tensor: torch.Tensor) -> Any:
        return None

    def finish(self, begun: list[Any]) -> None:
        pass


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Figures of this number of processes; the same in all of them."""
    processes = Processes()
    vocabulary = SHAPES[options.shape]["vocab_size"]
    rows = [
        Row(row.source, [token % vocabulary for token in row.ids], row.answer_start)
        for row in workload("style", BATCH * (options.warmup + options.steps))
    ]
    model = make_model(options.shape, options.rank, processes.device, adapters_in_float32=False).train()
    path = packed(model, MAX_LENGTH, processes.device, choose_kernels(processes.device), MICRO_BATCH * MAX_LENGTH)
    optimizer = MasterAdamW(trainable(model), 0.0)
    losses, _ = timed_steps(options, path, optimizer, processes, rows, 0, options.warmup)
    timed, seconds = timed_steps(options, path, optimizer, processes, rows, options.warmup, options.steps)
    figures = {
        "tokens_per_second": sum(len(row.ids) for row in rows[BATCH * options.warmup :]) / seconds,
        "step": seconds / options.steps,
        "losses": losses + timed,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if processes.device.type == "cuda" else 0.0,
    }
    if processes.count > 1:
        figures["sums_alone"] = sums_alone(optimizer, processes)
        _, without = timed_steps(options, path, optimizer, Silent(), rows, options.warmup, options.steps)
        figures["step_without_sums"] = without / options.steps
    return figures


def timed_steps(
    options: argparse.Namespace, path: Any, optimizer: MasterAdamW, processes: Processes, rows: list[Row], first: int, count: int
) -> tuple[list[float], float]:
    """Losses and seconds of `count` steps from step `first` on."""
    recipe = Recipe(base="random", batch=BATCH, micro_batch=MICRO_BATCH)
    steps = [
        Step(number, rows[number * BATCH : (number + 1) * BATCH], MICRO_BATCH, LEARNING_RATE) for number in range(first, first + count)
    ]
    processes.wait()
    began = time.perf_counter()
    losses = take(steps, path, optimizer, recipe, processes)
    processes.wait()
    return losses, time.perf_counter() - began


def sums_alone(optimizer: MasterAdamW, processes: Processes) -> float:
    """Seconds that a step's sums take when nothing else runs."""
    for repeat in range(REPEATS + 1):
        if repeat == 1:
            _wait(processes)
            began = time.perf_counter()
        optimizer.sum_gradients(processes)
    _wait(processes)
    optimizer.clear_gradients()
    return (time.perf_counter() - began) / REPEATS


def _wait(processes: Processes) -> None:
    if processes.device.type == "cuda":
        torch.cuda.synchronize()
    processes.wait()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", default="1,2", help="numbers of processes; without a GPU they run on the CPU over gloo")
    parser.add_argument("--shape", choices=SHAPES, default="7b")
    parser.add_argument("--rank", type=int, default=256)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--steps", type=int, default=47)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        figures = measure(options)
        if Processes().is_main:
            print("FIGURES " + json.dumps(figures))
        return
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{time.strftime('%Y-%m-%d')}, {name}, torch {torch.__version__}, {options.steps} steps of {BATCH} rows after {options.warmup}")
    print("| GPUs | tokens/s | of linear | step | sums alone | sums cost | peak GiB | losses differ at most |")
    print("|---|---|---|---|---|---|---|---|")
    alone: dict[str, Any] | None = None
    for count in map(int, options.gpus.split(",")):
        found = _in_processes(count, sys.argv[1:])
        alone = alone or found
        linear = found["tokens_per_second"] / alone["tokens_per_second"] / count
        differ = max(abs(one - other) for one, other in zip(found["losses"], alone["losses"], strict=True))
        sums = ["-", "-"]
        if count > 1:
            cost = found["step"] - found["step_without_sums"]
            sums = [f"{found['sums_alone'] * 1e3:.1f} ms", f"{cost * 1e3:.1f} ms, {cost / found['step']:.1%}"]
        cells = (
            str(count),
            f"{found['tokens_per_second']:,.0f}",
            f"{linear:.1%}",
            f"{found['step'] * 1e3:.0f} ms",
            *sums,
            f"{found['peak_gib']:.1f}",
            f"{differ:.5f}",
        )
        print(f"| {' | '.join(cells)} |", flush=True)


def _in_processes(count: int, arguments: list[str]) -> dict[str, Any]:
    """The figures that the first of `count` processes prints, started by torchrun."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    done = subprocess.run([*torchrun, "-m", "benchmarks.train_scaling", *arguments, "--one"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{count} processes failed:\n{done.stderr[-2000:]}")
    line = next(line for line in done.stdout.splitlines() if line.startswith("FIGURES "))
    figures: dict[str, Any] = json.loads(line.removeprefix("FIGURES "))
    return figures


if __name__ == "__main__":
    main()
