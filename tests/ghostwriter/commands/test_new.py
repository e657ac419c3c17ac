"""`new`: each answer is checked as it is given, over real HTTP; the writer file it writes can be read."""

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import pytest

from ghostwriter.collecting.sources.errors import NotFound, ServerError
from ghostwriter.commands import new
from ghostwriter.commands.first_hour.first_run import first_run
from ghostwriter.commands.first_hour.questions import Dialogue, ask
from ghostwriter.commands.first_hour.writer_file import gpus, try_source, try_teacher, what_can_train, writer_text
from ghostwriter.errors import TeacherError
from ghostwriter.home import ROOT, Home
from ghostwriter.teacher.presets import Preset, load_presets
from ghostwriter.writer import Writer, load_writer
from tests.teacher_server import KEY, MODEL, TeacherServer
from tests.zhihu_site import ACCOUNT, COOKIE, FaultySite, answers, page
from training.contract import recipe_names

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
    dialogue = Dialogue()
    found = ask(lambda: new._source(dialogue, "lao", "zh", None))
    assert found == ({"kind": "jsonl", "account": str(CORPUS)}, {}, 48)
    said = capsys.readouterr().out
    assert "/nowhere.jsonl" in said
    assert "'9' is none of zhihu, stackexchange, jsonl, har" in said
    assert "It can be read: 48 answers." in said


def test_one_cheap_call_says_whether_key_and_model_work(capsys: pytest.CaptureFixture[str]) -> None:
    preset = Preset(title="test", base_url="http://x")
    with TeacherServer() as teacher:
        model, said = try_teacher(preset, teacher.base_url, KEY, lambda _proposed: MODEL)
        assert (model, teacher.requests) == (MODEL, 2), "the list of models and one call"
        assert "tokens in" in said
        with pytest.raises(TeacherError, match="the key was refused"):
            try_teacher(preset, teacher.base_url, "sk-wrong-key-of-somebody", lambda _proposed: MODEL)
        names = iter(["no-such-model", "", MODEL])
        assert try_teacher(preset, teacher.base_url, KEY, lambda _proposed: next(names))[0] == MODEL
        told = capsys.readouterr().out
        assert "The model `no-such-model` does not exist" in told
        assert "a model is needed" in told
    with pytest.raises(TeacherError, match="cannot be reached"):
        try_teacher(preset, teacher.base_url, KEY, lambda _proposed: MODEL)


def test_an_account_without_answers_is_no_source() -> None:
    with FaultySite([]) as site, pytest.raises(NotFound, match="The list is empty"):
        try_source({"kind": "zhihu", "account": ACCOUNT}, "zh", {"cookie": COOKIE}, site.url)


def test_a_site_that_is_busy_is_asked_once() -> None:
    with FaultySite(answers(5)) as site:
        site.always = lambda _request: page(503, "busy")
        with pytest.raises(ServerError):
            try_source({"kind": "zhihu", "account": ACCOUNT}, "zh", {"cookie": COOKIE}, site.url)
        assert len(site.record.seen) == 1


@pytest.mark.parametrize("recipe", recipe_names())
def test_a_first_run_is_described_for_every_recipe(writer: Writer, home: Home, recipe: str) -> None:
    chosen = writer.model_copy(update={"training": writer.training.model_copy(update={"recipe": recipe})})
    collecting, teacher, training = first_run(chosen, home, 4_000)
    assert collecting == "Collecting: about 21 minutes for 4000 answers, slowly, one page at a time."
    assert teacher.startswith("Teacher: about 2 hours for 10,000 answers")
    assert recipe in training


def test_no_gpu_and_no_training_environment_are_said_and_the_cpu_recipe_is_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHOSTWRITER_TRAINING_PYTHON", "/nowhere/python")
    gpus.cache_clear()
    recipe, words = what_can_train("zh")
    assert recipe == "smollm2-135m-demo"
    assert "There is no training environment (/nowhere/python)" in words
    gpus.cache_clear()


def test_names_prices_and_taken_names_are_checked(
    writers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, ["Lao Cheng", "laocheng", ""])
    assert ask(new._name) == ("Lao Cheng", "lao_cheng")
    assert "there is a writer 'laocheng' already" in capsys.readouterr().out
    typed(monkeypatch, ["cheap", "-1", "0.27"])
    assert new._number("", None) == Decimal("0.27")
    assert "'cheap' is no price" in capsys.readouterr().out


def test_a_source_of_files_is_counted_before_anything_is_written() -> None:
    assert try_source({"kind": "jsonl", "account": str(CORPUS)}, "zh", {}) == 48
