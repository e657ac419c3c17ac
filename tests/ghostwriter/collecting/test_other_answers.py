"""Other people's answers to a Stack Exchange writer's questions, over the same local API that the source is tested with."""

import json
from pathlib import Path
from typing import Any

import pytest

from demo.site import Request
from ghostwriter.__main__ import main
from ghostwriter.collecting.answers import snapshot_answers
from ghostwriter.collecting.collect import collect
from ghostwriter.collecting.other_answers import NoOtherAnswers, OtherAnswers, collect_others
from ghostwriter.collecting.sources.errors import SourceFailure
from ghostwriter.distilling.distill import distill
from ghostwriter.home import Home
from ghostwriter.snapshot import read_rows
from ghostwriter.writer import Writer
from tests.distill_case import endpoint, make_writer, pairs
from tests.ghostwriter.collecting.sources.test_stackexchange import KEY, Api, item, zipped
from tests.teacher_server import TeacherServer
from tests.zhihu_site import Fault

OWN_TEXTS = [row["text"] for row in pairs(250)]
OTHER = "An opinion that somebody else once had about boats and the weather, number"


def other(question: int, number: int, user: int = 77) -> dict[str, Any]:
    """Somebody else's answer; 22656 is the writer."""
    owner = {"user_id": user, "display_name": "Some Body", "link": f"https://stackoverflow.com/users/{user}/some-body"}
    return item(question * 100 + number, owner=owner, question_id=question, title=None, body=f"<p>{OTHER} {question}.{number}.</p>")


class Questions(Api):
    """The writer's answers to questions 9001 and on, and to each question `others` answers of other people and the writer's own."""

    def __init__(self, number: int, others: int = 2) -> None:
        super().__init__([item(index, body=f"<p>{OWN_TEXTS[index - 1]}</p>") for index in range(number, 0, -1)])
        self.others = others

    def api(self, request: Request) -> Fault:
        if not request.path.endswith("/answers") or "/questions/" not in request.path:
            return super().api(request)
        ids = request.path.split("/")[3].split(";")
        assert len(ids) <= 100 and request.query["filter"] == "withbody" and request.query["pagesize"] == "100"
        found = [other(int(name), number, 22656 if number == 0 else 77) for name in ids for number in range(self.others + 1)]
        start = (int(request.query["page"]) - 1) * 100
        return zipped({"items": found[start : start + 100], "has_more": start + 100 < len(found), "quota_remaining": 200, **self.wrapper})

    @property
    def asked(self) -> list[int]:
        """How many questions each request for answers to questions named."""
        return [path.count(";") + 1 for path in self.paths if path.startswith("/2.3/questions/") and path.endswith("/answers")]


@pytest.fixture
def reader() -> Writer:
    writer = make_writer(answers=6)
    source = writer.source.model_copy(update={"kind": "stackexchange", "account": "stackoverflow/22656"})
    return writer.model_copy(update={"source": source})


def read(reader: Writer, home: Home, api: Api) -> str:
    return collect_others(reader, home, cookie=KEY, site=api.url, pace=0)


def collected(reader: Writer, home: Home, api: Api) -> OtherAnswers:
    collect(reader, home, cookie=KEY, site=api.url, pace=0)
    return OtherAnswers(home.contrast(reader.stem))


def test_all_questions_are_asked_a_hundred_at_a_time_and_only_once(reader: Writer, home: Home) -> None:
    with Questions(250) as api:
        others = collected(reader, home, api)
        said = read(reader, home, api)
        assert said == f"500 other answers to 250 of 250 questions are in {others.file}. 8 requests."
        assert api.asked == [100] * 3 + [100] * 3 + [50] * 2  # three pages, three pages, two
        assert read(reader, home, api).endswith("0 requests.")
    rows = [json.loads(line) for line in others.file.read_text().splitlines()]
    assert {row["license"] for row in rows} == {"CC BY-SA 4.0"}
    assert rows[0]["url"] == f"https://stackoverflow.com/a/{rows[0]['id']}"
    assert rows[0]["question"] == 'Why "{}" & not less?'.format(int(rows[0]["question_id"]) - 9000)
    everything = others.file.read_text()
    assert "Some Body" not in everything and "some-body" not in everything and ".0." not in everything and KEY not in everything


