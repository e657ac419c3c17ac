"""The state folder: where it is, and what is said when it cannot be used."""

from pathlib import Path

import pytest

from ghostwriter.errors import HomeError
from ghostwriter.home import Home


def test_the_environment_names_the_folder_and_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHOSTWRITER_HOME", str(tmp_path))
    assert Home.default().database_url == f"sqlite:///{tmp_path}/ghostwriter.db"
    monkeypatch.setenv("GHOSTWRITER_DATABASE_URL", "postgresql+psycopg2://h/d")
    assert Home.default().database_url == "postgresql+psycopg2://h/d"


def test_too_little_space_is_said_with_both_numbers(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match=r"MiB free, 1099511627776 MiB are needed. Free some space"):
        Home(tmp_path / "new").check_space(2**60)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match="cannot be written"):
        Home(tmp_path / "file" / "var").check_space()
