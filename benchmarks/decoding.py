"""Tokens a second of greedy and sampled answers: `python -m benchmarks.decoding --shape qwen2.5-7b --rows 200 --tokens 256`.

Weights are random and no row ever ends, so every step has all rows. `--rank` puts an adapter on all linear layers, unmerged. Beside the
speed stands that of transformers' own layers in the same loop, and how many tokens are theirs, and how many of a row are those that it
has alone: on random weights the best tokens often nearly tie, so in bf16 some are not, and what follows such a token is another text.
"""

import argparse
import time
from typing import Any
from unittest.mock import patch

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

from training.answer import decode as decode_module
from training.answer.decode import decode
from training.contract import GREEDY, Answering
from training.gpu_check.model import SHAPES as GPU_CHECK

SHAPES = {
    "tiny": lambda: Qwen2Config(**GPU_CHECK["tiny"]),
    "smollm2-135m": lambda: LlamaConfig(
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1_536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
    ),
    "qwen2.5-7b": lambda: Qwen2Config(**GPU_CHECK["7b"], tie_word_embeddings=False),
}


def main() -> None:
    """Answer the same random prompts in each way, twice, and say how long the second took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rank", type=int, default=0, help="of an adapter; 0: none, or a merged one")
    options = parser.parse_args()
    torch.manual_seed(0)
    model = adapted(options.shape, options.rank)
    prompts = [torch.randint(3, 250, (30 + row % 9,)).tolist() for row in range(options.rows)]
    kind = f"{options.shape}, {options.rows} rows, {f'adapter of rank {options.rank}' if options.rank else 'no adapter'}"
    print(f"{kind}, on {device_name()}")
    for name, answering in {"greedy": GREEDY, "sampled": Answering(), "sampled, temperature 1": Answering(temperature=1)}.items():
        rows, seconds = timed(model, prompts, options.tokens, answering)
        with patch.object(decode_module, "can_fuse", return_value=False):
            others, longer = timed(model, prompts, options.tokens, answering)
        alone = decode(model, prompts[:1], options.tokens, -1, answering)
        speed = options.rows * options.tokens / seconds
        print(
            f"{name}: {seconds:.2f} s, {speed:,.0f} tokens/s, {longer / seconds:.2f} times transformers' layers;"
            f" {same(rows, others):.0%} of all tokens are theirs, {same(rows[:1], alone):.0%} of a row's are those it has alone",
            flush=True,
        )


def adapted(shape: str, rank: int) -> Any:
    """A model with random weights, and random adapters on its linear layers."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with device:
        model: Any = AutoModelForCausalLM.from_config(SHAPES[shape](), dtype=torch.bfloat16 if device.type == "cuda" else torch.float32)
    if rank:
        model = get_peft_model(model, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear"), autocast_adapter_dtype=False)
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.02)
    return model.eval().requires_grad_(False)


def timed(model: Any, prompts: list[list[int]], tokens: int, answering: Answering) -> tuple[list[list[int]], float]:
    """Answers, and the seconds of the second time."""
    decode(model, prompts, tokens, -1, answering)
    began = time.monotonic()
    rows = decode(model, prompts, tokens, -1, answering)
    return rows, time.monotonic() - began


def same(rows: list[list[int]], others: list[list[int]]) -> float:
    """Share of equal tokens at equal places."""
    pairs = [first == second for row, other in zip(rows, others, strict=True) for first, second in zip(row, other, strict=True)]
    return sum(pairs) / len(pairs)


def device_name() -> str:
    """The card, or the processor with its threads."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.cpu.get_capabilities().get('architecture', 'a processor')}, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()
