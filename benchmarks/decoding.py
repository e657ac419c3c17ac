"""Tokens a second of greedy and sampled answers: `python -m benchmarks.decoding --shape qwen2.5-7b --rows 200 --tokens 256`.

Weights are random and no row ever ends, so every step has all rows. Whether a sampled row is the same among others and alone is
said too: on random weights the best tokens often nearly tie, so in bf16 some are not.
"""

import argparse
import time
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=32)
    options = parser.parse_args()
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    with device:
        model: Any = AutoModelForCausalLM.from_config(SHAPES[options.shape](), dtype=dtype).eval()
    prompts = [torch.randint(3, 250, (30 + row % 9,)).tolist() for row in range(options.rows)]
    for name, answering in {"greedy": GREEDY, "sampled": Answering(), "sampled, temperature 1": Answering(temperature=1)}.items():
        decode(model, prompts, options.tokens, -1, answering)
        began = time.monotonic()
        rows = decode(model, prompts, options.tokens, -1, answering)
        seconds = time.monotonic() - began
        alone = decode(model, prompts[:1], options.tokens, -1, answering)[0]
        same = sum(first == second for first, second in zip(rows[0], alone, strict=True)) / options.tokens
        speed = options.rows * options.tokens / seconds
        print(f"{options.shape}, {name}: {seconds:.2f} s, {speed:,.0f} tokens/s; {same:.0%} of a row's tokens are those it has alone")


if __name__ == "__main__":
    main()
