"""Files that are not what they should be are refused with a reason."""

import json
from pathlib import Path

import pytest

from ghostwriter.errors import PanelError
from ghostwriter.home import Home
from ghostwriter.panel.answer_file import FORMAT, read_answer_files
from ghostwriter.panel.build import build_panel
from ghostwriter.panel.key import Key, find_key
from ghostwriter.panel.read import read_panel
from tests.panel_case import answer_file, coin, known, material, perfect, writer_in


@pytest.fixture
def key(home: Home) -> Key:
    page, _ = build_panel(home, writer_in("en"), material(40), known(), 30, 0)
    return find_key(home, "tester", page.parent.name)


def save(folder: Path, key: Key, name: str, /, **changes: object) -> Path:
    content = answer_file(key, name, perfect).model_dump(mode="json") | changes
    path = folder / f"{name}-{len(changes)}.json"
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def test_a_file_is_read_back(tmp_path: Path, key: Key) -> None:
    (found,) = read_answer_files([save(tmp_path, key, "阿文")])
    assert found == answer_file(key, "阿文", perfect)


def test_a_file_named_twice_is_refused(tmp_path: Path, key: Key) -> None:
    path = save(tmp_path, key, "Ann")
    with pytest.raises(PanelError, match=r"are the same answers\. Name only one of them\."):
        read_answer_files([path, path])


def test_an_earlier_file_of_one_reader_is_refused_and_the_fuller_one_named(tmp_path: Path, key: Key) -> None:
    whole = answer_file(key, "Ann", perfect).model_dump(mode="json")["votes"]
    later, earlier = save(tmp_path, key, "Ann"), save(tmp_path, key, "Ann", votes={"1": whole["1"]})
    with pytest.raises(PanelError, match=rf"at different times. Name only one of them: {later} has more"):
        read_answer_files([earlier, later])


def test_two_sittings_under_one_name_are_refused(tmp_path: Path, key: Key) -> None:
    with pytest.raises(PanelError, match="both say that they are by 'Ann'"):
        read_answer_files([save(tmp_path, key, "Ann"), save(tmp_path, key, "Ann", sitting="another")])


def test_files_of_two_panels_are_refused(tmp_path: Path, key: Key) -> None:
    other = save(tmp_path, key, "Ben", panel="0123456789ab")
    with pytest.raises(PanelError, match=rf"belongs to panel {key.panel} and .* to panel 0123456789ab. Read the files of one panel"):
        read_answer_files([save(tmp_path, key, "Ann"), other])


def test_a_file_of_a_panel_that_is_not_here_is_refused_with_those_that_are(tmp_path: Path, key: Key, home: Home) -> None:
    with pytest.raises(PanelError, match=rf"no key of panel 0123456789ab .*; panels of tester there: {key.panel}"):
        read_panel(home, "tester", [save(tmp_path, key, "Ben", panel="0123456789ab")])


def test_a_file_that_was_cut_off_is_refused_as_that(tmp_path: Path, key: Key) -> None:
    path = save(tmp_path, key, "Ann")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(PanelError, match="is cut off: ask its reader to send it again"):
        read_answer_files([path])


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"Dear owner,", b"[]", b'{"format": "other"}', b""])
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "letter.json").write_bytes(content)
    with pytest.raises(PanelError, match="is not a file that a panel's page saved"):
        read_answer_files([tmp_path / "letter.json"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"votes": {"1": {"voice": "both", "quality": "a"}}}, "votes.1.voice"),
        ({"votes": {}}, "votes"),
        ({"reader": "line\nbreak"}, "reader"),
        ({"format": f"{FORMAT}0"}, "format"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_changed_file_is_refused_where_it_was_changed(tmp_path: Path, key: Key, changes: dict[str, object], words: str) -> None:
    with pytest.raises(PanelError, match=f"was changed since the page saved it, or is of another version: {words}"):
        read_answer_files([save(tmp_path, key, "Ann", **changes)])


def test_a_trial_that_the_panel_does_not_have_is_refused(tmp_path: Path, key: Key, home: Home) -> None:
    path = save(tmp_path, key, "Ann", votes={"99": {"voice": "a", "quality": "a"}})
    with pytest.raises(PanelError, match="The file of Ann was changed: it has a vote on trial '99'"):
        read_panel(home, "tester", [path])


def test_reading_again_with_another_file_replaces_what_was_kept(tmp_path: Path, key: Key, home: Home) -> None:
    first = save(tmp_path, key, "Ann")
    read_panel(home, "tester", [first])
    second = tmp_path / "ben.json"
    second.write_text(answer_file(key, "Ben", coin(1)).model_dump_json())
    _, result = read_panel(home, "tester", [first, second])
    kept = json.loads((home.panels("tester") / key.panel / "result.json").read_text())
    assert [reader["name"] for reader in kept["readers"]] == [reader.name for reader in result.readers] == ["Ann", "Ben"]
