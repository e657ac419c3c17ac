"""New answers appear on the site as soon as their file is there."""

from pathlib import Path

from rich.console import Console

from demo.__main__ import STEM, news_file, publish_news
from demo.site import load_corpus
from ghostwriter.home import ROOT, Home


def test_three_new_answers_appear_and_only_once(tmp_path: Path) -> None:
    home, corpus = Home(tmp_path), ROOT / "demo" / "corpus" / f"{STEM}.jsonl"
    before = load_corpus(corpus, "odessa", news_file(home))
    for _ in range(2):
        publish_news(Console(quiet=True), home)
    after = load_corpus(corpus, "odessa", news_file(home))
    assert (len(before), len(after)) == (206, 209)
    assert [item["id"] for item in after[3:]] == [item["id"] for item in before], "the new ones are the newest"
