"""A tiny model of random weights whose tokenizer knows the texts: `python -m benchmarks.parts.tiny_base FOLDER TEXTS`.

In the training environment; TEXTS is JSONL with the key `answer`. The model itself is tests/tiny_model.py's.
"""

import json
import sys
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from tests.tiny_model import make_tiny_model

TOKENS, TEXTS = 6000, 400


def merges(texts: list[str]) -> list[tuple[str, str]]:
    """What byte-pair encoding joins in these texts, the commonest first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=TOKENS, initial_alphabet=alphabet, show_progress=False))
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


if __name__ == "__main__":
    lines = Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()[:TEXTS]
    make_tiny_model(Path(sys.argv[1]), merges=merges([json.loads(line)["answer"] for line in lines]))
