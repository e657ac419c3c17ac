"""Who the page says made the champion what it is."""

import json
from typing import Any

import pytest

from ghostwriter.page.champions import read_versions


class RecordedRegistry:
    """MLflow's answers for one model: its last recorded move is from version 1 to 2."""

    def __init__(self, champion: str) -> None:
        self._champion = champion

    def model(self, _name: str) -> dict[str, Any]:
        move = {"who": "night", "when": "2026-11-30T03:00:00.000000Z", "from": "1", "to": "2", "why": "better"}
        tags = [{"key": f"move.{move['when']}", "value": json.dumps(move)}]
        return {"aliases": [{"alias": "champion", "version": self._champion}], "tags": tags}

    def versions(self, _name: str) -> list[dict[str, Any]]:
        return []


@pytest.mark.parametrize(("champion", "moved_by", "known"), [("2", "night", True), ("1", "by hand in MLflow", False)])
def test_a_champion_that_no_move_led_to_was_moved_by_hand(champion: str, moved_by: str, known: bool) -> None:
    found = read_versions(RecordedRegistry(champion), "lamplight")  # type: ignore[arg-type]
    assert found
    assert (found.moved_by, found.since is not None) == (moved_by, known)
