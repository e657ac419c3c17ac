"""What the gateway's tests serve, made in the training environment, as lines of JSON on standard input ask for.

`{"folder", "base", "good", "scale"}` makes a base (a tiny Llama, or the one named) in FOLDER/models, good adapters of it, `good1`,
`good2` ..., and the bad ones of PLANTED. `{"requests": [...]}` runs the export stage on each; `{"unordered": REQUEST}` writes a finished
export's file anew with the rows of q and k as a converter leaves them that does not know of their order.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[3])]

import torch  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from tests.tiny_model import make_tiny_model  # noqa: E402
from training.contract import (  # noqa: E402
    RESULT_FILE,
    ExportRequest,
    ExportResult,
    load_recipe,
    read_json,
    write_json,
)
from training.export import gguf_file  # noqa: E402
from training.export.card import MODEL_FILE  # noqa: E402
from training.export.export import export  # noqa: E402
from training.export.merged import merged_tensors  # noqa: E402
from training.models.model import ADAPTER_FILE, BASE_FILE, Base, add_adapter, load_adapter, load_base, save_adapter, trainable  # noqa: E402
from training.signals import StopFlag  # noqa: E402

TINY = "tiny"
PLANTED = ("other-base", "rank", "cut-file", "modules-to-save", "zero-b")
UNORDERED = "unordered"
"""An adapter as good as any, whose export is spoilt."""


def make_adapters(folder: Path, name: str, good: int, scale: float) -> None:
    """Write base and adapters; what is random is so by the adapter's number."""
    models = folder / "models"
    if name == TINY:
        make_tiny_model(models / TINY, architecture="llama", merges=[("t", "h"), ("Ġ", "t")])
    base = load_base(name, None, "fp32", models, torch.device("cpu"))
    for number in range(1, good + 1):
        _save(base, folder / f"good{number}", scale, number)
    _save(base, folder / UNORDERED, scale, good + 1)
    _save(base, folder / "zero-b", 0.0, 1)
    for planted in PLANTED[:-1]:
        shutil.copytree(folder / "good1", folder / planted)
    _spoil(folder)


def _save(base: Base, folder: Path, scale: float, seed: int) -> None:
    model = add_adapter(base, load_recipe("tiny").model_copy(update={"base": base.name, "rank": 8}))
    with torch.no_grad():
        for index, parameter in enumerate(trainable(model).values()):
            drawn = torch.Generator().manual_seed(1000 * seed + index)
            parameter.copy_(torch.randn(parameter.shape, generator=drawn) * scale)
    save_adapter(model, base, folder)
    model.unload()


def _spoil(folder: Path) -> None:
    """Each bad adapter is `good1` with one thing wrong."""
    described = json.loads((folder / "other-base" / BASE_FILE).read_bytes())
    (folder / "other-base" / BASE_FILE).write_text(json.dumps({**described, "fingerprint": "0" * 16}))
    _change_config(folder / "rank", r=64)
    _change_config(folder / "modules-to-save", modules_to_save=["lm_head"])
    weights = folder / "cut-file" / ADAPTER_FILE
    weights.write_bytes(weights.read_bytes()[:-1000])
    for planted in PLANTED:  # no two versions may have the same weights: they are known by them
        if planted in ("other-base", "rank", "modules-to-save"):
            tensors = load_file(folder / planted / ADAPTER_FILE)
            save_file(tensors, folder / planted / ADAPTER_FILE, metadata={"format": "pt", "planted": planted})


def _change_config(folder: Path, **changes: object) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}))


def spoil_order(path: Path) -> None:
    """Write the model of a finished export without ordering the rows of q and k, under a digest that fits."""
    request, result = read_json(ExportRequest, path), read_json(ExportResult, path.with_name(RESULT_FILE))
    assert request.adapter
    base = load_base(request.base, request.revision, "fp32", request.models, torch.device("cpu"))
    model, file, permuted = load_adapter(base, request.adapter), result.folder / MODEL_FILE, gguf_file.PERMUTED
    try:
        gguf_file.PERMUTED = ()
        gguf_file.write_gguf(file, merged_tensors(model), model.get_base_model(), base.chat, request.name)
    finally:
        gguf_file.PERMUTED = permuted
        model.unload()
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    write_json(result.model_copy(update={"files": {**result.files, MODEL_FILE: digest}}), path.with_name(RESULT_FILE))


def main() -> None:
    """Do what each line of standard input asks for, and say `done`: one start of torch for all."""
    for line in sys.stdin:
        asked = json.loads(line)
        if "folder" in asked:
            make_adapters(Path(asked["folder"]), asked["base"], asked["good"], asked["scale"])
        for path in asked.get("requests", ()):
            export(read_json(ExportRequest, Path(path)), StopFlag())
        if "unordered" in asked:
            spoil_order(Path(asked["unordered"]))
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
