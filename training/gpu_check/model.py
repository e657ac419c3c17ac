"""A base model of random weights and a dataset of invented rows, so that nothing need be downloaded to try a card."""

import json
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from training.files import whole_folder

END, PAD = "<|im_end|>", "<|endoftext|>"
SPECIAL = [PAD, "<|im_start|>", END]
TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
SHAPES: dict[str, dict[str, int]] = {
    "7b": {
        "vocab_size": 152_064,
        "hidden_size": 3584,
        "intermediate_size": 18_944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
    },
    "tiny": {
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
}
"""`7b` is that of Qwen2.5-7B."""
TOP_LOGIT = 40.0
"""What the largest logits of a trained model reach; the roundings of bf16 are as large as there."""
MOST_LETTERS = 1800
LETTERS = "etaoinshrdlucmfwyp   "


def byte_tokenizer(merges: Sequence[tuple[str, str]] = ()) -> Any:
    """A tokenizer with one token per byte, one for each of `merges`, and three special ones."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*alphabet, *("".join(merge) for merge in merges)]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    settings = {"eos_token": END, "pad_token": PAD, "chat_template": TEMPLATE}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **settings)  # type: ignore[no-untyped-call]


def write_base(folder: Path, shape: str, device: torch.device) -> Path:
    """Write a base of random bf16 weights, its head scaled so that its largest logits are TOP_LOGIT."""
    from transformers import AutoModelForCausalLM, Qwen2Config

    if (folder / "config.json").exists():
        return folder
    torch.manual_seed(0)
    tokenizer = byte_tokenizer()
    end, pad = tokenizer.convert_tokens_to_ids([END, PAD])
    facts: dict[str, Any] = {**SHAPES[shape], "eos_token_id": end, "bos_token_id": pad, "pad_token_id": pad, "dtype": "bfloat16"}
    config = Qwen2Config(**facts, tie_word_embeddings=False, max_position_embeddings=4096)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with device:
            model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    finally:
        torch.set_default_dtype(before)
    _scale_head(model.eval())
    with whole_folder(folder) as unfinished:
        model.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)
    return folder


@torch.no_grad()
def _scale_head(model: Any) -> None:
    """Make the head larger, until the first choices among its logits are TOP_LOGIT."""
    ids = torch.arange(200, device=model.device)[None]
    logits = model(input_ids=ids).logits[0].float()
    model.lm_head.weight *= TOP_LOGIT / float(logits.max(dim=1).values.mean())


def write_dataset(folder: Path, rows: int, heldout: int) -> Path:
    """Invented rows, as long as real ones: an answer's median is 350 tokens here, its mean 460."""
    draw = random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("direct.jsonl", rows), ("heldout.jsonl", heldout)):
        lines = [_row(draw) for _ in range(count)]
        (folder / name).write_text("".join(lines), encoding="utf-8")
    return folder


def _row(draw: random.Random) -> str:
    length = min(max(round(draw.lognormvariate(math.log(300), 0.8)), 16), MOST_LETTERS)
    texts = [_letters(draw, count) for count in (draw.randint(20, 60), length)]
    roles = ("user", "assistant")
    turns = [{"role": role, "content": text} for role, text in zip(roles, texts, strict=True)]
    return json.dumps({"messages": turns}) + "\n"


def _letters(draw: random.Random, count: int) -> str:
    return "x" + "".join(draw.choices(LETTERS, k=count - 2)) + "."
