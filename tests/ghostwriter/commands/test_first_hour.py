"""The first hour on a real terminal, from nothing: `new` with a wrong answer at each question, then what it made is used."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ghostwriter.home import ROOT
from ghostwriter.writer import Writer, load_writer
from tests.ghostwriter.commands.terminal import Terminal
from tests.teacher_server import KEY, MODEL, TeacherServer
from tests.zhihu_site import ACCOUNT, COOKIE, FaultySite, answers, error

WRONG_KEY = "sk-wrong-key-of-somebody"
REFUSED = error(401, code=100, name="AuthenticationInvalidRequest", message="Please log in")


@dataclass
class Hour:
    """A folder of one's own, a site, a teacher, and the screen of `new` as it went."""

    folder: Path
    environment: dict[str, str]
    site: FaultySite
    teacher: TeacherServer
    screen: str = ""
    status: int = -1

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "ghostwriter"]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*self.command, *arguments]
        return subprocess.run(command, env=self.environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hour]:
    folder = tmp_path_factory.mktemp("hour")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "MLFLOW", "GHOSTWRITER"))}
    environment = {**kept, "GHOSTWRITER_HOME": str(folder / "var"), "GHOSTWRITER_WRITERS": str(folder / "writers")}
    (folder / "cookie").write_text(COOKIE)
    (folder / "cookie").chmod(0o600)
    with FaultySite(answers(45)) as site, TeacherServer() as teacher:
        made = Hour(folder, {**environment, "HOME": str(folder)}, site, teacher)
        site.script = [REFUSED]
        with Terminal([*made.command, "new", "--site", site.url], made.environment, ROOT) as terminal:
            walk(terminal, made)
            made.status = terminal.end()
            made.screen = terminal.screen
        yield made


def walk(terminal: Terminal, hour: Hour) -> None:
    """Every question is answered wrongly first; what was right the first time is only confirmed with Enter."""
    terminal.answer((r"1\. The writer.s name: ", ""), (r"name: ", "老程"), (r"a to z: ", "Lao Cheng"), (r"a to z: ", "lao"))
    terminal.answer((r"or word: ", "3"), (r"or word: ", "zh"))
    terminal.answer(
        (r"or word: ", "weibo"), (r"or word: ", "zhihu"), (r"TOKEN: ", ACCOUNT), (r"shown\): ", "d_c0=only-half"), (r"s\): ", "Test/1")
    )
    terminal.answer((r"\[zhihu\]: ", ""), (rf"\[{ACCOUNT}\]: ", ""), (r"as before\]: ", "x" * 5000))
    terminal.answer((r"\[zhihu\]: ", ""), (rf"\[{ACCOUNT}\]: ", ""), (r"as before\]: ", str(hour.folder / "cookie")), (r"\[Test/1\]: ", ""))
    terminal.answer((r"\[zhihu\]: ", ""), (rf"\[{ACCOUNT}\]: ", ""), (r"as before\]: ", ""), (r"\[Test/1\]: ", ""))
    terminal.answer((r"or word: ", "other"), (r"URL: ", hour.teacher.base_url), (r"none\): ", WRONG_KEY))
    terminal.answer((r"\[other\]: ", ""), (r"v1\]: ", ""), (r"as before\]: ", KEY), (r"Model: ", "no-such-model"), (r"Model: ", MODEL))
    terminal.answer((r"Input: ", "cheap"), (r"Input: ", "0.27"), (r"Output: ", "1.1"), (r"empty for none\): ", "20"))
    terminal.answer((r"Recipe \[.*\]: ", "no-such-recipe"), (r"Recipe \[.*\]: ", "smollm2-135m-demo"))


def test_each_wrong_answer_is_said_in_words_and_costs_one_question(hour: Hour) -> None:
    assert hour.status == 0, hour.screen
    for words in (
        "a name is needed",
        "'Lao Cheng' is no short name",
        "'3' is none of en, zh",
        "'weibo' is none of zhihu",
        "The cookie has no z_c0",
        "a terminal cuts a line after 4,095 characters",
        "It can be read: 45 answers.",
        "the key was refused (401",
        "The model `no-such-model` does not exist",
        "'cheap' is no price",
        "there is no recipe 'no-such-recipe'",
    ):
        assert words in hour.screen, hour.screen
    assert hour.screen.count("That does not work") == 11


