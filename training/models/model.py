"""The base model, its tokenizer, and LoRA adapters on it."""

import hashlib
import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from torch import nn

from training.contract import Recipe
from training.errors import AdapterError, BaseModelError
from training.files import whole_folder
from training.models import hub
from training.models.base_models import prepare
from training.rows.data import ChatFormat

log = logging.getLogger(__name__)

ADAPTER_FILE = "adapter_model.safetensors"
BASE_FILE = "base.json"
"""Beside PEFT's own two files in an adapter folder: which base it was trained on."""

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True)
class Base:
    """A loaded base: `name` as the recipe says it, `fingerprint` of its shape and weights."""

    name: str
    model: Any
    tokenizer: Any
    chat: ChatFormat
    fingerprint: str


def load_base(name: str, revision: str | None, precision: str, models: Path, device: torch.device) -> Base:
    """Load a base model and its tokenizer, padding token set. Raises BaseModelError."""
    from safetensors import SafetensorError

    _wake(device)
    with without_scipy():
        from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel  # noqa: F401  # the last would come with the model
    location = prepare(name, models)
    folder, missing = hub.fetch(location, revision) if hub.is_hub_id(location) else (location, "")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, revision=revision)
        model = AutoModelForCausalLM.from_pretrained(folder, revision=revision, dtype=compute_dtype(precision, device))
    except (OSError, ValueError, SafetensorError) as error:
        raise _cannot_load(name, location, error, missing) from error
    model.name_or_path = model.config.name_or_path = location  # what an adapter's own file calls its base
    chat = ChatFormat(tokenizer)
    set_padding_token(tokenizer, chat)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.to(device)  # type: ignore[arg-type]
    return Base(name, model, tokenizer, chat, fingerprint(model))


def _wake(device: torch.device) -> None:
    """Have a GPU make its context beside the imports: seconds in which the processor only waits. A fault shows at its first use."""

    def begin() -> None:
        with suppress(RuntimeError):
            torch.zeros(1, device=device)

    if device.type == "cuda":
        Thread(target=begin, name="first use of the GPU", daemon=True).start()


