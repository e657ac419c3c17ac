"""Measures all voices that were written, on a CPU: `figures.json`, `table.md` and `voices.png` beside the answers."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.voices.jobs import RECIPE
from benchmarks.voices.rule import GAP_SHARES, Figures, goal, guards, is_better, of_questions, over_seeds
from benchmarks.voices.run import ALL_QUESTIONS, read_voices
from benchmarks.voices.table import table
from training.bootstrap import Measured, difference, estimate, ratio
from training.contract import ArmRequest, EvaluateRequest
from training.measure.asking import Corpus, last_answers, load_corpus
from training.measure.contrast import language_of, other_writers
from training.measure.measures import BASE, WRITER
from training.measure.memorisation import memorisation
from training.measure.plots import save_bars
from training.measure.text_figures import Texts, text_figures

ROOT = Path(__file__).parents[2]
DISTILLED = "distilled"
UNTRAINED = (BASE, "few-shot")
"""Not drawn: so far off that nothing else could be told apart."""
TITLES = {"style": "view 1: 0 other writers, 1 the writer", "style_grammar": "view 2: 0 plain rewrites, 1 the writer"}
COPIED = "copied_from_notes"
"""Share of an answer's windows of 50 characters that stand in the writer's held-out answers, as notes may have been."""


def measure(data: Path, out: Path) -> Path:
    """Write the three files; returns the table's path."""
    rows, corpus = read_voices(out), load_corpus(_request(data))
    runs = _measured(data, corpus, rows)
    writer = runs.pop((WRITER, 0))
    by_voice = defaultdict(list)
    for (voice, _), figures in runs.items():
        by_voice[voice].append(figures)
    voices = {voice: over_seeds(of_voice) for voice, of_voice in by_voice.items()}
    found = {
        "questions": len(corpus.heldout),
        "seeds": {voice: len(of_voice) for voice, of_voice in by_voice.items()},
        "scores": {name: _estimates(figures) for name, figures in {**voices, WRITER: writer}.items()},
        "by_seed": {voice: [_values(one) for one in of_voice] for voice, of_voice in by_voice.items()},
        "apart": _apart(corpus, {**voices, WRITER: writer}),
        "against_distilled": {name: _against(figures, voices[DISTILLED], writer) for name, figures in voices.items()},
        "differences": _differences(voices),
        "training": {f"{row['voice']}, seed {row['seed']}": {**(row["training"] or {}), "took": row["seconds"]} for row in rows},
    }
    (out / "figures.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    drawn = {
        name: figures for name, figures in voices.items() if len(by_voice[name]) > 1 and name not in UNTRAINED and "greedily" not in name
    }
    _draw({**drawn, WRITER: writer}, out)
    (out / "table.md").write_text(table(found), encoding="utf-8")
    return out / "table.md"


def _draw(voices: Mapping[str, Figures], out: Path) -> None:
    """Both views of the voices, the most like the writer first."""
    names = sorted(voices, key=lambda name: -estimate(voices[name]["style_grammar"]).value)
    panels = {title: {name: estimate(voices[name][view]) for name in names} for view, title in TITLES.items()}
    save_bars(panels, out / "voices.png")


def _request(data: Path) -> EvaluateRequest:
    arms = (ArmRequest(name=BASE),)
    return EvaluateRequest(run_folder=data, dataset=data, base=RECIPE.base, arms=arms, candidate=BASE, questions=ALL_QUESTIONS, models=data)


