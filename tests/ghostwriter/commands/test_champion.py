"""`champion` and `rollback` by hand, on a real MLflow store."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ghostwriter.__main__ import main
from ghostwriter.home import Home
from ghostwriter.judging.promote import ADAPTER_FILE, promote
from ghostwriter.writer import load_writer


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """A store with two promoted versions of lamplight: 2 is the champion, 1 the one before."""
    folder = tmp_path_factory.mktemp("store")
    shutil.copy(empty_store, folder / "mlflow.db")
    client, home = MlflowClient(f"sqlite:///{folder}/mlflow.db"), Home(folder / "home")
    experiment = client.create_experiment("lamplight", artifact_location=str(folder / "artifacts"))
    for number, champion in (("1", None), ("2", "1")):
        adapter = folder / number
        adapter.mkdir()
        (adapter / ADAPTER_FILE).write_text(number)
        run_id = client.create_run(experiment).info.run_id
        client.log_artifacts(run_id, str(adapter), "adapter")
        words = f"better than {champion or 'base'}"
        promote(client, home, load_writer("lamplight"), run_id, adapter, {}, champion=champion, who="night", why=words, numbers={})
    return folder


@pytest.fixture(autouse=True)
def here(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}/mlflow.db")
    monkeypatch.setenv("GHOSTWRITER_HOME", str(store / "home"))


def test_a_roll_back_by_hand_is_made_and_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rollback", "lamplight", "--why", "it loops"]) == 0
    assert capsys.readouterr().out == "Version 1 is the champion of Odessa Lamplight again.\n"
    assert main(["champion", "lamplight"]) == 0
    aliases, moves = (lines := capsys.readouterr().out.splitlines())[:2], lines[2:]
    assert [line.split("  ")[0] for line in aliases] == [
        "ghostwriter-lamplight@champion: version 1",
        "ghostwriter-lamplight@previous: version 2",
    ]
    assert [line.split("  ", 1)[1].split("  by ")[0] for line in moves] == ["none -> 1", "1 -> 2", "2 -> 1"]
    assert moves[-1].endswith(": it loops")


def test_a_version_that_is_not_there_is_refused_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rollback", "lamplight", "--to", "7"]) == 1
    assert capsys.readouterr().err == "promotion: ghostwriter-lamplight has no version 7; there are: 1, 2.\n"


def test_the_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["rollback", "--help"])
    words = capsys.readouterr().out
    assert "--to VERSION" in words
    assert "--why" in words
