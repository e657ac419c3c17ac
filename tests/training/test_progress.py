import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
from training.progress import Progress
with Progress(Path(sys.argv[1]), "train", 3, "steps") as progress:
    for done in (1, 2, 3):
        sys.stdin.readline()
        progress.update(done)
"""


def test_work_goes_on_when_nobody_reads_its_lines_any_more(tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen([sys.executable, "-c", PROGRAM, tmp_path], text=True, **pipes) as child:
        assert child.stdin and child.stdout
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "train: 1/3 steps\n"
        child.stdout.close()
        child.stdin.write("\n\n")
        child.stdin.close()
        assert child.wait(60) == 0
    assert json.loads((tmp_path / "progress.json").read_text())["done"] == 3