@contextmanager
def without_scipy() -> Iterator[None]:
    """Import transformers' models as where SciPy and scikit-learn are not installed: a third of a stage's start.

    They import them to find objects in pictures and for one way of assisted generation, which nobody here does.
    """
    hidden = [name for name in ("scipy", "sklearn") if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: what the import system reads as "there is none"
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def load_config(name: str, revision: str | None, models: Path) -> Any:
    """The configuration of a base model, without its weights. Raises BaseModelError."""
    location = prepare(name, models)
    folder, missing = hub.fetch(location, revision, hub.CONFIG) if hub.is_hub_id(location) else (location, "")
    try:
        with without_scipy():  # a configuration imports what models are loaded with
            from transformers import AutoConfig

            return AutoConfig.from_pretrained(folder, revision=revision)
    except (OSError, ValueError) as error:
        raise _cannot_load(name, location, error, missing) from error


def _cannot_load(name: str, location: str, error: Exception, missing: str) -> BaseModelError:
    """In words: why a hub did not give it out (`missing`), or else what the library said of the files."""
    if missing:
        return BaseModelError(missing)
    return BaseModelError(
        f"The base model {name} cannot be loaded from {location}: {str(error).splitlines()[0]}"
        " A hub id needs the network once; a local folder must hold all files of the model."
    )


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The type weights are held and multiplied in: float32 for bf16 on a CPU that only emulates it (measured: 5 to 50 times slower)."""
    if precision == "bf16" and device.type == "cpu" and not has_fast_bf16():
        log.info("This CPU has no bf16 arithmetic; computing in float32.")
        return torch.float32
    return DTYPES[precision]


def has_fast_bf16() -> bool:
    """Whether the CPU multiplies bf16 in hardware."""
    known = torch.cpu.get_capabilities()
    return any(known.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def set_padding_token(tokenizer: Any, chat: ChatFormat) -> None:
    """Choose a padding token that ends nothing: the tokenizer's own, `<|endoftext|>`, or another special one. Raises BaseModelError."""
    ends = {tokenizer.eos_token, chat.end_token}
    special = sorted(tokenizer.get_added_vocab())
    candidates = [tokenizer.pad_token, "<|endoftext|>", tokenizer.unk_token, *special]
    vocabulary = tokenizer.get_vocab()  # once: it is made anew for each call, 35 ms on a GPU's host
    free = [token for token in candidates if token and token not in ends and token in vocabulary]
    if not free:
        raise BaseModelError(
            f"The tokenizer of {tokenizer.name_or_path} has no token for padding beside its end token. Add a special token to it."
        )
    tokenizer.pad_token = free[0]


def check_end_token(base: Base) -> None:
    """Refuse a base that was never taught to end on its template's end token: LoRA leaves embeddings and head frozen, so it never will.

    Qwen2.5-7B (not Instruct) is such a base: its template ends on `<|im_end|>`, its own end is `<|endoftext|>`. Raises BaseModelError.
    """
    model, tokenizer = base.model, base.tokenizer
    ends = _as_set(model.config.eos_token_id) | _as_set(model.generation_config.eos_token_id if model.generation_config else None)
    if base.chat.end_id in ends:
        return
    names = ", ".join(repr(tokenizer.decode([end])) for end in sorted(ends)) or "nothing"
    raise BaseModelError(
        f"{base.name} was trained to end on {names}, but its chat template ends answers on {base.chat.end_token!r}, which it cannot"
        f" learn while embeddings and head are frozen. Start from its instruct version, or change its folder's template to end on {names}."
    )


def add_adapter(base: Base, recipe: Recipe) -> Any:
    """The base with a fresh LoRA adapter on all linear layers except the head, in the base's precision; the seed fixes its start."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(recipe.seed)
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=recipe.target,
        task_type="CAUSAL_LM",
        revision=recipe.revision,
    )
    return get_peft_model(base.model, config, autocast_adapter_dtype=False)


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that learn, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def save_adapter(model: Any, base: Base, folder: Path) -> None:
    """Write the adapter alone, in bf16 and PEFT's own format, plus which base it belongs to; the folder appears by rename."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    tensors = get_peft_model_state_dict(model).items()
    weights = {name: tensor.detach().to("cpu", torch.bfloat16).contiguous() for name, tensor in tensors}
    config = copy(model.peft_config["default"])
    config.base_model_name_or_path, config.inference_mode = base.name, True
    with whole_folder(folder) as unfinished:
        save_file(weights, unfinished / ADAPTER_FILE, metadata={"format": "pt"})
        config.save_pretrained(unfinished)
        (unfinished / BASE_FILE).write_text(json.dumps({"base": base.name, "fingerprint": base.fingerprint}) + "\n")


def load_adapter(base: Base, folder: Path, *, learning: bool = False) -> Any:
    """The base with the adapter in `folder`, for inference, or for `learning` on with it.

    Raises AdapterError when it is none, or one of another base.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    check_adapter(folder, base)
    try:
        model = PeftModel.from_pretrained(
            base.model,
            folder,
            is_trainable=learning,
            autocast_adapter_dtype=False,
            low_cpu_mem_usage=not learning,  # else random weights are drawn first: seconds at 7B
        ).eval()
    except (RuntimeError, ValueError, OSError, SafetensorError) as error:
        raise AdapterError(f"The adapter in {folder} cannot be loaded on {base.name}: {str(error).splitlines()[0]}") from error
    if learning:  # when it is saved, PEFT looks at the base, which by its name alone it would look for on a hub
        model.peft_config["default"].base_model_name_or_path = base.model.name_or_path
    return model


@contextmanager
def attached(base: Base, folder: Path) -> Iterator[Any]:
    """The base with the adapter in `folder`, until the block ends; then it is the base again, bit for bit. Raises AdapterError.

    On a CPU in float32 the adapter is added into the weights meanwhile: three small products and a sum less for each layer. In bf16
    the sum would be rounded, and other answers come out.
    """
    model = load_adapter(base, folder)
    if base.model.device.type == "cpu" and base.model.dtype == torch.float32:
        with _merged(model) as merged:
            yield merged
        return
    try:
        yield model
    finally:
        model.unload()


@contextmanager
def _merged(model: Any) -> Iterator[Any]:
    """The base of a PEFT model with the adapter added into its weights until the block ends.

    PEFT's own `unmerge` subtracts again what was added, which is not exact.
    """
    from peft.tuners.lora import LoraLayer

    weights = []
    layers: list[Any] = [module for module in model.modules() if isinstance(module, LoraLayer)]
    for layer in layers:
        parameter = layer.get_base_layer().weight
        weights.append((parameter, parameter.data))
        parameter.data = parameter.data + layer.get_delta_weight("default")
    try:
        yield model.unload()
    finally:
        for parameter, before in weights:
            parameter.data = before


def check_adapter(folder: Path, base: Base) -> None:
    """Raise AdapterError unless `folder` holds a plain LoRA adapter of this base."""
    try:
        config = json.loads((folder / "adapter_config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise AdapterError(f"{folder} holds no adapter (adapter_config.json): {error}.") from error
    if config.get("modules_to_save"):
        raise AdapterError(
            f"The adapter in {folder} has modules_to_save = {config['modules_to_save']}, which vLLM cannot load. Train it again without."
        )
    try:
        trained_on = json.loads((folder / BASE_FILE).read_bytes()) if (folder / BASE_FILE).exists() else None
    except ValueError as error:
        raise AdapterError(f"{folder / BASE_FILE} cannot be read: {error}. Fetch the adapter again, or train it again.") from error
    if trained_on and trained_on["fingerprint"] != base.fingerprint:
        raise AdapterError(
            f"The adapter in {folder} was trained on {trained_on['base']}, not on the base {base.name} given here. Use its own base."
        )


def fingerprint(model: nn.Module) -> str:
    """SHA-256 (16 hex digits) of all parameter names and shapes, and of the first 64 values of each as bf16.

    So a base that was trained on with its embeddings frozen, and merged, is another one.
    """
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        values = parameter.detach().flatten()[:64].to("cpu", torch.bfloat16).view(torch.int16)
        digest.update(f"{name} {tuple(parameter.shape)}\n".encode() + values.numpy().tobytes())
    return digest.hexdigest()[:16]


def _as_set(ids: int | list[int] | None) -> set[int]:
    if ids is None:
        return set()
    return {ids} if isinstance(ids, int) else set(ids)
