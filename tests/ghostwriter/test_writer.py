"""Writer files: what may stand in them, and how a mistake is said."""

from decimal import Decimal
from pathlib import Path

import pytest

from ghostwriter.errors import WriterFileError
from ghostwriter.home import ROOT
from ghostwriter.writer import beside_writers, load_writer, readable_writers, writer_stems
from training.contract import Answering

GOOD = """
name = "A Writer"
language = "zh"
[source]
kind = "zhihu"
account = "a-writer"
[teacher]
connection = "teacher"
model = "a-model"
[budget]
input_price = 0.27
cap = 5
"""


@pytest.fixture
def writers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GHOSTWRITER_WRITERS", str(tmp_path))
    (tmp_path / "good.toml").write_text(GOOD)
    return tmp_path


@pytest.mark.parametrize("path", sorted((ROOT / "writers").glob("*.toml")), ids=lambda path: path.stem)
def test_every_writer_file_of_the_tree_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHOSTWRITER_WRITERS", str(path.parent))
    assert load_writer(path.stem).stem == path.stem


def test_what_a_file_does_not_name_has_the_default_of_the_article(writers: Path) -> None:
    writer = load_writer("good")
    assert (writer.teacher.examples, writer.teacher.answers, writer.training.recipe) == (3, 10_000, "qwen2.5-7b-style")
    assert writer.budget.input_price == Decimal("0.27")


def test_how_answers_are_chosen_stands_in_a_table_of_its_own(writers: Path) -> None:
    (writers / "good.toml").write_text(GOOD + "[answering]\ntemperature = 1.0\nseed = 4\n")
    assert load_writer("good").answering == Answering(temperature=1.0, min_p=0.05, seed=4)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('model = "a-model"', 'model = "a-model"\nmodle = "x"', "teacher.modle: unknown key"),
        ('account = "a-writer"', "", "source.account: missing"),
        (
            "cap = 5",
            'cap = 5\n[notify]\nmail = "post"',
            "mail wants both: `mail`, the name of an SMTP connection, and `to`, a list of addresses",
        ),
        ("cap = 5", "cap = 5\n[notify]", "name an Airflow connection in `mail` or in `webhook`, or leave the table out"),
        ('language = "zh"', 'language = "fr"', "language = 'fr'"),
        ("[budget]", '[schedule]\ntimezone = "Mars/Olympus"\n[budget]', "no time zone"),
        ("[budget]", '[schedule]\ncron = "0 3 * *"\n[budget]', "schedule.cron = '0 3 * *': no cron expression"),
        ("[budget]", '[schedule]\ncron = "0 3 30 2 *"\n[budget]', "schedule.cron = '0 3 30 2 *': no cron expression"),
        ("[budget]", '[training]\nrecipe = "big"\n[budget]', "training.recipe = 'big': there is no such recipe; there are: "),
        ('model = "a-model"', 'model = "a-model"\nprompt = "fr"', "teacher.prompt = 'fr': there is no such prompt; there are: en, zh"),
        ('name = "A Writer"', 'name = "A Writer', "is no TOML file"),
        (
            "[budget]",
            '[training]\narm = "self-instruct"\n[budget]',
            "training.arm = 'self-instruct'. Mode 'self-instruct' asks the student",
        ),
    ],
)
def test_a_mistake_is_said_in_the_words_of_the_file(writers: Path, old: str, new: str, words: str) -> None:
    (writers / "good.toml").write_text(GOOD.replace(old, new))
    with pytest.raises(WriterFileError) as error:
        load_writer("good")
    assert words in str(error.value)
    assert str(writers / "good.toml") in str(error.value)


def test_the_student_is_asked_where_it_is_served_and_at_its_own_price(writers: Path) -> None:
    (writers / "good.toml").write_text(GOOD.replace("[budget]", '[student]\nconnection = "own"\nmodel = "small"\n[budget]'))
    writer = load_writer("good")
    student = writer.asking("self-instruct")
    assert (student.teacher.connection, student.teacher.model, student.budget.input_price) == ("own", "small", 0)
    assert (student.budget.cap, student.ledger("self-instruct")) == (None, "good-student")
    assert writer.asking("distilled") is writer
    assert writer.modes == ("distilled", "self-instruct", "direct", "inverse", "inverse+distilled")
    assert (writer.ledger("inverse"), writer.ledger("distilled")) == ("good-plain", "good")


def test_a_mode_is_only_offered_with_what_it_needs(writers: Path) -> None:
    assert load_writer("good").modes == ("distilled", "direct", "inverse", "inverse+distilled")


def test_an_unknown_writer_is_answered_with_the_known_ones(writers: Path) -> None:
    with pytest.raises(WriterFileError, match="there are: good"):
        load_writer("bad")


def test_a_folder_or_a_file_that_may_not_be_read_hides_no_other_writer(writers: Path) -> None:
    (writers / "folder.toml").mkdir()
    (writers / "deep.toml").write_text("a = " + "[" * 100_000)
    assert [writer.stem for writer in readable_writers()] == ["good"]
    with pytest.raises(WriterFileError, match=r"folder.toml cannot be read: Is a directory"):
        load_writer("folder")


@pytest.mark.parametrize("cron", ["0 3 * * *", "@daily", "*/5 * * * 1-5", "* * * * * */20", ""])
def test_a_cron_expression_that_airflow_takes_is_taken(writers: Path, cron: str) -> None:
    (writers / "good.toml").write_text(GOOD + f'[schedule]\ncron = "{cron}"\n')
    assert load_writer("good").schedule.cron == cron


def test_one_bad_file_hides_no_other_writer(writers: Path) -> None:
    (writers / "bad.toml").write_text("nonsense = 1")
    assert writer_stems() == ["bad", "good"]
    assert [writer.stem for writer in readable_writers()] == ["good"]


def test_a_file_that_a_writer_file_names_lies_beside_the_folder_of_writer_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHOSTWRITER_WRITERS", str(tmp_path / "writers"))
    (tmp_path / "blog.jsonl").touch()
    assert beside_writers(Path("blog.jsonl")) == tmp_path / "blog.jsonl"
    assert beside_writers(Path("demo/corpus/lamplight.jsonl")) == ROOT / "demo" / "corpus" / "lamplight.jsonl"
    assert beside_writers(tmp_path / "none.jsonl") == tmp_path / "none.jsonl"
