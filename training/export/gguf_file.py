"""Weights and a tokenizer in transformers' form into one GGUF file that llama.cpp and Ollama read.

The `gguf` package has the format, the names of the tensors, and no converter. Names and the order of rows follow llama.cpp's
`convert_hf_to_gguf.py`: the rows of q and k of a Llama are reordered by head, those of a Qwen2 are not. What is converted here is
proved afterwards (training.export.proof); a base that no proof was made for is refused.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gguf
import numpy
import torch

from training.errors import ExportError
from training.export.merged import shapes
from training.rows.data import ChatFormat

ARCHITECTURES = {
    "LlamaForCausalLM": gguf.MODEL_ARCH.LLAMA,
    "Qwen2ForCausalLM": gguf.MODEL_ARCH.QWEN2,
}
FLOAT32 = numpy.dtype(numpy.float32)
PERMUTED = ("LlamaForCausalLM",)
PRE_TOKENIZERS = {"gpt-2": ["ByteLevel"], "smollm": ["Digits", "ByteLevel"], "qwen2": ["Split", "ByteLevel"]}
"""llama.cpp's names of how text is divided before merges, and the parts of the tokenizer that do so."""

Tensors = Iterable[tuple[str, torch.Tensor]]


def write_gguf(path: Path, tensors: Tensors, model: Any, chat: ChatFormat, name: str) -> None:
    """Write `tensors` (transformers' names, in the order of `model`) with its settings and the tokenizer of `chat`; all in float32.

    One tensor is held at a time, and each is written once: a 7B's file has 30 GB.
    Raises ExportError for an architecture or a tokenizer that is not known here.
    """
    architecture = _architecture(model)
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[architecture])
    _add_settings(writer, model.config, name)
    _add_tokenizer(writer, chat, model.config.vocab_size)
    names = gguf.get_tensor_name_map(architecture, model.config.num_hidden_layers)
    for hf_name, shape in shapes(model):
        writer.add_tensor_info(_gguf_name(names, hf_name), shape, FLOAT32, shape.numel() * FLOAT32.itemsize)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for hf_name, tensor in tensors:
        writer.write_tensor_data(_in_rows(model, hf_name, tensor.detach().float().cpu()).numpy())
    writer.close()


def _architecture(model: Any) -> Any:
    kind = type(model).__name__
    if kind not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ExportError(f"A {kind} cannot be written as GGUF; only {known} can. Export it --as peft or --as merged.")
    rope = getattr(model.config, "rope_parameters", None) or {}
    if rope.get("rope_type", "default") != "default":
        raise ExportError(f"rope_type {rope['rope_type']!r} cannot be written as GGUF. Export it --as peft or --as merged.")
    return ARCHITECTURES[kind]


def _add_settings(writer: gguf.GGUFWriter, config: Any, name: str) -> None:
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(_head_size(config))
    writer.add_vocab_size(config.vocab_size)


def _add_tokenizer(writer: gguf.GGUFWriter, chat: ChatFormat, size: int) -> None:
    """The vocabulary, filled up to `size`; the end token is the one that ends an answer in the chat template."""
    state = json.loads(chat.tokenizer.backend_tokenizer.to_str())
    tokens, kinds = _vocabulary(state, size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_pre_tokenizer(state))
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in state["model"]["merges"]])
    writer.add_eos_token_id(chat.end_id)
    writer.add_pad_token_id(chat.tokenizer.pad_token_id)
    if chat.tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(chat.tokenizer.bos_token_id)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(chat.tokenizer.chat_template)


def _vocabulary(state: dict[str, Any], size: int) -> tuple[list[str], list[int]]:
    """Tokens and their kinds by id. Ids of the embedding that no token has are filled up."""
    if state["model"]["type"] != "BPE":
        raise ExportError(f"A {state['model']['type']} tokenizer cannot be written as GGUF. Export it --as peft or --as merged.")
    tokens = [f"[PAD{index}]" for index in range(size)]
    kinds = [int(gguf.TokenType.UNUSED)] * size
    for token, index in state["model"]["vocab"].items():
        tokens[index], kinds[index] = token, int(gguf.TokenType.NORMAL)
    for added in state["added_tokens"]:
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        tokens[added["id"]], kinds[added["id"]] = added["content"], int(kind)
    return tokens, kinds


def _pre_tokenizer(state: dict[str, Any]) -> str:
    found = state["pre_tokenizer"] or {}
    parts = [part["type"] for part in found.get("pretokenizers", [found])]
    for name, expected in PRE_TOKENIZERS.items():
        if parts == expected:
            return name
    raise ExportError(f"How this tokenizer divides text ({', '.join(parts)}) has no name known here. Export it --as peft or --as merged.")


def _gguf_name(names: gguf.TensorNameMap, name: str) -> str:
    found = names.get_name(name, try_suffixes=(".weight", ".bias"))
    if found is None:
        raise ExportError(f"The tensor {name} has no place in a GGUF file. Export it --as peft or --as merged.")
    return found


def _in_rows(model: Any, name: str, tensor: torch.Tensor) -> torch.Tensor:
    """The tensor with its rows as llama.cpp's rotary embedding wants them."""
    config, kind = model.config, type(model).__name__
    for part, heads in (("q_proj", config.num_attention_heads), ("k_proj", config.num_key_value_heads)):
        if kind in PERMUTED and f".{part}." in name:
            return by_head(tensor, heads)
    return tensor


def by_head(tensor: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows (heads x size) of two halves each into pairs: row 0 of both halves, row 1 of both, and so on."""
    halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
    return halves.swapaxes(1, 2).reshape(tensor.shape).contiguous()


def _head_size(config: Any) -> int:
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)
