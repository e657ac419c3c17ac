"""One self-contained HTML page: the scores, then each question with the writer's answer and each arm's beside it."""

from collections.abc import Mapping, Sequence
from html import escape

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: #1c1c1c; }
table { border-collapse: collapse; margin-bottom: 2rem; }
th, td { border: 1px solid #ccc; padding: .5rem .7rem; text-align: left; vertical-align: top; }
th { background: #f4f1ea; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
td.answer { white-space: pre-wrap; min-width: 18rem; } td.none { color: #999; }
"""


def report(title: str, samples: Sequence[Mapping[str, str]], scores: Mapping[str, Mapping[str, float]], notes: Sequence[str] = ()) -> str:
    """The page. Each sample has `question`, `writer`, and an answer for each arm under its name; `notes` are printed under the scores."""
    columns = [name for name in samples[0] if name != "question"] if samples else []
    said = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(title)}</h1>{_scores_table(scores)}{said}{_samples_table(samples, columns)}</body></html>\n"
    )


def _scores_table(scores: Mapping[str, Mapping[str, float]]) -> str:
    measures = list(dict.fromkeys(measure for values in scores.values() for measure in values))
    head = "<tr><th>arm</th>" + "".join(f"<th>{escape(measure)}</th>" for measure in measures) + "</tr>"
    rows = [
        f"<tr><th>{escape(arm)}</th>" + "".join(_number(values.get(measure)) for measure in measures) + "</tr>"
        for arm, values in scores.items()
    ]
    return f"<table>{head}{''.join(rows)}</table>"


def _number(value: float | None) -> str:
    return '<td class="none">–</td>' if value is None else f'<td class="number">{value:.3f}</td>'


def _samples_table(samples: Sequence[Mapping[str, str]], columns: Sequence[str]) -> str:
    head = "<tr><th>question</th>" + "".join(f"<th>{escape(column)}</th>" for column in columns) + "</tr>"
    rows = [
        f"<tr><th>{escape(sample['question'])}</th>"
        + "".join(f'<td class="answer">{escape(sample[column])}</td>' for column in columns)
        + "</tr>"
        for sample in samples
    ]
    return f"<table>{head}{''.join(rows)}</table>"
