"""The examination as a person wants to see it: a picture of accuracy by epoch, and one self-contained page."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from matplotlib.figure import Figure

from training.arithmetic.article import Table, article_table, epochs_of, percent, set_title
from training.arithmetic.chains import KINDS
from training.arithmetic.plan import BASE, ONE_EXAMPLE
from training.arithmetic.scores import Marked
from training.contract import ExamineResult, SetScore
from training.models.base_models import PACKAGE_PREFIX

ARTICLE_POINTS = {0: 45.0, 1: 100.0}
"""Per cent after so many epochs, as the article tells of Qwen2.5-7B."""
WRONG_ON_PAGE, RIGHT_ON_PAGE = 12, 1
_STYLE = """
:root { color-scheme: light dark; --ink: #22201c; --paper: #fbfaf6; --line: #ddd7c9; --good: #2f7d4f; --bad: #b3382c; --soft: #efebe0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ece8df; --paper: #1d1c1a; --line: #45413a; --good: #6cc08e; --bad: #ef8275; --soft: #2a2825; }
}
body { font: 16px/1.55 system-ui, sans-serif; max-width: 62rem; margin: 2.5rem auto; padding: 0 1.2rem; color: var(--ink);
  background: var(--paper); }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; }
.big { font-size: 3.4rem; font-weight: 650; color: var(--good); line-height: 1; margin: 1rem 0 0; }
.big.low { color: var(--bad); }
.facts { opacity: .75; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .38rem .6rem; text-align: left; }
th { font-weight: 600; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
img { max-width: 100%; background: #fff; border-radius: 6px; }
.bar { background: var(--soft); height: .7rem; min-width: 9rem; border-radius: 3px; }
.bar i { display: block; height: 100%; background: var(--good); border-radius: 3px; }
pre { font: 13px/1.5 ui-monospace, monospace; background: var(--soft); padding: .8rem 1rem; border-radius: 6px; overflow: auto;
  max-height: 24rem; margin: .4rem 0; }
mark { background: none; color: var(--bad); font-weight: 700; text-decoration: underline wavy; }
ins { color: var(--good); text-decoration: none; }
details { border-bottom: 1px solid var(--line); padding: .35rem 0; }
summary { cursor: pointer; }
"""


def accuracy_picture(result: ExamineResult, path: Path) -> None:
    """Draw the shares of exact products and of whole chains on unseen pairs over epochs, and what the article tells."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    points = {epoch: sets["unseen"] for arm, sets in result.scores.items() if (epoch := epochs_of(arm)) is not None}
    axes.plot(
        list(ARTICLE_POINTS), list(ARTICLE_POINTS.values()), "o--", color="#9a9284", mfc="white", label="the article (7B), exact product"
    )
    axes.plot(list(points), [100 * score.product for score in points.values()], "o-", color="#2f7d4f", label="exact product")
    axes.plot(list(points), [100 * score.chain for score in points.values()], "s-", color="#2c5f9e", label="whole chain right")
    if ONE_EXAMPLE in result.scores:
        axes.axhline(100 * result.scores[ONE_EXAMPLE]["unseen"].product, color="#b3382c", ls=":", label="base, one worked example")
    axes.set(
        xlabel="epochs of training (0: the base)", ylabel="% of unseen pairs", ylim=(-4, 104), xticks=sorted({*points, *ARTICLE_POINTS})
    )
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=120)


def report(base: str, result: ExamineResult, marked: Mapping[str, Sequence[Marked]], picture: bytes) -> str:
    """The page; `marked` are the last arm's answers by set, `picture` a PNG."""
    arm, sets = list(result.scores.items())[-1]
    parts = [
        _headline(base, arm, result),
        f'<img alt="accuracy by epoch" src="data:image/png;base64,{base64.b64encode(picture).decode()}">',
        "<h2>The article's table, and this run</h2>" + _table(article_table(result)),
        "<h2>By set of questions</h2>" + _bars({set_title(name, result.trained_phrasings): score.chain for name, score in sets.items()}),
        "<h2>By carries in the chain</h2>" + _bars(_carries(sets["unseen"])),
        "<h2>What goes wrong first</h2>" + _errors(result),
        "<h2>Wrong chains</h2>" + _wrong_chains(marked, result.trained_phrasings),
        "<h2>A right one, in full</h2>" + _right_chains(marked),
    ]
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Multiplication</title><style>{_STYLE}</style></head>'
    return f"{head}<body>{''.join(parts)}</body></html>\n"


def _headline(base: str, arm: str, result: ExamineResult) -> str:
    score, before = result.scores[arm]["unseen"], result.scores.get(BASE, {}).get("unseen")
    low = ' low"' if score.chain < 0.5 else '"'
    was = f" Before training: {percent(before.product)} exact." if before else ""
    told = (
        f"of {score.questions} pairs it never saw are worked out without one wrong character ({escape(arm)});"
        f" {percent(score.product)} end in the exact product.{was}"
    )
    name = escape(base.removeprefix(PACKAGE_PREFIX))
    return f'<h1>Can {name} multiply?</h1><p class="big{low}>{percent(score.chain)}</p><p class="facts">{told}</p>'


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.head)
    rows = ["".join(f"<td>{escape(cell)}</td>" if index < 2 else _number(cell) for index, cell in enumerate(row)) for row in table.rows]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _bars(shares: Mapping[str, float]) -> str:
    rows = [
        f'<tr><td>{escape(name)}</td>{_number(percent(share))}<td><div class="bar"><i style="width:{100 * share:.1f}%"></i></div></td></tr>'
        for name, share in shares.items()
    ]
    return f"<table>{''.join(rows)}</table>"


