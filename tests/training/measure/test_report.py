"""The report page holds everything, safely, and its measures have words in both languages."""

import json
import re

import pytest

from training.contract import Estimate, EvaluateResult
from training.measure.measures import HIGHER_IS_BETTER
from training.measure.report import PAGE, report

EVIL = "</script><script>alert('x')</script><b>&"
ONE = Estimate(value=0.5, low=0.4, high=0.6, questions=2)
RESULT = EvaluateResult.model_validate(
    {
        "samples": "samples.jsonl",
        "candidate": "direct",
        "scores": {"base": {"rep4": ONE}, "direct": {"rep4": ONE}, "writer": {"rep4": ONE}},
        "differences": {"base": {"rep4": ONE}, "writer": {"rep4": ONE}},
        "withheld": {"style": "too few"},
        "reloaded": 1.0,
        "questions": 2,
        "run_id": None,
        "seconds": 1.0,
    }
)
SAMPLES = [
    {"question": EVIL, "writer": "风停了。", "base": "a b c d a b c d", "direct": EVIL},
    {"question": "q", "writer": "w", "base": "", "direct": "d"},
]


def data_of(page: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    read: dict[str, object] = json.loads(found.group(1))
    return read


def test_a_text_cannot_end_the_page_s_data() -> None:
    page = report(RESULT, SAMPLES, {})
    assert EVIL not in page and "alert('x')" in page
    assert data_of(page)["samples"] == SAMPLES


def test_the_writer_comes_first_and_the_last_other_arm_is_the_rival() -> None:
    data = data_of(report(RESULT, SAMPLES, {"direct": [0.1, 0.9], "other writers": [0.0]}))
    assert (data["arms"], data["candidate"], data["rival"]) == (["writer", "direct", "base"], "direct", "base")
    assert data["marks"] == {"style": {"direct": [0.1, 0.9]}, "rep4": {"writer": [0.0, 0.0], "base": [0.2, 0.0], "direct": [0.0, 0.0]}}


def test_the_page_loads_nothing_from_elsewhere() -> None:
    text = PAGE.read_text(encoding="utf-8").replace('"http://www.w3.org/2000/svg"', "")  # a name, which no browser fetches
    assert not re.search(r'(src|href)="|https?://|@import|fetch\(', text)


@pytest.mark.parametrize("measure", HIGHER_IS_BETTER)
def test_each_measure_has_words_in_both_languages(measure: str) -> None:
    assert len(re.findall(rf"\b{measure}: \"", PAGE.read_text(encoding="utf-8"))) == 2


def test_the_page_begins_with_the_picture_and_answers_and_the_table_follows() -> None:
    page = report(RESULT, SAMPLES, {})
    places = [page.index(f'id="{part}"') for part in ("scale", "featured", "figures", "list")]
    assert places == sorted(places)


@pytest.mark.parametrize(("questions", "few"), [(2, True), (23, True), (24, False)])
def test_a_report_on_few_questions_says_so_in_both_languages(questions: int, few: bool) -> None:
    page = report(RESULT, SAMPLES[:1] * questions, {})
    assert data_of(page)["few"] is few
    assert "Only {n} held-out questions" in page and "只有 {n} 个留出问题" in page
