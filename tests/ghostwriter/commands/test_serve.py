"""`serve` and `chat` start where only the training side's packages and those of requirements/serving.txt are."""

import subprocess
import sys

from ghostwriter.home import ROOT

PROGRAM = """
import sys, importlib.abc
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {refused!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
import ghostwriter.commands.serve, ghostwriter.commands.chat
"""
REFUSED = {"airflow", "openai", "aiohttp", "selectolax", "uvloop", "docker", "kubernetes", "psycopg2", "torch"}


def test_the_gateway_needs_none_of_airflows_packages() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(refused=REFUSED)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
