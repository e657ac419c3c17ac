"""What readers said, in words: Markdown for a terminal, for MLflow, and beside the page."""

from collections.abc import Iterator, Mapping

from ghostwriter.panel.figures import PanelResult, Share
from ghostwriter.panel.power import MOST_PAIRS
from training.contract import Estimate

TITLES = {"voice": "Sounds like the writer", "quality": "Is the better answer"}


def summary_markdown(result: PanelResult, *, names: bool) -> str:
    """The whole page; readers by name only where `names` says so."""
    return "\n\n".join(_parts(result, names)) + "\n"


def headline(result: PanelResult, arm: str) -> str:
    """One arm's line: how often readers took it for the writer."""
    found, readers = result.turing[arm], f"{result.believed} reader{'' if result.believed == 1 else 's'}"
    return f"{share_in_words(found.share)} of {found.votes} times taken for the writer by {readers} (panel {result.panel})"


def share_in_words(share: Estimate) -> str:
    """`31 % [22 %, 40 %]`."""
    return f"{100 * share.value:.0f} % [{100 * share.low:.0f} %, {100 * share.high:.0f} %]"


def _parts(result: PanelResult, names: bool) -> Iterator[str]:
    flagged = [reader for reader in result.readers if reader.flagged]
    yield f"**Panel {result.panel}: {result.believed} of {len(result.readers)} readers count, {result.trials} trials.**"
    if result.turing:
        yield "Taken for the writer, beside the writer's own answer to the same question (50 %: readers cannot tell them apart):"
        yield _table("arm", result.turing)
    if result.pairs:
        yield "Which of two arms sounds more like the writer (share of the first):"
        yield _table("pair", result.pairs)
    for asked, title in TITLES.items():
        yield _ranks(result, asked, title)
    if names:
        yield _readers(result)
    elif flagged:
        yield "Left out: " + "; ".join(f"a reader who {reader.flagged}" for reader in flagged) + "."


def _table(what: str, shares: Mapping[str, Share]) -> str:
    rows = [f"| {what} | share, 95 % interval | votes | votes still needed for 80 % power |", "|---|---|---|---|"]
    rows += [f"| {name} | {share_in_words(found.share)} | {found.votes} | {_needed(found.needed)} |" for name, found in shares.items()]
    return "\n".join(rows)


def _needed(number: int | None) -> str:
    return f"over {MOST_PAIRS:,}: too close to tell" if number is None else f"{number:,}"


def _ranks(result: PanelResult, asked: str, title: str) -> str:
    alpha = next((value for name, value in result.alpha.items() if name == asked), None)
    agreed = "" if alpha is None else f" (agreement: alpha {alpha:.2f})"
    why = next((words for name, words in result.no_ranks.items() if name == asked), "")
    if why:
        return f"{title}: no ranks, {why}."
    strengths = next(found for name, found in result.strengths.items() if name == asked)
    lines = [f"{place}. {arm}: {share_in_words(found)}" for place, (arm, found) in enumerate(strengths.items(), 1)]
    return f"{title}{agreed}; chance of being chosen beside one of middling strength:\n\n" + "\n".join(lines)


def _readers(result: PanelResult) -> str:
    rows = ["| reader | answered | attention checks right | took an arm for the writer | counts |", "|---|---|---|---|---|"]
    for reader in result.readers:
        taken = "–" if reader.taken_in is None else f"{100 * reader.taken_in:.0f} %"
        counts = f"no: {reader.flagged}" if reader.flagged else "yes"
        rows.append(f"| {reader.name} | {reader.answered} of {result.trials} | {reader.right} of {reader.checks} | {taken} | {counts} |")
    return "\n".join(rows)
