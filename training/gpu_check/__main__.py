"""`python -m training.gpu_check --home FOLDER`: five minutes on the card, and a text to paste into an issue.

Random weights of Qwen2.5-7B's shape, a byte tokenizer and invented rows; 40 GB of disk. The recipe is the largest of the
shipped ones that fits the card. What is tried: training at its speed and memory, killed and gone on with; answering; whether
plain peft gives the scored answers again.
"""

import argparse
import importlib.metadata
import logging
import os
import platform
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from training.command import guarded
from training.contract import Recipe, TrainRequest, load_recipe
from training.errors import TrainingError
from training.fit.memory import GIB, Shape, estimate
from training.gpu_check.model import SHAPES, write_base, write_dataset
from training.gpu_check.trials import answer, gap_facts, reload_shares, style_recipe, train_killed
from training.models.model import load_base, load_config
from training.processes import GPU_GIB, best_device, card_bytes, limit_memory

RECIPES = ("qwen2.5-7b-style", "qwen2.5-7b-style-48gb", "qwen2.5-7b-style-24gb")
PACKAGES = ("torch", "triton", "transformers", "peft", "accelerate", "liger-kernel", "safetensors")
DISK_GIB = 40
STEPS, CHECKPOINT_STEPS, LAST_STEPS = 16, 4, 3
"""Of a training; between two checkpoints; and those it is not killed in, since a kill takes a moment."""
NEW_TOKENS, TINY_TOKENS = 256, 48
"""Of each answer, as many on a card as take some seconds."""
BASE = "random-7b"


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the card and print what was found; returns the exit status."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m training.gpu_check", description=__doc__, formatter_class=form)
    parser.add_argument("--home", type=Path, required=True, help="an empty folder to work in; it can be removed afterwards")
    parser.add_argument("--recipe", help="one of training/recipes instead of the largest that fits")
    parser.add_argument("--gib", type=float, help="use only so much of the card, as a smaller one would have")
    parser.add_argument("--shape", choices=tuple(SHAPES), default="7b", help="tiny: to try the check itself, also without a GPU")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"optimizer steps, at least {CHECKPOINT_STEPS + 1 + LAST_STEPS}")
    options = parser.parse_args(arguments)
    return guarded(lambda: check(options))


def check(options: argparse.Namespace) -> None:
    """Print the text. Raises TrainingError."""
    began = time.monotonic()
    _leave_the_text_alone()
    if options.gib:
        os.environ[GPU_GIB] = str(options.gib)
    device = best_device()
    _require(device, options)
    _say("```", f"gpu-check, {time.strftime('%Y-%m-%d')}", *_machine(device))
    models = options.home / "models"
    write_base(models / BASE, options.shape, device)
    _free(device)
    recipe = _recipe(options, device, models)
    dataset = write_dataset(options.home / "dataset", rows=recipe.batch * options.steps, heldout=20)
    _say(*_train(options, recipe, models, dataset))
    tokens = TINY_TOKENS if options.shape == "tiny" else NEW_TOKENS
    _say(*_answer(options.home / "run" / "adapter", dataset, models, device, tokens))
    _say(f"all of it: {time.monotonic() - began:.0f} s", "```")


def _leave_the_text_alone() -> None:
    """No bars and remarks of the libraries' between the lines that are to be shown."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.getLogger("training").setLevel(logging.WARNING)


def _say(*lines: str) -> None:
    """At once, so that what was found before something goes wrong is there."""
    print(*lines, sep="\n", flush=True)


def _answer(adapter: Path, dataset: Path, models: Path, device: torch.device, tokens: int) -> list[str]:
    limit_memory(device)
    base = load_base(BASE, None, "bf16", models, device)
    prompts, answers, pace = answer(base, adapter, dataset, tokens=tokens)
    shares = ", ".join(f"{name} {share:.0%}" for name, share in reload_shares(base, adapter, prompts, answers).items())
    gaps = ", ".join(f"{name} {value:.4g}" for name, value in gap_facts(base, adapter, prompts, answers).items())
    return [
        f"answering: {pace:.0f} tokens/s, {len(answers)} questions at once, adapter not merged",
        f"given again by plain peft: {shares}",
        f"tokens behind plain peft's first choice, in nats: {gaps}",
    ]


def _require(device: torch.device, options: argparse.Namespace) -> None:
    if device.type == "cpu" and options.shape != "tiny":
        raise TrainingError(
            "PyTorch sees no GPU here. Look at `nvidia-smi`; in a container the NVIDIA container toolkit must be installed and the"
            " container started with the GPU (--gpus all), and torch must be a CUDA build (the image of VARIANT=cuda)."
        )
    options.home.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(options.home).free / GIB
    if options.shape != "tiny" and free < DISK_GIB:
        raise TrainingError(f"{options.home} has {free:.0f} GiB free; weights and checkpoints need {DISK_GIB}. Choose another --home.")


def _machine(device: torch.device) -> list[str]:
    versions = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    lines = [f"Python {platform.python_version()}, CUDA {torch.version.cuda}, {versions}"]
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        capability = ".".join(map(str, torch.cuda.get_device_capability(device)))
        lines.append(f"{card.name}, {card.total_memory / GIB:.1f} GiB, capability {capability}, driver {_driver()}")
        lines.append(f"used here: {card_bytes(device) / GIB:.1f} GiB")
    return lines


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not there"


def _driver() -> str:
    program = shutil.which("nvidia-smi")
    if not program:
        return "not told (no nvidia-smi)"
    done = subprocess.run([program, "--query-gpu=driver_version", "--format=csv,noheader"], capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[0].strip() or "not told"


def _recipe(options: argparse.Namespace, device: torch.device, models: Path) -> Recipe:
    """The asked one, else the largest that fits. Its base is the random one. Raises TrainingError."""
    if options.shape == "tiny":
        return style_recipe(load_recipe("tiny"), BASE, precision="bf16", checkpoint_steps=CHECKPOINT_STEPS)
    shape = Shape.of(load_config(BASE, None, models))
    names = [options.recipe] if options.recipe else list(RECIPES)
    recipes = [style_recipe(load_recipe(name), BASE, checkpoint_steps=CHECKPOINT_STEPS) for name in names]
    fitting = [recipe for recipe in recipes if options.recipe or estimate(recipe, shape).total <= card_bytes(device)]
    if not fitting:
        raise TrainingError(f"None of {', '.join(RECIPES)} fits {card_bytes(device) / GIB:.1f} GiB: the smallest is for cards of 24 GB.")
    return fitting[0]


def _train(options: argparse.Namespace, recipe: Recipe, models: Path, dataset: Path) -> list[str]:
    recipe = recipe.model_copy(update={"max_steps": options.steps})
    request = TrainRequest(run_folder=options.home / "run", dataset=dataset, arm="direct", recipe=recipe, models=models)
    trained = train_killed(request, random.randint(CHECKPOINT_STEPS + 1, options.steps - LAST_STEPS))
    fields = ("rank", "micro_batch", "max_length", "recompute")
    settings = ", ".join(f"{name} {getattr(recipe, name)}" for name in fields)
    return [
        f"recipe: {settings}",
        f"training: {trained.tokens_per_second:.0f} tokens/s at best, peak {trained.peak_gib:.1f} GiB, {trained.result.steps} steps,"
        f" loss {trained.result.first_loss:.3f} to {trained.result.last_loss:.3f}",
        f"killed after step {trained.killed_after} (drawn at random), went on after step {trained.gone_on_after}",
        *trained.said,
    ]


def _free(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main())
