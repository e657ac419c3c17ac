"""Resolve every `*.in` beside this file into a `*.txt` with exact versions: `python3.11 requirements/lock.py [NAME...]`.

pip resolves, so that a CPU build of torch found on this machine is taken; its local version mark (`+cpu`) is left out
of the lock, and on other machines torch itself pins what its CUDA build needs. No hashes, no index addresses.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent


def lock(source: Path) -> str:
    """The text of the lock file for one `.in` file: sorted `name==version` lines, without those of the file it is on top of (`-c`)."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        subprocess.run([*command, "--report", report.name, "--requirement", source], check=True)
        packages = [item["metadata"] for item in json.load(report)["install"]]
    below = {line for name in re.findall(r"^-c (\S+)", source.read_text(), re.MULTILINE) for line in (HERE / name).read_text().splitlines()}
    pins = sorted({f"{package['name'].lower()}=={package['version'].split('+')[0]}" for package in packages} - below)
    return f"# Made by requirements/lock.py from {source.name}.\n" + "\n".join(pins) + "\n"


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(path.stem for path in HERE.glob("*.in")):
        (HERE / f"{name}.txt").write_text(lock(HERE / f"{name}.in"))
        print(f"locked {name}.txt")
