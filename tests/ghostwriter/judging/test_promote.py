"""Promotion and roll back on a real MLflow store, by one process and by two at once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import PERMISSION_DENIED

from ghostwriter.errors import PromotionError
from ghostwriter.home import ROOT, Home
from ghostwriter.judging.moves import CHAMPION, PREVIOUS, history
from ghostwriter.judging.promote import ADAPTER_FILE, alias_version, fetch_champion, is_champion, promote, roll_back
from ghostwriter.mlflow_runs.pipeline_run import child, close_run, open_run
from ghostwriter.writer import Writer
from tests.ghostwriter.judging.conftest import NAME, promoted, trained, versions


def test_there_is_no_champion_before_the_first(client: MlflowClient, home: Home) -> None:
    assert fetch_champion(client, home, "lamplight") is None
    assert history(client, NAME) == []


def test_a_promotion_moves_both_aliases_and_is_recorded(client: MlflowClient, home: Home, writer: Writer, tmp_path: Path) -> None:
    assert promoted(client, home, writer, tmp_path, b"one") == "1"
    assert versions(client) == {CHAMPION: "1", PREVIOUS: None}
    assert promoted(client, home, writer, tmp_path, b"two") == "2"
    assert versions(client) == {CHAMPION: "2", PREVIOUS: "1"}
    tags = client.get_registered_model(NAME).tags
    records = [json.loads(record) for _, record in sorted(tags.items())]
    assert [(record["who"], record["from"], record["to"], record["why"], record["numbers"]) for record in records] == [
        ("me", None, "1", "better", {"scores": {"style": 0.5}}),
        ("me", "1", "2", "better", {"scores": {"style": 0.5}}),
    ]
    assert [move.kind for move in history(client, NAME)] == ["promotion", "promotion"]


def test_each_move_is_an_artifact_of_the_new_champions_run(client: MlflowClient, home: Home, writer: Writer, tmp_path: Path) -> None:
    promoted(client, home, writer, tmp_path, b"one")
    promoted(client, home, writer, tmp_path, b"two")
    roll_back(client, home, "lamplight", who="me", why="it loops")
    run_id = client.get_model_version(NAME, "1").run_id
    assert run_id
    kept = [json.loads(Path(client.download_artifacts(run_id, file.path)).read_text()) for file in client.list_artifacts(run_id, "moves")]
    assert sorted((move["kind"], move["from"], move["to"]) for move in kept) == [("promotion", None, "1"), ("rollback", "2", "1")]


def test_promoting_the_same_adapter_again_changes_nothing(client: MlflowClient, home: Home, writer: Writer, tmp_path: Path) -> None:
    run_id, adapter = trained(client, tmp_path, b"one")
    for _ in range(2):
        assert promote(client, home, writer, run_id, adapter, {}, champion=None, who="me", why="better", numbers={}) == "1"
    assert len(client.get_registered_model(NAME).tags) == 1
    assert is_champion(client, "lamplight", adapter)


def test_a_verdict_against_another_champion_promotes_nothing(client: MlflowClient, home: Home, writer: Writer, tmp_path: Path) -> None:
    promoted(client, home, writer, tmp_path, b"one")
    promoted(client, home, writer, tmp_path, b"two")
    run_id, adapter = trained(client, tmp_path, b"three")
    with pytest.raises(PromotionError, match=r"made against version 1 as the champion, but by now version 2 .* Nothing was promoted"):
        promote(client, home, writer, run_id, adapter, {}, champion="1", who="me", why="better", numbers={})
    assert versions(client) == {CHAMPION: "2", PREVIOUS: "1"}
    assert len(client.search_model_versions(f"name = '{NAME}'")) == 2


def test_of_two_processes_with_a_verdict_against_the_same_champion_one_promotes(
    client: MlflowClient, home: Home, writer: Writer, tmp_path: Path
) -> None:
    promoted(client, home, writer, tmp_path, b"one")
    script, environment = Path(__file__).with_name("promoting.py"), {"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, str(script), str(home.path), f"sqlite:///{tmp_path}/mlflow.db"]
    for weights in (b"two", b"three"):
        command += map(str, trained(client, tmp_path, weights))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as both:
        assert both.stdout
        assert [both.stdout.readline() for _ in range(2)] == ["ready\n"] * 2
        said = both.communicate("go", timeout=120)[0].split("\n")
    assert sorted(said) == ["", "promoted 2", "refused"]
    assert versions(client) == {CHAMPION: "2", PREVIOUS: "1"}
    assert [(move.old, move.new) for move in history(client, NAME)] == [(None, "1"), ("1", "2")]


def test_a_roll_back_after_a_start_on_a_new_base_does_not_leave_it_unasked(
    client: MlflowClient, home: Home, writer: Writer, tmp_path: Path
) -> None:
    promoted(client, home, writer, tmp_path, b"one")
    promoted(client, home, writer, tmp_path, b"two")
    client.delete_registered_model_alias(NAME, CHAMPION)
    run_id, adapter = trained(client, tmp_path, b"three")
    promote(client, home, writer, run_id, adapter, {"base": "new"}, champion=None, who="me", why="better", numbers={})
    with pytest.raises(PromotionError, match=r"version 1, has another base \(b\) than version 3 \(new\). Nothing was moved"):
        roll_back(client, home, "lamplight", who="me", why="it loops")
    assert versions(client)[CHAMPION] == "3"
    assert roll_back(client, home, "lamplight", who="me", why="it loops", version="1") == "1"


def test_the_champion_comes_back_byte_for_byte(client: MlflowClient, home: Home, writer: Writer, tmp_path: Path) -> None:
    promoted(client, home, writer, tmp_path, b"one")
    found = fetch_champion(client, home, "lamplight")
    assert found
    assert (found.name, found.base, found.revision) == ("champion-v1", "b", None)
    assert (found.adapter / ADAPTER_FILE).read_bytes() == b"one"
    (found.adapter / ADAPTER_FILE).write_bytes(b"damaged")
    fetch_champion(client, home, "lamplight")
    assert (found.adapter / ADAPTER_FILE).read_bytes() == b"one"


def test_rolling_back_twice_ends_where_it_began(client: MlflowClient, home: Home, writer: Writer, tmp_path: Path) -> None:
    promoted(client, home, writer, tmp_path, b"one")
    promoted(client, home, writer, tmp_path, b"two")
    assert roll_back(client, home, "lamplight", who="me", why="it loops") == "1"
    assert versions(client) == {CHAMPION: "1", PREVIOUS: "2"}
    assert roll_back(client, home, "lamplight", who="me", why="it did not") == "2"


def test_rolling_back_to_a_named_version(client: MlflowClient, home: Home, writer: Writer, tmp_path: Path) -> None:
    for weights in (b"one", b"two", b"three"):
        promoted(client, home, writer, tmp_path, weights)
    assert roll_back(client, home, "lamplight", who="me", why="the best", version="1") == "1"
    assert versions(client) == {CHAMPION: "1", PREVIOUS: "3"}
    with pytest.raises(PromotionError, match="Version 1 of ghostwriter-lamplight is the champion already"):
        roll_back(client, home, "lamplight", who="me", why="again", version="1")
    with pytest.raises(PromotionError, match="has no version 9; there are: 1, 2, 3"):
        roll_back(client, home, "lamplight", who="me", why="a slip", version="9")


def test_rolling_back_without_a_previous_champion_is_refused(client: MlflowClient, home: Home, writer: Writer, tmp_path: Path) -> None:
    with pytest.raises(PromotionError, match="has no champion to roll back from"):
        roll_back(client, home, "lamplight", who="me", why="why")
    promoted(client, home, writer, tmp_path, b"one")
    with pytest.raises(PromotionError, match="has no previous champion to roll back to"):
        roll_back(client, home, "lamplight", who="me", why="why")


def test_one_airflow_run_has_one_mlflow_run_with_a_true_status(client: MlflowClient, writer: Writer) -> None:
    run_id = open_run(client, writer.stem, "a night", "lamplight_train/manual__1", "http://airflow/run")
    close_run(client, run_id, succeeded=False)
    assert client.get_run(run_id).info.status == "FAILED"
    assert open_run(client, writer.stem, "a night", "lamplight_train/manual__1", "http://airflow/run") == run_id
    assert client.get_run(run_id).info.status == "RUNNING"
    assert open_run(client, writer.stem, "a night", "lamplight_train/manual__2", "http://airflow/run") != run_id
    assert child(writer, "http://mlflow", run_id, "train", "train mixed").parent_run_id == run_id


class BehindLogin:
    """An MLflow behind a login: it forbids what is not there as it forbids what is another's."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def get_model_version_by_alias(self, name: str, alias: str) -> None:
        raise MlflowException("Permission denied", error_code=PERMISSION_DENIED)

    def search_registered_models(self, filter_string: str) -> list[str]:
        return [name for name in self.names if filter_string == f"name = '{name}'"]


def test_a_model_that_is_not_there_yet_has_no_champion_behind_a_login_either() -> None:
    assert alias_version(BehindLogin("ghostwriter-other"), "lamplight", CHAMPION) is None  # type: ignore[arg-type]


def test_a_model_of_someone_else_is_not_taken_for_a_missing_one() -> None:
    with pytest.raises(MlflowException, match="Permission denied"):
        alias_version(BehindLogin("ghostwriter-lamplight"), "lamplight", CHAMPION)  # type: ignore[arg-type]
