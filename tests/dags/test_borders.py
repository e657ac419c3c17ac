"""What the import contracts in pyproject.toml cannot say: files outside packages, second names, and what a fresh process loads."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ghostwriter.home import ROOT

HEAVY = {"torch", "transformers", "peft", "accelerate"}
SHARED = {
    "training.errors",
    "training.remote.object_store",
    "training.contract",
    "training.bootstrap",
    "training.arithmetic.data",
    "training.arithmetic.plan",
    "training.models.base_models",
    "training.network",
    "training.remote.remote_data",
}
"""What of the training side the Airflow side may import: the contract, intervals, how the multiplication check is planned, where a base
lies, which settings it takes from a launcher, data by URL and what goes wrong with it."""
FOLDERS = ("dags", "plugins", "training", "demo", "tests")
MOST_LINES = 80


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """The full names of all modules a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


def test_dag_files_import_no_torch() -> None:
    assert {str(path): found for path in sources("dags") if (found := roots(path) & HEAVY)} == {}


def test_the_airflow_side_imports_of_training_only_what_is_shared() -> None:
    wrong = {
        name for path in sources("dags", "plugins") for name in imported(path) if name.split(".")[0] == "training" and name not in SHARED
    }
    assert wrong == set()


def test_nothing_is_imported_under_a_second_name() -> None:
    assert {str(path): found for path in sources(*FOLDERS) if (found := roots(path) & {"plugins", "dags"})} == {}


@pytest.mark.parametrize("name", sorted(SHARED))
def test_what_is_shared_is_imported_without_torch_airflow_or_mlflow(name: str) -> None:
    program = f"import sys, {name}; print(sorted({{name.split('.')[0] for name in sys.modules}} & {{'torch', 'airflow', 'mlflow'}}))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_plugin_loader_is_kept_off_the_library() -> None:
    program = (
        "import sys, warnings; warnings.simplefilter('ignore'); from airflow import plugins_manager\n"
        "names = [plugin.name for plugin in plugins_manager._get_plugins()[0] if plugin.name == 'ghostwriter']\n"
        "print(names, sorted({'errors', 'home', 'launch', 'gate', 'distill'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, env=os.environ, check=False)
    assert done.stdout.strip().splitlines()[-1:] == ["['ghostwriter'] []"], done.stderr


@pytest.mark.parametrize("path", sources("dags"), ids=lambda path: path.stem)
def test_a_dag_file_is_thin(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


def test_dag_files_do_no_work_at_import() -> None:
    """Files are read (the writers') and nothing else: no heavy library is loaded, no socket opened, no database file made."""
    program = (
        "import runpy, sys, warnings; warnings.simplefilter('ignore')\n"
        "from airflow.sdk import CronTriggerTimetable, dag\n"
        "dag(dag_id='warm_up', schedule=CronTriggerTimetable('0 3 * * *', timezone='UTC'))(lambda: None)()\n"
        "before = set(sys.modules); seen = []; watched = ('socket.connect', 'sqlite3.connect', 'subprocess.Popen')\n"
        "sys.addaudithook(lambda event, args: seen.append(event) if event in watched else None)\n"
        f"for path in {[str(path) for path in sources('dags')]!r}: runpy.run_path(path)\n"
        "heavy = {'aiohttp', 'mlflow', 'numpy', 'openai', 'requests', 'pandas', 'selectolax', 'torch'}\n"
        "print(seen, sorted(heavy & set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, env=os.environ, check=False)
    assert done.stdout.strip().splitlines()[-1:] == ["[] []"], done.stdout + done.stderr
