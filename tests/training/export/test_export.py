"""An export is proved by the program it is made for: llama.cpp itself, plain transformers, plain peft."""

import json
from pathlib import Path

import pytest
import torch

from tests.tiny_model import make_tiny_model
from tests.training.conftest import recipe
from training.answer.reload import Compared, compare
from training.contract import ExportCard, ExportForm, ExportRequest
from training.errors import ExportError
from training.export import gguf_file, proof
from training.export.export import export
from training.export.proof import Answered
from training.models.model import add_adapter, load_base, save_adapter, trainable
from training.signals import StopFlag

QUESTIONS = tuple(f"Question {number}?" for number in range(3))


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with a base `tiny` of either architecture, and in it an `adapter` of random weights."""
    folder = tmp_path_factory.mktemp(str(request.param))
    make_tiny_model(folder / "tiny", architecture=request.param, merges=[("t", "h"), ("Ġ", "t")])
    _save_adapter(folder, scale=0.25)
    return folder


def _save_adapter(models: Path, scale: float) -> None:
    base = load_base("tiny", None, "fp32", models, torch.device("cpu"))
    model = add_adapter(base, recipe()).eval()
    with torch.no_grad():
        for number, parameter in enumerate(trainable(model).values()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)) * scale)
    save_adapter(model, base, models / "adapter")


def asked(models: Path, folder: Path, form: ExportForm) -> ExportRequest:
    card = ExportCard(
        writer="Odessa",
        language="en",
        consent=True,
        model="ghostwriter-odessa",
        version="3",
        figures={"measure": ["rep4"], "base": ["0.1"]},
    )
    folder.mkdir()
    return ExportRequest(
        run_folder=folder,
        name="ghostwriter-odessa-v3",
        form=form,
        adapter=models / "adapter",
        base="tiny",
        questions=QUESTIONS,
        max_new_tokens=8,
        card=card,
        models=models,
    )


def test_one_answer_that_the_base_would_not_give_is_enough(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes = list[int]()

    def counted(model: object, answered: Answered, attention: str) -> list[Compared]:
        passes.append(len(answered))
        return compare(model, answered, attention)

    monkeypatch.setattr(proof, "compare", counted)
    assert export(asked(tiny, tmp_path / "run", "peft"), StopFlag()).proof.like_base == 0
    assert passes == [3, 1, 1]  # plain peft, the same in another way, the base


@pytest.mark.parametrize("form", ["peft", "merged", "gguf"])
def test_an_export_answers_as_the_adapter_and_not_as_the_base(tiny: Path, tmp_path: Path, form: ExportForm) -> None:
    request = asked(tiny, tmp_path / "run", form)
    result = export(request, StopFlag())
    assert (result.proof.agree, result.proof.questions) == (3, 3)
    assert result.proof.like_base < 3
    assert result.proof.furthest <= result.proof.near_tie < 0.01
    assert result.folder.name == "ghostwriter-odessa-v3"
    assert {
        "README.md",
        "proof.json",
        {"gguf": "model.gguf", "merged": "model.safetensors", "peft": "adapter_model.safetensors"}[form],
    } <= set(result.files)
    words = (result.folder / "README.md").read_text()
    assert "3 of 3 are the adapter's own choice" in words
    assert "The base would not give all of these answers" in words
    assert "has agreed to it" in words
    assert "| rep4 | 0.1 |" in words
    assert export(request, StopFlag()) == result  # the second time nothing is written


def test_rows_of_q_and_k_in_the_wrong_order_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tiny_model(tmp_path / "tiny", architecture="llama", merges=[("t", "h")])
    _save_adapter(tmp_path, scale=0.25)
    monkeypatch.setattr(gguf_file, "PERMUTED", ())
    with pytest.raises(ExportError, match="otherwise than the adapter in plain peft"):
        export(asked(tmp_path, tmp_path / "run", "gguf"), StopFlag())
    assert not (tmp_path / "run" / "ghostwriter-odessa-v3").exists()
    assert not (tmp_path / "run" / "result.json").exists()


def test_an_adapter_that_changes_nothing_is_refused(tmp_path: Path) -> None:
    make_tiny_model(tmp_path / "tiny")
    _save_adapter(tmp_path, scale=0.0)
    with pytest.raises(ExportError, match="All 3 answers of the export could be the base's"):
        export(asked(tmp_path, tmp_path / "run", "merged"), StopFlag())


def test_a_chat_template_that_was_changed_on_the_way_is_found(tmp_path: Path) -> None:
    from training.export.llama import Llama
    from training.export.proof import ask

    make_tiny_model(tmp_path / "tiny", merges=[("t", "h")])
    base = load_base("tiny", None, "fp32", tmp_path, torch.device("cpu"))
    gguf_file.write_gguf(tmp_path / "m.gguf", base.model.named_parameters(), base.model, base.chat, "tiny")
    base.tokenizer.chat_template = "<|im_start|>system\nBe brief.<|im_end|>\n" + base.tokenizer.chat_template
    with Llama(tmp_path / "m.gguf") as llama, pytest.raises(ExportError, match="writes the prompt 'Question 0"):
        ask(llama, base, QUESTIONS, 4)


def test_a_file_that_llama_cpp_cannot_read_is_an_error_of_one_line(tmp_path: Path) -> None:
    from training.export.llama import Llama

    (tmp_path / "cut.gguf").write_bytes(b"GGUF\x03")
    with pytest.raises(ExportError, match=r"llama\.cpp cannot load"), Llama(tmp_path / "cut.gguf"):
        pass


def test_an_architecture_without_a_converter_is_refused_with_what_to_do(tmp_path: Path) -> None:
    make_tiny_model(tmp_path / "tiny")
    base = load_base("tiny", None, "fp32", tmp_path, torch.device("cpu"))
    with pytest.raises(ExportError, match="--as peft or --as merged"):
        gguf_file.write_gguf(tmp_path / "m.gguf", [], torch.nn.Linear(1, 1), base.chat, "x")


def test_what_the_proof_says_is_kept_beside_the_model(tmp_path: Path) -> None:
    make_tiny_model(tmp_path / "tiny")
    _save_adapter(tmp_path, scale=0.25)
    result = export(asked(tmp_path, tmp_path / "run", "peft"), StopFlag())
    assert json.loads((result.folder / "proof.json").read_text()) == result.proof.model_dump(mode="json")
