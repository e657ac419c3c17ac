"""The experiment's figures as Markdown."""

from collections.abc import Mapping
from typing import Any

COLUMNS = {
    "style": "style, view 1",
    "style_grammar": "view 2 (grammars)",
    "heldout_loss": "loss on her answers",
    "rep4": "repeated 4-grams",
    "unfinished_share": "without an end",
    "length_ratio": "length",
    "verbatim_share": "copied",
    "ability": "other tasks",
}
WRITER = "writer"


def table(found: Mapping[str, Any]) -> str:
    """All voices, the goals, and the differences that are told."""
    parts = [f"{found['questions']} held-out questions, 95 % intervals over questions; figures of several seeds are their means."]
    parts += ["\n".join(_scores(found)), "\n".join(_goals(found)), "\n".join(_differences(found)), "\n".join(_apart(found))]
    return "\n\n".join(parts) + "\n"


def _scores(found: Mapping[str, Any]) -> list[str]:
    names = sorted(found["scores"], key=lambda name: -found["scores"][name]["style"][0])
    seeds = found["seeds"]
    rows = [f"| voice | seeds | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 2) + "|"]
    for name in names:
        figures = [_interval(found["scores"][name].get(measure)) for measure in COLUMNS]
        rows.append(f"| {name} | {seeds.get(name, '')} | {' | '.join(figures)} |")
    return rows


def _goals(found: Mapping[str, Any]) -> list[str]:
    rows = [
        "| beside `distilled` | view 1: gain, goal, smallest seen | | view 2: gain, goal, smallest seen | | guards not held |",
        "|---" * 6 + "|",
    ]
    for name, against in found["against_distilled"].items():
        if name in ("base", "distilled", "few-shot"):
            continue
        cells = []
        for one in against["goals"].values():
            cells += [f"{_interval(one['gain'])}, {one['wanted']:.2f}, {one['visible']:.2f}", one["verdict"]]
        broken = ", ".join(f"{guard} {state}" for guard, state in against["guards"].items() if state != "holds")
        rows.append(f"| {name} | {' | '.join(cells)} | {broken or 'none'} |")
    return rows


def _differences(found: Mapping[str, Any]) -> list[str]:
    columns = ("style", "style_grammar", "heldout_loss", "rep4", "ability", "copied_from_notes")
    rows = [f"| difference | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, figures in found["differences"].items():
        rows.append(f"| {name} | {' | '.join(_interval(figures.get(column)) for column in columns)} |")
    return rows


def _apart(found: Mapping[str, Any]) -> list[str]:
    kinds = list(found["apart"])
    rows = [f"| view 1, view 2 on | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
    for name in found["scores"]:
        cells = [f"{found['apart'][kind][name]['style'][0]:.2f}, {found['apart'][kind][name]['style_grammar'][0]:.2f}" for kind in kinds]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows


def _interval(found: list[float] | None) -> str:
    return "" if found is None else f"{found[0]:.2f} [{found[1]:.2f}, {found[2]:.2f}]"
