"""An adapter in MLflow as a model that MLflow itself can load: a few small files beside its weights, and an entry in the Models tab.

The weights stay where the training logged them, once: the entry's own files name the run they are fetched from.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostwriter.home import ROOT
from ghostwriter.writer import Writer
from training.models.base_models import PACKAGE_PREFIX, PACKAGES

if TYPE_CHECKING:
    from mlflow import MlflowClient

LOADER = ROOT / "training" / "export" / "ghostwriter_adapter.py"
FACTS_FILE, REQUIREMENTS_FILE, ENVIRONMENT_FILE, CODE = "ghostwriter.json", "requirements.txt", "python_env.yaml", "code"
PYTHON = "3.11"
REQUIREMENTS = (
    "mlflow-skinny==3.17.2",
    "numpy==2.4.6",
    "pandas==3.1.1",
    "peft==0.21.2",
    "torch==2.13.0",
    "transformers==5.17.0",
)
"""As in requirements/training.txt; a test holds them against it."""
PACKAGE_REQUIREMENTS = ("gguf==0.19.0",)
MAX_NEW_TOKENS = 300
DIGEST_TAG = "adapter_sha256"
KIND = "ghostwriter adapter"


def log_model(client: "MlflowClient", writer: Writer, name: str, run_id: str, tags: Mapping[str, str]) -> None:
    """Make the adapter that a run has logged loadable by MLflow, and list it among the models of the run's experiment. Safe to repeat.

    `tags` are the version's: its base, revision and digest.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_model(folder, writer, run_id, tags)
        client.log_artifacts(run_id, scratch, "adapter")
        _list_model(client, name, run_id, tags, folder)


def write_model(folder: Path, writer: Writer, run_id: str, tags: Mapping[str, str]) -> None:
    """Write MLmodel, requirements, the loader's code, and what that has to know."""
    base = tags.get("base", "")
    package = PACKAGES.get(base.removeprefix(PACKAGE_PREFIX)) if base.startswith(PACKAGE_PREFIX) else None
    answering = {**writer.answering.model_dump(), "max_new_tokens": writer.evaluation.max_new_tokens or MAX_NEW_TOKENS}
    facts = {
        "run_id": run_id,
        "base": base,
        "revision": tags.get("revision") or None,
        "package": package._asdict() if package else None,
        "answering": answering,
    }
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    wanted = [*REQUIREMENTS, *(PACKAGE_REQUIREMENTS if package else ())]
    (folder / REQUIREMENTS_FILE).write_text("\n".join(wanted) + "\n")
    environment = {"python": PYTHON, "build_dependencies": ["pip"], "dependencies": [f"-r {REQUIREMENTS_FILE}"]}
    (folder / ENVIRONMENT_FILE).write_text(json.dumps(environment, indent=1) + "\n")  # JSON is YAML
    (folder / CODE).mkdir()
    shutil.copyfile(LOADER, folder / CODE / LOADER.name)
    (folder / "MLmodel").write_text(json.dumps(_description(writer, run_id, answering), indent=1) + "\n")


def _description(writer: Writer, run_id: str, answering: Mapping[str, Any]) -> dict[str, Any]:
    """What stands in MLmodel. Written by hand: to import `mlflow.pyfunc` for it takes seconds of every promotion."""
    kinds = {"temperature": "double", "min_p": "double", "seed": "long", "max_new_tokens": "long"}
    params = [{"name": name, "type": kind, "default": answering[name], "shape": None} for name, kind in kinds.items()]
    notice = f"Imitates how {writer.name} writes; what it says is not what that person said or thinks."
    flavor = {"loader_module": LOADER.stem, "code": CODE, "python_version": PYTHON, "env": {"virtualenv": ENVIRONMENT_FILE}}
    return {
        "artifact_path": "adapter",
        "flavors": {"python_function": flavor},
        "metadata": {"notice": notice},
        "mlflow_version": version("mlflow"),
        "run_id": run_id,
        "signature": {
            "inputs": json.dumps([{"type": "string", "name": "question", "required": True}]),
            "outputs": json.dumps([{"type": "string", "required": True}]),
            "params": json.dumps(params),
        },
    }


def _list_model(client: "MlflowClient", name: str, run_id: str, tags: Mapping[str, str], folder: Path) -> None:
    experiment = client.get_run(run_id).info.experiment_id
    digest = tags.get(DIGEST_TAG, "")
    if client.search_logged_models([experiment], f"tags.{DIGEST_TAG} = '{digest}'", max_results=1):
        return
    kept = {key: value for key, value in tags.items() if value}
    made = client.create_logged_model(experiment, name=name, source_run_id=run_id, tags=kept, model_type=KIND)
    client.log_model_artifacts(made.model_id, str(folder))
    client.finalize_logged_model(made.model_id, "READY")
