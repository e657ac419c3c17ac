"""A tiny random Qwen2 with a byte-level tokenizer and Qwen2's chat template: `python tests/tiny_model.py FOLDER` (training environment)."""

import sys
from collections.abc import Sequence
from pathlib import Path

from training.gpu_check.model import END, PAD, byte_tokenizer as make_byte_tokenizer


def make_tiny_model(
    folder: Path, *, hidden: int = 32, seed: int = 0, architecture: str = "qwen2", merges: Sequence[tuple[str, str]] = ()
) -> Path:
    """Write the model (2 layers, 259 tokens, about 40,000 float32 parameters) into `folder` and return it; a byte is a token.

    `architecture` is qwen2 or llama; each of `merges` is one more token, which llama.cpp wants at least one of.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(seed)
    tokenizer = make_byte_tokenizer(merges)
    end, pad = tokenizer.convert_tokens_to_ids([END, PAD])
    config = AutoConfig.for_model(
        architecture,
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        eos_token_id=end,
        bos_token_id=pad,
        pad_token_id=pad,
        tie_word_embeddings=False,
        initializer_range=0.2,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    make_tiny_model(Path(sys.argv[1]))
