"""A run folder is looked at while its training removes checkpoints."""

from pathlib import Path

from ghostwriter.keeping.survey import last_used
from tests.coming_and_going import coming_and_going


def test_a_checkpoint_that_goes_meanwhile_is_no_problem(tmp_path: Path) -> None:
    checkpoints = [tmp_path / f"checkpoint-{number}" / "state" for number in range(10)]
    for folder in checkpoints:
        folder.mkdir(parents=True)
        (folder / "weights").touch()
    with coming_and_going(checkpoints):
        for _ in range(300):
            last_used(tmp_path)
