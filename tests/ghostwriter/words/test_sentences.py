"""Verdicts, statements and refusals in Chinese, from their English record; what no pattern fits stays as it is."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ghostwriter.collecting.collect import Tally, _statement
from ghostwriter.distilling.typical_cost import typical_cost
from ghostwriter.home import ROOT, Home
from ghostwriter.judging.gate import Decision, decide
from ghostwriter.judging.serving import Tried
from ghostwriter.words.sentences import say_sentence
from ghostwriter.writer_settings import Gate
from tests.distill_case import make_writer
from tests.ghostwriter.judging.evaluations import evaluation
from tests.ghostwriter.judging.test_gate import EQUAL, content
from tests.ghostwriter.page.test_nights import RUNS

NAMES = {"nats", "AUC", "peft", "contrast", "tiny", "MLflow", "DAG"}
FAULTS = {"rep4": 0.48, "unfinished_share": 0.5, "verbatim_share": 0.31, "ability": 0.35, "ability_loss": 3.6, "style": 0.2}
UNCLEAR = "other writers (AUC 0.71, needs 0.9) or plain rewrites (AUC 0.80, needs 0.9)"
WITHHELD = {
    "style": f"the classifier cannot tell the writer's held-out answers from {UNCLEAR}",
    "style_grammar": "there are 4 held-out answers and 20 training answers, and it needs 5 of each",
    "ability": "it was not asked for",
}


def verdicts() -> Iterator[Decision]:
    """A verdict of every kind."""
    yield decide(evaluation(), Gate())
    yield decide(evaluation("base"), Gate(), content(0.6, 0.8))
    yield decide(evaluation().model_copy(update={"questions": 12}), Gate())
    yield decide(evaluation().model_copy(update={"questions": 1}), Gate())
    yield decide(evaluation(**EQUAL).model_copy(update={"questions": 12}), Gate(min_loss_gain=0.04))
    yield decide(evaluation(**FAULTS, empty_share=0.3, length_ratio=0.1), Gate(), content(0.2, 0.4))
    yield decide(evaluation(length_ratio=4.0, reloaded=0.5), Gate(), None, Tried(state="served"))
    yield decide(evaluation(withheld=WITHHELD, reloaded=None), Gate())
    yield Decision.refused("direct", "base", "this adapter is the champion already")


@pytest.mark.parametrize("decision", list(verdicts()))
def test_no_english_is_left_of_a_verdict_and_its_reasons(decision: Decision) -> None:
    for english in (decision.summary, *decision.reasons):
        chinese = say_sentence(english, "zh")
        assert set(re.findall("[A-Za-z]{3,}", chinese)) <= NAMES, english
        figures = re.compile(r"(?<![a-z])\d[\d.]*(?!-word)")
        assert sorted(figures.findall(chinese)) == sorted(figures.findall(english.replace("-v3", " 3")))


def test_a_verdict_keeps_its_figures() -> None:
    assert say_sentence(decide(evaluation(), Gate()).summary, "zh") == (
        "晋级：优于冠军（版本 3）（文风 +0.10 [+0.08, +0.12]；对作者回答的损失 -0.100 [-0.120, -0.080] nats/词元），"
        "各项限制都满足，共 200 个问题。"
    )
    assert say_sentence(decide(evaluation(rep4=0.48, empty_share=0.3), Gate()).summary, "zh") == (
        "不晋级：它自我重复（重复的四词片段 48.0%，上限 6.0%）；它什么也没说（空回答 30.0%，上限 2.0%）。"
    )


def test_a_verdict_of_an_earlier_version_is_read_as_well() -> None:
    recorded = (
        "Promote: better than base (style +1.13 [+0.98, +1.27], grammar +0.61 [+0.40, +0.83]) and within every limit, "
        "on 24 questions. These are few: the report shows the answers themselves."
    )
    assert say_sentence(recorded, "zh") == (
        "晋级：优于原模型（文风 +1.13 [+0.98, +1.27]，语法 +0.61 [+0.40, +0.83]），各项限制都满足，共 24 个问题。"
        "问题不多，请在报告里看回答本身。"
    )
    assert say_sentence(recorded, "en") == recorded


@pytest.mark.parametrize("total", [None, 5, 3, 2])
def test_what_a_night_collected_is_said(total: int | None) -> None:
    tally = Tally(pages=1, new=3, site_total=total, excerpts_checked=8, excerpts_failed=1, skipped_items=2)
    assert not re.search("[A-Za-z]", say_sentence(_statement(4, 1, tally), "zh").replace("--full", ""))


def test_what_an_answer_costs_is_said(tmp_path: Path) -> None:
    for writer in (make_writer(), make_writer(budget={"input_price": "1", "output_price": "2", "cap": "3"})):
        assert not re.search("[A-Za-z]", say_sentence(typical_cost(writer, Home(tmp_path)), "zh"))


@pytest.mark.parametrize("words", [words for _, state, _, told, (_, words) in RUNS if state != "failed" and not told])
def test_how_a_run_ended_is_said(words: str) -> None:
    assert not re.search("[A-Za-z]", say_sentence(words, "zh").replace("estimate_cost", ""))


def test_a_failure_that_left_no_words_names_its_tasks() -> None:
    failed = "train, measure failed. The log of the task says why."
    assert say_sentence(failed, "zh") == "训练，评分失败，原因见任务日志。"


SHOWN = ("MlflowSilent", "GatewayError", "HTTPException", "ComparisonUnknown", "VotedAlready")


def raised() -> Iterator[str]:
    """The text of every error that the page shows as it is, with `X` and a number for what is filled in."""
    folders = ("page", "votes")
    files = [path for folder in folders for path in (ROOT / "plugins/ghostwriter" / folder).glob("*.py")]
    for path in [*files, ROOT / "plugins/ghostwriter/mlflow_runs/registry.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SHOWN:
                texts = [argument for argument in node.args if isinstance(argument, ast.Constant | ast.JoinedStr)]
                yield from (filled(text) for text in texts if not isinstance(text, ast.Constant) or isinstance(text.value, str))


def filled(text: ast.Constant | ast.JoinedStr) -> str:
    parts = text.values if isinstance(text, ast.JoinedStr) else [text]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in parts)


@pytest.mark.parametrize("english", sorted(set(raised())))
def test_every_refusal_and_banner_of_the_page_is_said(english: str) -> None:
    assert re.search("[\u4e00-\u9fff]", say_sentence(english, "zh"))


def test_banners_of_archive_and_votes_are_said() -> None:
    assert say_sentence("The archive cannot be read (OperationalError).", "zh") == "无法读取存档（OperationalError）。"
    assert say_sentence("The votes cannot be read (OperationalError).", "zh") == "无法读取投票（OperationalError）。"


def test_a_persons_own_words_stay() -> None:
    for words in ("it loops", "Teacher said: 402; no credit, sorry", "", "重复太多"):
        assert say_sentence(words, "zh") == words
