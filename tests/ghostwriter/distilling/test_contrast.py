"""Other people's answers: read from all kinds of files, without names, in a file that nothing trains on and no teacher sees."""

import json
from pathlib import Path
from typing import Any

import pytest

from ghostwriter.distilling.contrast import contrast_pairs
from ghostwriter.distilling.distill import distill
from ghostwriter.errors import WriterFileError
from ghostwriter.home import Home
from ghostwriter.pairs import Pair
from ghostwriter.snapshot import read_manifest, read_rows
from tests.distill_case import answers_of, endpoint, make_writer, pairs
from tests.teacher_server import TeacherServer

OTHERS = [f"Number {number}: an opinion that somebody else once had about boats and weather." for number in range(4)]
OWN = Pair("a", "q", "Why?", "The writer's own words, which are of course no contrast to the writer at all.")


def zhihu_answer(number: int, text: str) -> dict[str, Any]:
    author = {"id": "f00", "url_token": "some-body", "name": "Some Body"}
    question = {"id": 7, "type": "question", "title": "Why boats?"}
    return {"id": number, "type": "answer", "author": author, "question": question, "content": f"<p>{text}</p>", "created_time": 1}


def recording(*replies: Any) -> str:
    """A HAR of a question page: its answers come in another shape than a writer's list."""
    request = {"url": "https://www.zhihu.com/api/v4/questions/7/whatever-it-is-called", "method": "GET"}
    entries = [{"request": request, "response": {"status": 200, "content": {"text": json.dumps(reply)}}} for reply in replies]
    return json.dumps({"log": {"entries": entries}})


def test_recordings_jsonl_and_text_are_read_and_names_dropped(tmp_path: Path) -> None:
    feed = {"data": [{"type": "question_feed_card", "target": zhihu_answer(1, OTHERS[0])}, {"target": zhihu_answer(2, "short")}]}
    (tmp_path / "question.har").write_text(recording(feed, ["unrelated"], "text"))
    row = {"author": "Some Body", "question": "Why boats?", "text": OTHERS[1] + " Write to some.body@example.com."}
    (tmp_path / "more.jsonl").write_text(json.dumps(row) + "\n" + json.dumps({"text": OWN.answer}) + "\n")
    (tmp_path / "essay.txt").write_text(OTHERS[2])
    found = contrast_pairs(tmp_path, [OWN])
    assert len(found) == 3
    assert {pair.answer.partition(" Write")[0] for pair in found} == set(OTHERS[:3])
    everything = repr(found)
    assert "Some Body" not in everything and "some-body" not in everything and "f00" not in everything and "@example" not in everything
    assert contrast_pairs(tmp_path / "question.har", [OWN])[0].answer == OTHERS[0]


def test_answers_that_a_question_page_brings_along_are_read_with_their_title(tmp_path: Path) -> None:
    """The page's own first answers stand in no other reply."""
    answer = {"id": "99", "content": f"<p>{OTHERS[0]}</p>", "createdTime": 1, "author": {"name": "Some Body"}, "question": {"id": "7"}}
    state = {
        "entities": {"questions": {"7": {"id": "7", "title": "Why boats?"}}, "answers": {"99": answer, "98": {"id": "98"}}, "users": {}}
    }
    data = json.dumps({"initialState": state}).replace("</", "<\\u002F")  # as in a page: nothing in it may end the script
    page = f'<!doctype html><html><body><script id="js-initialData" type="text/json">{data}</script><script>x</script></body></html>'
    request = {"url": "https://www.zhihu.com/question/7", "method": "GET"}
    entry = {"request": request, "response": {"status": 200, "content": {"text": page, "mimeType": "text/html"}}}
    broken = {"request": request, "response": {"status": 200, "content": {"text": '<script id="js-initialData">{"a</script>'}}}
    (tmp_path / "page.har").write_text(json.dumps({"log": {"entries": [entry, broken]}}))
    found = contrast_pairs(tmp_path / "page.har", [OWN])
    assert [(pair.question, pair.answer) for pair in found] == [("Why boats?", OTHERS[0])]


def test_what_is_missing_or_holds_nobody_else_is_said(tmp_path: Path) -> None:
    with pytest.raises(WriterFileError, match=r"evaluation\.contrast = .*nowhere' does not exist, or holds nothing to read"):
        contrast_pairs(tmp_path / "nowhere", [OWN])
    (tmp_path / "own.txt").write_text(OWN.answer)
    with pytest.raises(WriterFileError, match="holds no text of 40 characters or more by anybody but the writer"):
        contrast_pairs(tmp_path / "own.txt", [OWN])
    (tmp_path / "empty.har").write_text(recording({"data": []}))
    with pytest.raises(WriterFileError, match=r"evaluation\.contrast = .*empty\.har holds no answers\. Open questions in your browser"):
        contrast_pairs(tmp_path / "empty.har", [OWN])


@pytest.mark.parametrize("mode", ["direct", "distilled"])
def test_a_dataset_keeps_them_apart_and_the_teacher_never_sees_them(tmp_path: Path, mode: Any) -> None:
    (tmp_path / "others.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in OTHERS))
    writer = make_writer(answers=6)
    writer = writer.model_copy(update={"evaluation": writer.evaluation.model_copy(update={"contrast": tmp_path / "others.jsonl"})})
    home = Home(tmp_path / "home")
    with TeacherServer() as teacher:
        folder = distill(writer, home, answers_of(home, pairs(60)), endpoint(teacher), mode=mode)
        assert bool(teacher.prompts) == (mode == "distilled") and "somebody else" not in repr(teacher.prompts)
    files = set(read_manifest(folder).files)
    assert {row["messages"][1]["content"] for row in read_rows(folder, "contrast.jsonl")} == set(OTHERS)
    for name in files - {"contrast.jsonl"}:
        assert "somebody else" not in (folder / name).read_text(), name
    assert "contrast" not in (folder / "README.md").read_text().split("---\n")[1]