def _carries(score: SetScore) -> dict[str, float]:
    return {f"{band} carries ({count} questions)": share for band, (count, share) in score.by_carries.items()}


def _errors(result: ExamineResult) -> str:
    columns = [(arm, sets["unseen"].first_errors) for arm, sets in result.scores.items()]
    head = "<th>first error on unseen pairs</th>" + "".join(f"<th>{escape(arm)}</th>" for arm, _ in columns)
    rows = [f"<td>{kind}</td>" + "".join(_number(str(errors.get(kind, 0))) for _, errors in columns) for kind in KINDS]
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _wrong_chains(marked: Mapping[str, Sequence[Marked]], trained_phrasings: int) -> str:
    wrong = [(name, one) for name, answers in marked.items() for one in [one for one in answers if one.mistake][:WRONG_ON_PAGE]]
    return (
        "".join(_wrong_chain(set_title(name, trained_phrasings), one) for name, one in wrong)
        or "<p>None. Every line of every chain is right.</p>"
    )


def _wrong_chain(title: str, one: Marked) -> str:
    assert one.mistake
    lines, index = [escape(line) for line in one.text.split("\n")], one.mistake.line - 1
    should = f"   <ins>should be: {escape(one.mistake.expected)}</ins>" if one.mistake.expected else ""
    lines[index:] = [f"<mark>{escape(one.mistake.found) or '(nothing)'}</mark>{should}", *lines[index + 1 :]]
    told = f"{escape(one.question)}: {one.mistake.kind} in line {one.mistake.line} <small>({escape(title)})</small>"
    shown = "\n".join(lines)
    return f"<details><summary>{told}</summary><pre>{shown}</pre></details>"


def _right_chains(marked: Mapping[str, Sequence[Marked]]) -> str:
    right = [one for answers in marked.values() for one in answers if one.mistake is None][:RIGHT_ON_PAGE]
    return "".join(f"<p>{escape(one.question)}</p><pre>{escape(one.text)}</pre>" for one in right) or "<p>There is none yet.</p>"


def _number(text: str) -> str:
    return f'<td class="number">{escape(text)}</td>'
