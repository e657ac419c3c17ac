"""Prompts are files with three parts, named by their hash."""

from pathlib import Path

import pytest

import ghostwriter.distilling.prompt
import ghostwriter.model_settings
from ghostwriter.distilling.prompt import load_prompt, prompt_names
from ghostwriter.errors import WriterFileError
from ghostwriter.pairs import Pair

EXAMPLES = [Pair(f"a{number}", f"q{number}", f"Question {number}?", f"Answer {number} with {{braces}}.") for number in range(3)]


@pytest.mark.parametrize("name", ["en", "zh"])
def test_a_prompt_shows_the_examples_in_order_and_ends_with_the_question(name: str) -> None:
    content = load_prompt(name).messages("Tess", EXAMPLES, "The fourth?")[-1]["content"]
    places = [content.index(text) for pair in EXAMPLES for text in (pair.question, pair.answer)]
    assert places == sorted(places)
    assert content.rstrip().endswith("The fourth?")
    assert "Tess" in content
    assert "{writer}" not in content and "{question}" not in content


def test_the_hash_changes_with_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _use_folder(tmp_path, monkeypatch)
    text = "# before\nHere.\n\n# example\n{question} {answer}\n\n# after\n{question}\n"
    (tmp_path / "one.md").write_text(text)
    (tmp_path / "two.md").write_text(text.replace("Here.", "There."))
    assert prompt_names() == ["one", "two"]
    assert load_prompt("one").hash != load_prompt("two").hash
    assert load_prompt("one").hash == "c788616029df"


def test_an_unknown_prompt_names_those_there_are() -> None:
    with pytest.raises(WriterFileError, match="no prompt 'fr'; there are: en, zh"):
        load_prompt("fr")


def test_a_prompt_without_a_part_says_which_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _use_folder(tmp_path, monkeypatch)
    (tmp_path / "half.md").write_text("# before\nHere.\n")
    with pytest.raises(WriterFileError, match="has the parts before; it needs, in this order: # before, # example, # after"):
        load_prompt("half")


def _use_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (ghostwriter.distilling.prompt, ghostwriter.model_settings):
        monkeypatch.setattr(module, "PROMPTS", folder)
