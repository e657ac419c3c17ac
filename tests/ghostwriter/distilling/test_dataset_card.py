"""A dataset's folder tells `datasets`, TRL and LLaMA-Factory what is in it: every file that is named is there, with rows of `messages`."""

import json
from pathlib import Path
from typing import Any

import pyarrow.json
import yaml

from ghostwriter.distilling.distill import distill
from ghostwriter.home import Home
from ghostwriter.snapshot import read_manifest, read_rows
from tests.distill_case import answers_of, endpoint, make_writer, pairs
from tests.teacher_server import TeacherServer


def dataset(folder: Path, mode: Any) -> Path:
    home = Home(folder)
    with TeacherServer() as teacher:
        return distill(make_writer(answers=12), home, answers_of(home, pairs(60)), endpoint(teacher), mode=mode)


def configs(folder: Path) -> dict[str, dict[str, Any]]:
    """The card's configurations as `datasets` reads them: the YAML between the first two lines of dashes."""
    found = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])["configs"]
    return {config["config_name"]: config for config in found}


def test_the_card_loads_the_teachers_rows_by_default_the_writers_or_both(tmp_path: Path) -> None:
    found = configs(dataset(tmp_path, "distilled"))
    test = {"split": "test", "path": "heldout.jsonl"}
    assert found == {
        "distilled": {
            "config_name": "distilled",
            "default": True,
            "data_files": [{"split": "train", "path": ["distilled.jsonl"]}, test],
        },
        "direct": {"config_name": "direct", "data_files": [{"split": "train", "path": ["direct.jsonl"]}, test]},
        "mixed": {"config_name": "mixed", "data_files": [{"split": "train", "path": ["distilled.jsonl", "direct.jsonl"]}, test]},
    }


def test_a_file_without_rows_is_not_named(tmp_path: Path) -> None:
    folder = dataset(tmp_path, "direct")
    assert (folder / "distilled.jsonl").read_text() == ""
    assert {name: config.get("default") for name, config in configs(folder).items()} == {"direct": True}
    assert set(json.loads((folder / "dataset_info.json").read_text())) == {"direct", "heldout"}


def test_llama_factory_finds_roles_and_content_in_every_row(tmp_path: Path) -> None:
    folder = dataset(tmp_path, "distilled")
    entries = json.loads((folder / "dataset_info.json").read_text())
    assert set(entries) == {"distilled", "direct", "heldout"}
    for entry in entries.values():
        assert (entry["formatting"], entry["columns"], entry["tags"]["role_tag"]) == ("sharegpt", {"messages": "messages"}, "role")
        for row in read_rows(folder, entry["file_name"]):
            assert [message[entry["tags"]["role_tag"]] for message in row["messages"]] == ["user", "assistant"]
            assert all(message[entry["tags"]["content_tag"]] for message in row["messages"])


def test_the_files_have_one_schema_in_arrow(tmp_path: Path) -> None:
    folder = dataset(tmp_path, "distilled")
    schemas = [pyarrow.json.read_json(folder / name).schema for name in read_manifest(folder).files]
    assert schemas[0] == schemas[1] == schemas[2]
    assert "prompt" not in schemas[0].names