def _measured(data: Path, corpus: Corpus, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], dict[str, Measured]]:
    """Voice and seed to figures; the base of the first seed is what the views learn as the base."""
    base = next(row for row in rows if row["voice"] == BASE)
    named = {f"{row['voice']} {row['seed']}": row for row in rows}
    training = last_answers(corpus.training)
    texts = Texts(
        training=training,
        teacher=corpus.teacher,
        twins=corpus.twins,
        others=other_writers(data, language_of(training)),
        language=language_of(training),
        answers={**{name: row["texts"] for name, row in named.items()}, BASE: base["texts"], WRITER: corpus.writer},
        finished={**{name: row["finished"] for name, row in named.items()}, BASE: base["finished"], WRITER: [True] * len(corpus.writer)},
    )
    of_texts = text_figures(texts, 0)
    if of_texts.views.withheld:
        raise SystemExit(f"A view of style is withheld: {of_texts.views.withheld}")
    print(f"AUC by view: {of_texts.views.separation}; shuffled sentences: {of_texts.views.shuffled}")
    copied = memorisation({name: row["texts"] for name, row in named.items()}, corpus.writer)
    found = {(WRITER, 0): dict(of_texts.measured[WRITER])}
    for name, row in named.items():
        figures = {key: ratio(*sums) for key, sums in row["figures"].items()}
        found[row["voice"], row["seed"]] = {
            **of_texts.measured[name],
            **figures,
            COPIED: copied[name]["verbatim_share"],
        }
    return found


def _against(voice: Figures, distilled: Figures, writer: Figures) -> dict[str, Any]:
    goals = {view: goal(view, voice[view], distilled[view], writer[view]) for view in GAP_SHARES}
    return {
        "goals": {
            view: {"gain": _short(one.gain), "wanted": one.wanted, "visible": one.visible, "verdict": one.verdict}
            for view, one in goals.items()
        },
        "guards": guards(voice, distilled, writer),
        "better": is_better(voice, distilled),
        "heldout_loss": _short(difference(voice["heldout_loss"], distilled["heldout_loss"])),
    }


PAIRS = (
    ("preferred", "distilled"),
    ("inverse+preferred", "inverse"),
    ("inverse, two passes", "inverse"),
    ("distilled-top", "distilled-random"),
    ("staged", "distilled"),
    ("distilled with replay", "base"),
    ("distilled", "base"),
    ("distilled with replay", "distilled"),
    ("inverse, another question's notes", "inverse, two passes"),
    ("inverse, the answer as notes", "inverse, two passes"),
    ("preferred, swapped", "distilled"),
    ("preferred, swapped", "preferred"),
    ("inverse, a third of the answers", "distilled, a third of the answers"),
    ("inverse+preferred, a third of the answers", "distilled, a third of the answers"),
    ("preferred, a third of the answers", "distilled, a third of the answers"),
    ("inverse, the demo's recipe", "distilled, the demo's recipe"),
    ("inverse+preferred, the demo's recipe", "distilled, the demo's recipe"),
    ("preferred, the demo's recipe", "distilled, the demo's recipe"),
    ("mixed, the demo's recipe", "distilled, the demo's recipe"),
    ("inverse+distilled, the demo's recipe", "distilled, the demo's recipe"),
)
"""Differences that are told beside those to `distilled`: the first minus the second."""


def _differences(voices: Mapping[str, Figures]) -> dict[str, Any]:
    return {
        f"{one} minus {other}": {
            name: _short(difference(voices[one][name], voices[other][name])) for name in voices[one] if name in voices[other]
        }
        for one, other in PAIRS
        if one in voices and other in voices
    }


def _apart(corpus: Corpus, voices: Mapping[str, Figures]) -> dict[str, Any]:
    """Both views on the demo's own held-out questions and on those written for the experiment."""
    listed = (ROOT / "demo" / "heldout.txt").read_text(encoding="utf-8")
    old = [place for place, question in enumerate(corpus.questions) if question in listed]
    new = [place for place in range(len(corpus.questions)) if place not in set(old)]
    return {
        f"{len(places)} questions": {
            name: {view: _short(estimate(of_questions(figures[view], places))) for view in GAP_SHARES} for name, figures in voices.items()
        }
        for places in (old, new)
    }


def _estimates(figures: Figures) -> dict[str, Any]:
    return {name: _short(estimate(figure)) for name, figure in figures.items()}


def _values(figures: Figures) -> dict[str, float]:
    return {name: round(estimate(figures[name]).value, 4) for name in (*GAP_SHARES, "heldout_loss", "rep4")}


def _short(found: Any) -> list[float]:
    """Value, low, high."""
    return [round(number, 4) for number in (found.value, found.low, found.high)]
