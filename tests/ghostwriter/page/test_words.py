"""The page in Chinese: every word of its templates is there; who gets which language."""

import re
from pathlib import Path

import pytest

from ghostwriter.mlflow_runs.experiment import SCORES
from ghostwriter.mlflow_runs.history import MEASURES
from ghostwriter.page import words
from ghostwriter.page.nights import STAGES
from ghostwriter.page.words import make_templates, measure_in, tongue_of
from ghostwriter.words.catalogue import catalogue
from ghostwriter.writer_settings import Ui
from tests.distill_case import make_writer

TEMPLATES = Path(words.__file__).parent / "templates"


def test_every_word_of_the_templates_is_there_in_chinese() -> None:
    used = {text for path in TEMPLATES.glob("*.html") for text in re.findall(r'_\("(.+?)"[,)]', path.read_text(encoding="utf-8"))}
    assert len(used) > 30
    assert used | set(STAGES.values()) == set(catalogue("zh")["page"])


@pytest.mark.parametrize("measure", [*SCORES, *MEASURES])
def test_the_measures_shown_have_chinese_words(measure: str) -> None:
    assert measure_in("zh", measure) != measure_in("en", measure)


@pytest.mark.parametrize(("accepted", "tongue"), [("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en-GB,zh;q=0.5", "en"), ("", "en"), ("ZH", "zh")])
def test_a_browser_gets_its_first_language(accepted: str, tongue: str) -> None:
    assert tongue_of(accepted) == tongue


def test_a_writers_page_is_in_his_language_unless_his_file_says_otherwise() -> None:
    english, chinese = make_writer("en"), make_writer("zh")
    assert tongue_of("en", [chinese]) == "zh"
    assert tongue_of("en", [chinese, english]) == "en"
    assert tongue_of("zh-CN", [chinese, english]) == "zh"
    assert tongue_of("zh-CN", [chinese.model_copy(update={"ui": Ui(language="en")})]) == "en"
    assert tongue_of("en", [english.model_copy(update={"ui": Ui(language="zh")})]) == "zh"


def test_what_is_filled_in_is_escaped_in_chinese_too() -> None:
    page = make_templates("zh").get_template("refused.html").render(prefix="", mlflow="", silent=["<b>"], words="<script>")
    assert 'lang="zh-CN"' in page
    assert "全部作者" in page
    assert "<script>" not in page
    assert "<b>" not in page


def test_a_banner_and_a_refusal_are_said_in_the_pages_language() -> None:
    page = make_templates("zh").get_template("refused.html")
    shown = page.render(prefix="", mlflow="", silent=["The archive cannot be read (OperationalError)."], words="There is no version 9.")
    assert "无法读取存档（OperationalError）。" in shown and "没有版本 9。" in shown
