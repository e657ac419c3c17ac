"""`new`: each answer is checked as it is given, over real HTTP; the writer file it writes can be read."""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import pytest

from ghostwriter.commands import new
from ghostwriter.commands.writer_file import try_source, try_teacher, writer_text
from ghostwriter.errors import TeacherError
from ghostwriter.home import ROOT
from ghostwriter.teacher.presets import Preset, load_presets
from ghostwriter.writer import load_writer
from tests.teacher_server import KEY, MODEL, TeacherServer

CORPUS = ROOT / "demo" / "corpus" / "laocheng.jsonl"


def typed(monkeypatch: pytest.MonkeyPatch, lines: Iterable[str]) -> None:
    """What a person types, line by line, secrets too."""
    answers = iter(lines)
    monkeypatch.setattr("builtins.input", lambda _prompt="": next(answers))
    monkeypatch.setattr("getpass.getpass", lambda _prompt="": next(answers))


@pytest.mark.parametrize("preset", load_presets().values(), ids=str)
def test_what_is_written_can_be_read(writers: Path, preset: Preset) -> None:
    teacher = {"connection": "x_teacher", "model": 'a "model"', "parameters": preset.parameters, "token_limit": preset.token_limit}
    source = {"kind": "jsonl", "account": "a\\b.jsonl"}
    text = writer_text("老程", "zh", source, teacher, {"input_price": Decimal("0.27"), "cap": Decimal(20)}, "tiny")
    (writers / "written.toml").write_text(text, encoding="utf-8")
    writer = load_writer("written")
    assert (writer.name, writer.source.account, writer.teacher.model) == ("老程", "a\\b.jsonl", 'a "model"')
    assert (writer.teacher.parameters, writer.teacher.token_limit) == (preset.parameters, preset.token_limit)
    assert (writer.budget.input_price, writer.budget.cap, writer.training.recipe) == (Decimal("0.27"), Decimal(20), "tiny")


def test_a_source_that_cannot_be_read_is_said_and_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, ["jsonl", "/nowhere.jsonl", "9", "3", str(CORPUS)])
    source, secrets = new.ask(lambda: new._source("lao", "zh"))
    assert (source, secrets) == ({"kind": "jsonl", "account": str(CORPUS)}, {})
    said = capsys.readouterr().out
    assert "/nowhere.jsonl" in said
    assert "'9' is none of zhihu, stackexchange, jsonl, har" in said
    assert "It can be read: 48 answers." in said


def test_one_cheap_call_says_whether_key_and_model_work() -> None:
    preset = Preset(title="test", base_url="http://x")
    with TeacherServer() as teacher:
        model, said = try_teacher(preset, teacher.base_url, KEY, lambda _proposed: MODEL)
        assert (model, teacher.requests) == (MODEL, 2), "the list of models and one call"
        assert "tokens in" in said
        with pytest.raises(TeacherError, match="key_refused"):
            try_teacher(preset, teacher.base_url, "sk-wrong-key-of-somebody", lambda _proposed: MODEL)
        with pytest.raises(TeacherError, match="model_unknown"):
            try_teacher(preset, teacher.base_url, KEY, lambda _proposed: "no-such-model")


def test_names_prices_and_taken_names_are_checked(
    writers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, ["Lao Cheng", "laocheng", "Lao Cheng", ""])
    assert new.ask(new._name) == ("Lao Cheng", "lao_cheng")
    assert "there is a writer 'laocheng' already" in capsys.readouterr().out
    typed(monkeypatch, ["cheap", "-1", "0.27"])
    assert [new.ask(lambda: new._number("", None)) for _ in "x"] == [Decimal("0.27")]
    assert "'cheap' is no price" in capsys.readouterr().out


def test_a_source_of_files_is_counted_before_anything_is_written() -> None:
    assert try_source({"kind": "jsonl", "account": str(CORPUS)}, "zh", {}) == 48