def test_what_was_read_before_a_failure_is_kept_and_gone_on_from(reader: Writer, home: Home) -> None:
    with Questions(250) as api:
        others = collected(reader, home, api)
        throttled = zipped({"error_id": 502, "error_name": "throttle", "error_message": "more in 9999 seconds"}, 400)
        last = len(api.record.seen) + 4
        api.always = lambda request: throttled if len(api.record.seen) > last else api.api(request)
        with pytest.raises(SourceFailure, match="Kept: 200 other answers to 100 of 250 questions") as raised:
            read(reader, home, api)
        assert raised.value.code == "rate_limited"
        api.always = api.api
        with others.file.open("a") as file:
            file.write('{"id": "cut by a ki')
        assert read(reader, home, api).startswith("500 other answers to 250 of 250")
    assert len({json.loads(line)["id"] for line in others.file.read_text().splitlines()}) == 500


def test_no_more_are_read_than_serve_a_purpose(reader: Writer, home: Home) -> None:
    with Questions(250, others=20) as api:
        collected(reader, home, api)
        said = read(reader, home, api)
        assert said.startswith("2000 other answers to 100 of 250 questions")
        assert read(reader, home, api).endswith("0 requests.")


def test_they_are_used_by_a_dataset_and_stand_nowhere_else(reader: Writer, home: Home) -> None:
    with Questions(60) as api:
        collected(reader, home, api)
        read(reader, home, api)
    answers = snapshot_answers(reader.model_copy(update={"source": reader.source.model_copy(update={"consent": True})}), home)
    with TeacherServer() as teacher:
        folder = distill(reader, home, answers, endpoint(teacher))
        assert teacher.prompts and OTHER not in repr(teacher.prompts)
    assert sum(OTHER in row["messages"][1]["content"] for row in read_rows(folder, "contrast.jsonl")) == 120
    outside = [path for path in home.path.rglob("*") if path.is_file() and "contrast" not in str(path.relative_to(home.path))]
    assert len(outside) > 5
    assert [path for path in outside if OTHER.encode() in path.read_bytes()] == []


def test_a_question_is_forgotten_with_its_answers(reader: Writer, home: Home) -> None:
    with Questions(3) as api:
        others = collected(reader, home, api)
        read(reader, home, api)
    assert others.forget("9002") == 2
    assert others.asked == {"9001", "9003"} and others.count == 4


def test_other_sources_and_an_empty_archive_are_said(reader: Writer, home: Home, writer: Writer) -> None:
    with pytest.raises(NoOtherAnswers, match=r"collected from zhihu.*contrast = 'FILE'"):
        collect_others(writer, home)
    with Api([]) as api, pytest.raises(NoOtherAnswers, match="No question of Tess Ter is archived yet"):
        read(reader, home, api)


def test_the_command_takes_key_and_address_from_the_connection(
    reader: Writer, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tester.toml").write_text(
        'name = "Tess Ter"\nlanguage = "en"\n[source]\nkind = "stackexchange"\naccount = "stackoverflow/22656"\nconnection = "stack"\n'
        '[teacher]\nconnection = "none"\nmodel = "none"\n'
    )
    monkeypatch.setenv("GHOSTWRITER_WRITERS", str(tmp_path))
    monkeypatch.setenv("GHOSTWRITER_HOME", str(home.path))
    with Questions(3) as api:
        collected(reader, home, api)
        monkeypatch.setenv("AIRFLOW_CONN_STACK", json.dumps({"conn_type": "http", "host": api.url, "password": KEY}))
        assert main(["contrast", "tester", "--pace", "0"]) == 0
        assert api.record.seen[-1].request.query["key"] == KEY
    said = capsys.readouterr()
    assert "6 other answers to 3 of 3 questions are in " in said.out and KEY not in said.out + said.err
