"""The list of earlier datasets beside a housekeeping that removes them."""

from pathlib import Path

from ghostwriter.page.earlier import earlier
from ghostwriter.snapshot import write_snapshot
from tests.coming_and_going import coming_and_going


def test_a_dataset_that_goes_while_the_list_is_made_is_left_out(tmp_path: Path) -> None:
    stays, *others = [write_snapshot(tmp_path, "dataset", "tester", {"direct.jsonl": [{"id": str(number)}]}) for number in range(10)]
    with coming_and_going(others):
        for _ in range(200):
            assert stays.name in [each.name for each in earlier(tmp_path)]
