"""Export one adapter: from a request to a folder with model, card and proof. The folder appears by rename, after its proof."""

import hashlib
import logging
import shutil
import time
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

from training.contract import RESULT_FILE, ExportRequest, ExportResult, read_json, write_json
from training.errors import ExportError
from training.export.card import MODEL_FILE, write_card
from training.export.gguf_file import write_gguf
from training.export.llama import Llama
from training.export.merged import merged_tensors
from training.export.plain import Plain
from training.export.proof import Answerer, ask, prove
from training.models.base_models import prepare
from training.models.model import ADAPTER_FILE, BASE_FILE, Base, load_adapter, load_base
from training.signals import StopFlag

log = logging.getLogger(__name__)

PROOF_FILE = "proof.json"
AGAIN = "Nothing was exported; run the same command again."
ASIDE = 512
"""Tokens of a prompt beside the question: of its template, and of the system message that some have."""
PRECISION = "fp32"
"""Of all that is written and compared: within near ties of bf16 an export with q and k in the wrong order passes (training/LOG.md)."""


def export(request: ExportRequest, stop: StopFlag) -> ExportResult:
    """Write the folder, prove it, and write the result last. Raises ExportError when the export does not answer as the adapter does."""
    result_path = request.run_folder / RESULT_FILE
    if result_path.exists():
        log.info("Already exported: %s", result_path)
        return read_json(ExportResult, result_path)
    steps, folder = Steps(), request.run_folder / request.name
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    base = load_base(request.base, request.revision, PRECISION, request.models, torch.device("cpu"))
    steps.end("base loaded")
    adapted = load_adapter(base, request.adapter) if request.adapter else None
    _write_model(request, base, adapted, unfinished)
    stop.raise_if_set(AGAIN)
    steps.end("written")
    with _running(request, unfinished) as answerer:
        given = ask(answerer, base, request.questions, request.max_new_tokens)
    stop.raise_if_set(AGAIN)
    steps.end("asked")
    proof = prove(base, adapted, given)
    steps.end("compared")
    write_json(proof, unfinished / PROOF_FILE)
    if adapted is not None:
        rank = int(adapted.peft_config["default"].r)
        write_card(unfinished, request, proof, Path(prepare(request.base, request.models)), rank)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    result = ExportResult(folder=folder, files=_digests(folder), proof=proof, seconds=steps.seconds)
    write_json(result, result_path)
    log.info("Exported %s: %d of %d answers are the adapter's (%s).", folder, proof.agree, proof.questions, steps)
    return result


class Steps:
    """How long each step took, in seconds."""

    def __init__(self) -> None:
        self._times, self._names = [time.monotonic()], list[str]()

    def end(self, name: str) -> None:
        """A step has ended."""
        self._times.append(time.monotonic())
        self._names.append(name)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return round(time.monotonic() - self._times[0], 3)

    def __str__(self) -> str:
        took = (f"{name} {end - began:.1f}" for name, (began, end) in zip(self._names, pairwise(self._times), strict=True))
        return f"{self.seconds:.1f} s: {', '.join(took)}"


def _write_model(request: ExportRequest, base: Base, adapted: Any | None, folder: Path) -> None:
    """Write the model in its form; `adapted` is PEFT's, the base with the adapter on it. Raises ExportError."""
    if request.adapter is None or adapted is None:
        _write_base(request, base, folder)
    elif request.form == "gguf":
        write_gguf(folder / MODEL_FILE, merged_tensors(adapted), adapted.get_base_model(), base.chat, request.name)
    elif request.form == "merged":
        _write_merged(adapted, base, folder)
    else:
        for name in ("adapter_config.json", ADAPTER_FILE, BASE_FILE):
            if (request.adapter / name).exists():
                shutil.copyfile(request.adapter / name, folder / name)
        base.tokenizer.save_pretrained(folder)


def _write_base(request: ExportRequest, base: Base, folder: Path) -> None:
    if request.form == "gguf":
        write_gguf(folder / MODEL_FILE, base.model.named_parameters(), base.model, base.chat, request.name)
        return
    base.tokenizer.save_pretrained(folder)
    if request.form == "merged":
        base.model.save_pretrained(folder)


def _write_merged(model: Any, base: Base, folder: Path) -> None:
    """A folder as bases are published: one that `from_pretrained` and vLLM read."""
    bare = model.get_base_model()
    bare.save_pretrained(folder, state_dict={name: tensor.contiguous() for name, tensor in merged_tensors(model)})
    base.tokenizer.save_pretrained(folder)


def _running(request: ExportRequest, folder: Path) -> AbstractContextManager[Answerer]:
    if request.form == "gguf":
        longest = max(len(question.encode()) for question in request.questions)  # no token has less than a byte
        return Llama(folder / MODEL_FILE, ASIDE + longest + request.max_new_tokens)
    if request.form == "merged":
        return nullcontext(Plain(folder))
    return nullcontext(Plain(folder, prepare(request.base, request.models), request.revision))


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 (hex) of each file, by its name."""
    digests = {}
    for path in sorted(folder.iterdir()):
        if not path.is_file():
            raise ExportError(f"{path} is no file.")
        with path.open("rb") as file:
            digests[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests
