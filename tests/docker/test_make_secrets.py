"""`make secrets`: random, whole, closed to others, and never made twice over databases that know the old ones."""

import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ghostwriter.home import ROOT

PROGRAM = ROOT / "docker" / "make_secrets.py"


def make(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, PROGRAM, folder], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("installation") / "secrets"
    assert make(path).returncode == 0
    return path


def test_every_secret_that_compose_hands_out_is_made_and_no_other(folder: Path) -> None:
    secrets = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["secrets"]
    own = {name for name, secret in secrets.items() if secret["file"] == "${TRAINING_SECRETS:-/dev/null}"}  # a person's, if any
    assert {path.name for path in folder.iterdir()} == set(secrets) - own
    assert own == {"training.env"}


def test_only_the_owner_can_enter_the_folder(folder: Path) -> None:
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_two_installations_share_no_secret(folder: Path, tmp_path: Path) -> None:
    make(tmp_path / "other")
    ours, theirs = ({path.name: path.read_text() for path in one.iterdir()} for one in (folder, tmp_path / "other"))
    assert [name for name in ours if ours[name] == theirs[name]] == []


def test_the_password_files_fit_the_roles_of_the_database(folder: Path) -> None:
    roles = dict(re.findall(r"CREATE ROLE (\w+) LOGIN PASSWORD '(\w+)';", (folder / "databases.sql").read_text()))
    lines = [line for name in ("airflow_pgpass", "mlflow_pgpass") for line in (folder / name).read_text().splitlines()]
    assert {line.split(":")[3]: line.split(":")[4] for line in lines} == roles
    assert set(roles) == {"airflow", "ghostwriter", "mlflow"}
    assert "ghostwriter" not in (folder / "mlflow_pgpass").read_text()


def test_existing_secrets_are_kept(folder: Path) -> None:
    before = (folder / "fernet_key").read_text()
    refused = make(folder)
    assert refused.returncode == 1
    assert "its secrets are kept, because the databases were made with them" in refused.stderr
    assert (folder / "fernet_key").read_text() == before


def test_a_host_without_python_makes_them_in_a_container(tmp_path: Path) -> None:
    """On a host that has Docker and nothing else; a small program stands for Docker and says what it was asked."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("make", "sh", "bash", "mkdir", "id", "env"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    (tools / "docker").write_text('#!/bin/sh\nfor word in "$@"; do echo "$word"; done\n')
    (tools / "docker").chmod(0o755)
    asked = subprocess.run(
        ["make", "--no-print-directory", "secrets", f"SECRETS={tmp_path}/new/secrets"],
        cwd=ROOT,
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert asked[:4] == ["run", "--rm", "--network", "none"]
    assert f"{tmp_path}/new:/made" in asked
    assert asked[-3:] == ["python", "/docker/make_secrets.py", "/made/secrets"]
