"""What an examination tells MLflow: shares by epoch, the article's table, wrong chains with their first wrong line, a picture, a page."""

from collections.abc import Mapping, Sequence

from training.arithmetic.article import article_table, epochs_of
from training.arithmetic.plan import TABLE_FILE
from training.arithmetic.scores import Marked
from training.contract import ExamineRequest, ExamineResult, SetScore
from training.tracking.run import TrackedRun

REPORT_FILE, PICTURE_FILE = "report.html", "accuracy.png"
ARTICLE_TABLE, WRONG_TABLE = "article.json", "wrong_chains.json"
WRONG_SHOWN = 10
"""Wrong chains in the table, of each arm and set."""


def start(run: TrackedRun, request: ExamineRequest) -> None:
    """Tell what is about to be examined, and how."""
    run.params(request.model_dump(include={"base", "revision", "precision", "batch"}))
    run.params({f"arm.{arm.name}": arm.adapter or f"base, {arm.examples} worked examples" for arm in request.arms})
    run.dataset(request.dataset, "examination")


def arm(run: TrackedRun, name: str, scores: Mapping[str, SetScore]) -> None:
    """Tell how one arm did: the set all arms sit over epochs (the base is epoch 0), every set under the arm's own child run."""
    epoch = epochs_of(name)
    if epoch is not None:
        unseen = scores["unseen"]
        run.metrics({"unseen/product_share": unseen.product, "unseen/chain_share": unseen.chain}, step=epoch)
    for set_name, score in scores.items():
        run.metrics({f"{set_name}/product_share": score.product, f"{set_name}/chain_share": score.chain}, child=name)


def end(run: TrackedRun, request: ExamineRequest, result: ExamineResult, marked: Mapping[str, Mapping[str, Sequence[Marked]]]) -> None:
    """Tell the last arm's shares on every set, the other abilities, and show tables, picture and page."""
    from training.arithmetic.report import accuracy_picture, report  # matplotlib comes with it

    last = request.arms[-1].name
    for set_name, score in result.scores[last].items():
        if set_name != "unseen":
            run.metrics({f"{set_name}/product_share": score.product, f"{set_name}/chain_share": score.chain})
    for name, pace in result.pace.items():
        run.metrics({**result.ability.get(name, {}), "tokens_per_second": pace.per_second}, child=name)
        run.end_child(name)
    table = article_table(result)
    run.table(table.columns(), ARTICLE_TABLE)
    run.table(wrong_chains(marked), WRONG_TABLE)
    picture = request.run_folder / PICTURE_FILE
    accuracy_picture(result, picture)
    page, summary = request.run_folder / REPORT_FILE, request.run_folder / TABLE_FILE
    page.write_text(report(request.base, result, marked[last], picture.read_bytes()), encoding="utf-8")
    summary.write_text(table.markdown(), encoding="utf-8")
    run.tags({"mlflow.note.content": table.markdown()})
    for path in (picture, page, summary):
        run.artifact(path)


def wrong_chains(marked: Mapping[str, Mapping[str, Sequence[Marked]]]) -> dict[str, list[str | int]]:
    """Columns of the table of wrong chains, the last arm's first; `answer` has the first wrong line between ⟦ and ⟧."""
    names = ("arm", "question", "wrong line", "expected", "found", "kind", "set", "answer")
    columns: dict[str, list[str | int]] = {name: [] for name in names}
    for arm_name, sets in reversed(list(marked.items())):
        for set_name, answers in sets.items():
            for one in [one for one in answers if one.mistake][:WRONG_SHOWN]:
                values: tuple[str | int, ...] = (arm_name, *_wrong(one, set_name))
                for name, value in zip(names, values, strict=True):
                    columns[name].append(value)
    return columns


def _wrong(one: Marked, set_name: str) -> tuple[str, int, str, str, str, str, str]:
    assert one.mistake
    lines = one.text.split("\n")
    index = one.mistake.line - 1
    shown = [*lines[:index], f"⟦{one.mistake.found}⟧", *lines[index + 1 :]]
    mistake = one.mistake
    return one.question, mistake.line, mistake.expected, mistake.found, mistake.kind, set_name, "\n".join(shown)
