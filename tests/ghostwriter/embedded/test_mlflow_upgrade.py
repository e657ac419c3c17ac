"""A database written by an earlier MLflow, made here with MLflow's own migrations up to an earlier one, and upgraded for real."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy
from alembic import command
from mlflow import MlflowClient
from mlflow.store.db.utils import _get_alembic_config, _get_latest_schema_revision
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase

from ghostwriter.embedded.mlflow_upgrade import VERSION_FILE, upgrade
from ghostwriter.embedded.stack import BIN
from ghostwriter.errors import ServiceError

EARLIER = "17e22815139b"
"""Of the MLflow before the one that is installed: three migrations are missing."""


def write_earlier(database: Path) -> None:
    """A database as that MLflow left it, with one experiment."""
    engine = sqlalchemy.create_engine(f"sqlite:///{database}")
    InitialBase.metadata.create_all(engine)
    config = _get_alembic_config(str(engine.url))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, EARLIER)
    engine.dispose()
    with closing(sqlite3.connect(database)) as made, made:
        made.execute("INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (7, 'lamplight', 'active')")


def names(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as opened:
        return {name for (name,) in opened.execute("SELECT name FROM experiments")}


def schema(database: Path) -> str:
    """The migration a database stands at; MLflow serves only its own newest."""
    with closing(sqlite3.connect(database)) as opened:
        return str(opened.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def test_an_earlier_mlflows_database_is_served_again_and_kept_as_it_was(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    write_earlier(database)
    before = database.read_bytes()
    assert schema(database) == EARLIER
    (tmp_path / "mlflow.db.upgrading").write_bytes(b"left by a killed upgrade")
    upgrade(database, BIN / "mlflow", tmp_path / "upgrade.log")
    assert schema(database) == _get_latest_schema_revision()
    assert MlflowClient(f"sqlite:///{database}").get_experiment("7").name == "lamplight"
    (kept,) = tmp_path.glob("mlflow-before-*.db")
    assert kept.read_bytes() == before
    assert schema(kept) == EARLIER
    upgrade(database, tmp_path / "not asked again", tmp_path / "upgrade.log")
    assert not (tmp_path / "mlflow.db.upgrading").exists()


def test_an_upgrade_that_fails_leaves_the_database_and_says_where_the_reason_stands(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(database)) as made, made:
        made.execute("CREATE TABLE experiments (name)")
        made.execute("INSERT INTO experiments VALUES ('lamplight')")
    before = database.read_bytes()
    with pytest.raises(ServiceError, match=r"could not be upgraded; .*upgrade\.log says why\. It is as it was"):
        upgrade(database, BIN / "mlflow", tmp_path / "upgrade.log")
    assert database.read_bytes() == before
    assert names(database) == {"lamplight"}
    assert not (tmp_path / VERSION_FILE).exists()
    assert "Error" in (tmp_path / "upgrade.log").read_text()


def test_what_is_no_database_is_left_and_named(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    database.write_bytes(b"cut" * 1000)
    with pytest.raises(ServiceError, match=r"cannot be copied before its upgrade: file is not a database"):
        upgrade(database, BIN / "mlflow", tmp_path / "upgrade.log")
    assert database.read_bytes() == b"cut" * 1000


def test_an_installation_without_a_database_is_ready_at_once(tmp_path: Path) -> None:
    upgrade(tmp_path / "mlflow.db", tmp_path / "never run", tmp_path / "upgrade.log")
    assert [path.name for path in tmp_path.iterdir()] == [VERSION_FILE]
