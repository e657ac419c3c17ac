"""Style and loss over the nights: which runs are drawn, and where."""

import re
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest

from ghostwriter.mlflow_runs.chart import HEIGHT, LEFT, WIDTH, chart
from ghostwriter.mlflow_runs.history import CandidateNight, Figure, champions, read_history
from ghostwriter.mlflow_runs.registry import Registry


def night(day: int, style: float, version: str | None = None) -> CandidateNight:
    figure = Figure(style, style - 0.1, style + 0.1)
    return CandidateNight(datetime(2026, 11, day, tzinfo=UTC), {"style": figure}, version)


NIGHTS = [night(1, 0.6, "1"), night(2, 0.5), night(3, 0.8, "2"), night(4, 0.7)]


def test_the_champion_stays_as_it_was_scored_until_the_next_one() -> None:
    assert [figure and figure.value for figure in champions(NIGHTS, "style")] == [0.6, 0.6, 0.8, 0.8]
    assert champions([night(1, 0.5)], "style") == [None]


def test_each_candidate_is_a_dot_with_its_interval_and_its_fate_in_words() -> None:
    picture = ElementTree.fromstring(chart(NIGHTS, "style"))
    candidates = picture.findall("g")
    assert [candidate.get("class") for candidate in candidates] == ["promoted", "refused", "promoted", "refused"]
    assert candidates[1].findtext("title") == "2026-11-02: 0.500 (0.400 to 0.600), not promoted"
    heights = [float(candidate.find("circle").get("cy")) for candidate in candidates]  # type: ignore[union-attr,arg-type]
    assert heights[2] < heights[3] < heights[0] < heights[1], "higher is better, and stands higher"
    lines = [(float(line.get("y1", 0)), float(line.get("y2", 0))) for g in candidates for line in g.findall("line")]
    assert all(low > high for low, high in lines)


def test_everything_stays_inside_the_picture() -> None:
    text = str(chart([night(day, 0.1 * day, str(day)) for day in range(1, 10)], "style"))
    across = [float(number) for number in re.findall(r'(?:x1|x2|cx)="([\d.]+)"', text)]
    down = [float(number) for number in re.findall(r'(?:y1|y2|cy)="([\d.]+)"', text)]
    assert LEFT <= min(across) <= max(across) <= WIDTH
    assert 0 <= min(down) <= max(down) <= HEIGHT


def test_without_a_figure_there_is_no_picture() -> None:
    assert chart([], "style") == ""
    assert chart(NIGHTS, "heldout_loss_nats_per_token") == ""


def test_runs_without_figures_are_no_nights(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(start: int, metrics: dict[str, float], **tags: str) -> dict[str, Any]:
        data = {
            name: [{"key": key, "value": value} for key, value in pairs.items()] for name, pairs in (("metrics", metrics), ("tags", tags))
        }
        return {"info": {"start_time": start}, "data": data}

    figures = {"style": 0.5, "style/low": 0.4, "style/high": 0.6}
    runs = [run(2000, figures, **{"ghostwriter.promoted_version": "3"}), run(3000, {"style": 0.5}), run(1000, figures)]
    monkeypatch.setattr(Registry, "runs", lambda _self, _stem, _kind, _number: runs)
    nights = read_history(Registry("http://127.0.0.1:1"), "lamplight")
    assert [night.version for night in nights] == [None, "3"]