def test_it_ends_with_what_the_first_run_costs_and_takes(hour: Hour) -> None:
    end = hour.screen.partition("Written: ")[2]
    for words in (
        "Collecting: about a minute for 45 answers",
        "for 288 answers",
        "0.1225 for 288 (cap 20",
        "at most 240 seconds",
        "doctor lao",
    ):
        assert words in end, end


def test_nothing_secret_is_on_the_screen_or_in_the_writer_file(hour: Hour) -> None:
    told = hour.screen + (hour.folder / "writers" / "lao.toml").read_text()
    assert not [secret for secret in (KEY, WRONG_KEY, "secret-login-ticket", "only-half") if secret in told]


@pytest.fixture
def writer(hour: Hour, monkeypatch: pytest.MonkeyPatch) -> Writer:
    monkeypatch.setenv("GHOSTWRITER_WRITERS", hour.environment["GHOSTWRITER_WRITERS"])
    return load_writer("lao")


def test_the_writer_asks_for_no_more_answers_than_are_trained_on(writer: Writer) -> None:
    assert (writer.name, writer.language, writer.source.account) == ("老程", "zh", ACCOUNT)
    assert (writer.teacher.answers, writer.training.recipe) == (288, "smollm2-135m-demo")


def test_doctor_finds_everything_with_one_request_each(hour: Hour) -> None:
    pages, calls = len(hour.site.record.seen), hour.teacher.completions
    seen = hour.run("doctor", "lao")
    lines = {line[5:17].strip(): line for line in seen.stdout.splitlines()}
    for what, words in (
        ("connections", "lao_site, lao_teacher"),
        ("site", "45 answers"),
        ("teacher", "test-teacher"),
        ("recipe", "rank 32"),
        ("Python", "MLflow 3."),
    ):
        assert lines[what].startswith("ok  "), seen.stdout
        assert words in lines[what]
    assert (len(hour.site.record.seen) - pages, hour.teacher.completions - calls) == (1, 1)
    assert KEY not in seen.stdout + seen.stderr


def test_commands_by_hand_use_the_connections(hour: Hour) -> None:
    collected = hour.run("collect", "lao", "--pace", "0")
    assert collected.stdout.startswith("45 new"), collected.stderr
    assert len(collected.stdout.splitlines()) == 1


def test_ctrl_c_in_the_middle_leaves_nothing(hour: Hour) -> None:
    with Terminal([*hour.command, "new", "--site", hour.site.url], hour.environment, ROOT) as terminal:
        terminal.answer((r"name: ", "Lao"), (r"\[lao\]: ", ""), (r"\[lao\]: ", "other"), (r"or word: ", "zh"))
        terminal.wait_for(r"or word: ")
        assert terminal.interrupt() == 130
    assert "there is a writer 'lao' already" in terminal.screen
    assert "Stopped. No writer was made" in terminal.screen
    assert "Traceback" not in terminal.screen
    assert [path.name for path in (hour.folder / "writers").iterdir()] == ["lao.toml"]


def test_the_password_in_the_database_is_no_plain_text(hour: Hour) -> None:
    with sqlite3.connect(hour.folder / "var" / "airflow" / "airflow.db") as database:
        kept = dict(database.execute("SELECT conn_id, password FROM connection").fetchall())
    assert set(kept) == {"lao_site", "lao_teacher"}
    assert not [name for name, password in kept.items() if KEY in password or "secret-login-ticket" in password]


def test_the_connections_are_of_the_types_whose_test_button_tries_them(hour: Hour) -> None:
    with sqlite3.connect(hour.folder / "var" / "airflow" / "airflow.db") as database:
        kept = database.execute("SELECT conn_id, conn_type, host, login, port FROM connection ORDER BY conn_id").fetchall()
    assert kept == [("lao_site", "zhihu", hour.site.url, "Test/1", 0), ("lao_teacher", "teacher", hour.teacher.base_url, None, 0)]
