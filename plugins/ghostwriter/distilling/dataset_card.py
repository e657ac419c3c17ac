"""What other programs read a dataset's folder by: a dataset card for `datasets` and TRL, `dataset_info.json` for LLaMA-Factory."""

import json
from collections.abc import Mapping, Sequence

from training.contract import TRAINING_FILES

CARD_FILE, LLAMA_FACTORY_FILE = "README.md", "dataset_info.json"
CARD = """---
configs:
{configs}
---
# {writer}: questions and answers in `messages`

    datasets.load_dataset(FOLDER)                              # or load_dataset(FOLDER, NAME) with NAME one of: {names}
    trl.SFTTrainer(model, train_dataset=datasets.load_dataset(FOLDER, split="train"))
    llamafactory-cli train --dataset_dir FOLDER --dataset {llama_factory} ...

Split `test` is held out: nothing like it stands in `train`. {teacher}`manifest.json` says where the rows came from.
"""


MIXED = frozenset(TRAINING_FILES["mixed"])


def describe(writer: str, rows: Mapping[str, int], training: Sequence[str], heldout: str, teacher: str | None = None) -> dict[str, str]:
    """The texts of both files, by name.

    `rows` of each file; `training` names its files, the one to load by default first; `teacher` is the model whose answers are there.
    """
    filled = [name for name in training if rows[name]]
    mixed = [name for name in filled if name in MIXED]
    configs = {_stem(name): [name] for name in filled} | ({"mixed": mixed} if len(mixed) > 1 else {})
    card = CARD.format(
        configs="\n".join(_config(name, files, heldout, default=number == 0) for number, (name, files) in enumerate(configs.items())),
        writer=writer,
        teacher=f"The answers in `{training[0]}` are those of the teacher `{teacher}`. " if teacher and rows[training[0]] else "",
        names=", ".join(configs),
        llama_factory=",".join(map(_stem, filled)),
    )
    entries = {_stem(name): _llama_factory(name) for name in (*filled, heldout)}
    return {CARD_FILE: card, LLAMA_FACTORY_FILE: json.dumps(entries, indent=2) + "\n"}


def _stem(name: str) -> str:
    return name.removesuffix(".jsonl")


def _config(name: str, files: Sequence[str], heldout: str, *, default: bool) -> str:
    """One configuration of the card, in YAML."""
    paths = "[" + ", ".join(files) + "]"
    return (
        f"- config_name: {name}\n" + ("  default: true\n" if default else "") + "  data_files:\n"
        f"  - split: train\n    path: {paths}\n  - split: test\n    path: {heldout}"
    )


def _llama_factory(name: str) -> dict[str, object]:
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant", "system_tag": "system"}
    return {"file_name": name, "formatting": "sharegpt", "columns": {"messages": "messages"}, "tags": tags}
