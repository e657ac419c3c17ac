"""Training speed on the fixed workload: `python -m benchmarks.train_throughput` (training environment, one GPU).

Workload: random weights of Qwen2.5-7B's shape, LoRA r = 256 on all linear layers, `random.Random(0)`; a row has a question of
randint(20, 60) tokens and an answer of lognormvariate(ln 300, 0.8) tokens clipped to [16, 2000 - question]. Real tokens only are counted.
Each line of the table is measured in a process of its own; the peak is that of an 8192-cubed bf16 product.
"""

import argparse
import json
import math
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from training.contract import Recipe
from training.fit.float8.frozen import freeze_in_float8
from training.fit.fused import choose_kernels, plain_kernels
from training.fit.loop import Step, prepare, train_step
from training.fit.optimizer import MasterAdamW
from training.fit.paths import ForwardPath, packed, padded
from training.fit.throughput import flops
from training.models.decoder import causal_model
from training.models.model import trainable
from training.processes import Processes
from training.rows.data import Row, collate

SHAPES: dict[str, dict[str, Any]] = {
    "7b": {
        "model_type": "qwen2",
        "vocab_size": 152_064,
        "hidden_size": 3584,
        "intermediate_size": 18_944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "tie_word_embeddings": False,
    },
    "smollm2": {
        "model_type": "llama",
        "vocab_size": 49_152,
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "tie_word_embeddings": True,
    },
    "tiny": {
        "model_type": "qwen2",
        "vocab_size": 2000,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
}
METHODS = ("article", "trl", "padded", "packed-plain", "packed", "packed-fp8")
MAX_LENGTH = 2000


def workload(kind: str, count: int) -> list[Row]:
    """The fixed rows. Style: mean 460 tokens, median 351. Chains: as long as worked multiplications of 3 digits in SmolLM2's tokens."""
    generator = random.Random(0)
    rows = []
    for number in range(count):
        if kind == "chains":
            length = min(max(round(generator.gauss(1433, 200)), 400), 1926)
            rows.append(Row(f"row:{number}", [generator.randrange(1000, 40_000) for _ in range(length)], 25))
            continue
        question = generator.randint(20, 60)
        answer = min(max(round(generator.lognormvariate(math.log(300), 0.8)), 16), MAX_LENGTH - question)
        rows.append(Row(f"row:{number}", [generator.randrange(1000, 150_000) for _ in range(question + answer)], question))
    return rows


def make_model(shape: str, rank: int, device: torch.device, *, adapters_in_float32: bool) -> Any:
    """The shape with random bf16 weights and a LoRA adapter."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules="all-linear", task_type="CAUSAL_LM")
    with device:
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**SHAPES[shape], max_position_embeddings=4096), dtype=torch.bfloat16)
        return get_peft_model(model, config, autocast_adapter_dtype=adapters_in_float32)


def measure_own(method: str, options: argparse.Namespace, rows: list[Row], device: torch.device) -> tuple[float, Any]:
    """Seconds of the timed steps with this project's loop."""
    model = make_model(options.shape, options.rank, device, adapters_in_float32=False).train()
    kernels = plain_kernels() if method == "packed-plain" else choose_kernels(device)
    if method == "packed-fp8":
        freeze_in_float8(causal_model(model).get_decoder())
    most = max(sum(len(row.ids) for row in rows[start : start + options.batch]) for start in range(0, len(rows), options.batch))
    most = min(most, options.micro_batch * MAX_LENGTH)
    path = padded(model, 0, device) if method == "padded" else packed(model, MAX_LENGTH, device, kernels, most)
    recipe = Recipe(base="random", batch=options.batch, micro_batch=options.micro_batch)
    optimizer = MasterAdamW(trainable(model), 0.0)
    batches = [rows[start : start + options.batch] for start in range(0, len(rows), options.batch)]
    steps = [Step(index, batch, options.micro_batch, 1e-4) for index, batch in enumerate(batches)]
    processes = Processes()

    take(steps[: options.warmup], path, optimizer, recipe, processes)
    return _timed(lambda: take(steps[options.warmup :], path, optimizer, recipe, processes)), model


def take(steps: Sequence[Step], path: ForwardPath, optimizer: MasterAdamW, recipe: Recipe, processes: Processes) -> list[float]:
    """Losses of the steps, each prepared while the one before runs."""
    ready, losses = [prepare(path, steps[0], processes)], []
    for following in [*steps[1:], None]:

        def ahead(step: Step | None = following) -> None:
            if step:
                ready.append(prepare(path, step, processes))

        losses.append(train_step(path, optimizer, ready.pop(0), recipe, processes, meanwhile=ahead).loss)
    return losses


def measure_article(options: argparse.Namespace, rows: list[Row], device: torch.device) -> tuple[float, Any]:
    """Seconds with the article's recipe: Trainer, padding collator, 4 x 8, gradient checkpointing, float32 adapters under autocast."""
    from transformers import Trainer, TrainingArguments

    def collator(features: Sequence[dict[str, Row]]) -> dict[str, torch.Tensor]:
        batch = collate([feature["row"] for feature in features], 0)
        return {"input_ids": batch.ids, "attention_mask": batch.attention, "labels": batch.labels}

    model = make_model(options.shape, options.rank, device, adapters_in_float32=True)
    model.enable_input_require_grads()
    arguments = TrainingArguments(
        output_dir="/tmp/article",
        gradient_accumulation_steps=options.batch // 4,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        **_trainer_settings(options, device),
    )
    clock = make_clock(options.warmup, device)
    Trainer(model=model, args=arguments, train_dataset=[{"row": row} for row in rows], data_collator=collator, callbacks=[clock]).train()
    return clock.ended - clock.began, model


def measure_trl(options: argparse.Namespace, rows: list[Row], device: torch.device) -> tuple[float, Any]:
    """Seconds with TRL's SFTTrainer, wrapped packing to 2,048 tokens and Liger kernels (examples see each other and are cut)."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from tests.tiny_model import make_byte_tokenizer  # rows are ids already; TRL wants a tokenizer all the same

    masks = [[0] * row.answer_start + [1] * (len(row.ids) - row.answer_start) for row in rows]
    data = Dataset.from_list([{"input_ids": row.ids, "completion_mask": mask} for row, mask in zip(rows, masks, strict=True)])
    packs_a_step = sum(len(row.ids) for row in rows) / (options.warmup + options.steps) / 2048
    settings = SFTConfig(
        output_dir="/tmp/trl",
        packing=True,
        packing_strategy="wrapped",
        max_length=2048,
        gradient_accumulation_steps=max(1, round(packs_a_step / 4)),
        use_liger_kernel=True,
        **_trainer_settings(options, device),
    )
    model = make_model(options.shape, options.rank, device, adapters_in_float32=False)
    clock = make_clock(options.warmup, device)
    SFTTrainer(model=model, args=settings, train_dataset=data, processing_class=make_byte_tokenizer(), callbacks=[clock]).train()
    return clock.ended - clock.began, model


def make_clock(warmup: int, device: torch.device) -> Any:
    """A callback of transformers' that knows when step `warmup` and the last one ended."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        began = ended = 0.0

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            _wait(device)
            self.ended = time.perf_counter()
            if state.global_step == warmup:
                self.began = self.ended

    return Clock()


def _trainer_settings(options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    return {
        "per_device_train_batch_size": 4,
        "gradient_checkpointing": True,
        "bf16": device.type == "cuda",
        "max_steps": options.warmup + options.steps,
        "save_strategy": "no",
        "report_to": "none",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "use_cpu": device.type == "cpu",
    }


def measure(method: str, options: argparse.Namespace) -> dict[str, float]:
    """One line of the table: tokens/s, TFLOP/s, seconds, peak GiB."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    vocabulary = SHAPES[options.shape]["vocab_size"]
    rows = [
        replace(row, ids=[token % vocabulary for token in row.ids])
        for row in workload(options.workload, options.batch * (options.warmup + options.steps))
    ]
    if method == "article":
        seconds, model = measure_article(options, rows, device)
    elif method == "trl":
        seconds, model = measure_trl(options, rows, device)
    else:
        seconds, model = measure_own(method, options, rows, device)
    timed = rows[options.batch * options.warmup :]
    tokens = sum(len(row.ids) for row in timed)
    per_token, per_answer = flops(model)
    work = tokens * per_token + sum(len(row.ids) - row.answer_start for row in timed) * per_answer
    peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0
    return {"tokens_per_second": tokens / seconds, "tflops": work / seconds / 1e12, "seconds": seconds, "peak_gib": peak}


def matrix_peak() -> float:
    """TFLOP/s of an 8192-cubed bf16 product; 0 without a GPU."""
    if not torch.cuda.is_available():
        return 0.0
    left, right = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(10):
        left @ right
    return 50 * 2 * 8192**3 / _timed(lambda: [left @ right for _ in range(50)]) / 1e12


def main() -> None:
    """Print the table, or with --one the figures of one method as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--methods", default="article,packed")
    parser.add_argument("--one")
    parser.add_argument("--shape", choices=SHAPES, default="7b")
    parser.add_argument("--workload", choices=("style", "chains"), default="style")
    parser.add_argument("--rank", type=int, default=256)
    parser.add_argument("--micro-batch", type=int, default=4, help="times 2,000 tokens a forward pass")
    parser.add_argument("--batch", type=int, default=32, help="rows a step; the workload has 32")
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(matrix_peak() if options.one == "peak" else measure(options.one, options)))
        return
    peak = float(_in_process("peak", sys.argv[1:]) or 0)
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    print(f"{time.strftime('%Y-%m-%d')}, {name}, torch {torch.__version__}, matrix peak {peak:.0f} TFLOP/s, steps timed: {options.steps}")
    print("| set-up | tokens/s | TFLOP/s | of peak | peak GiB |\n|---|---|---|---|---|")
    for method in options.methods.split(","):
        figures = _in_process(method, sys.argv[1:])
        if isinstance(figures, dict):
            share = f"{figures['tflops'] / peak:.0%}" if peak else "-"
            cells = (method, f"{figures['tokens_per_second']:,.0f}", f"{figures['tflops']:.1f}", share, f"{figures['peak_gib']:.1f}")
            print(f"| {' | '.join(cells)} |", flush=True)


def _in_process(method: str, arguments: list[str]) -> Any:
    """The figures of one method from a process of its own; its last line is printed when it fails."""
    command = [sys.executable, "-m", "benchmarks.train_throughput", *arguments, "--one", method]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        print(f"| {method} | failed: {(done.stderr.strip().splitlines() or ['no message'])[-1][:300]} | | | |", flush=True)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def _timed(work: Callable[[], object]) -> float:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    _wait(device)
    began = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
