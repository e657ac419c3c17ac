"""The language of a page, and templates and measures in it."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from ghostwriter.judging.measure_names import measure_name
from ghostwriter.words.catalogue import Language, say
from ghostwriter.words.sentences import say_sentence
from ghostwriter.writer import Writer


def tongue_of(accepted: str, writers: Sequence[Writer] = ()) -> Language:
    """The language of a page of these writers: Chinese where it is that of all, else English where a writer file says so, else that
    which the browser asks for first in its Accept-Language header."""
    if writers and all(writer.tongue == "zh" for writer in writers):
        return "zh"
    wants_chinese = accepted.strip().lower().startswith("zh")
    return "zh" if wants_chinese and not any(writer.ui.language == "en" for writer in writers) else "en"


def measure_in(tongue: Language, measure: str) -> str:
    """A measure in words of the language."""
    return say(measure_name(measure), tongue)


def make_templates(tongue: Language) -> Environment:
    """The templates in one language. Everything that is filled in is escaped."""
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.i18n"]
    )

    def gettext(text: str) -> str:
        return say(text, tongue)

    def ngettext(one: str, several: str, number: int) -> str:
        return gettext(one if number == 1 else several)

    environment.install_gettext_callables(gettext, ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.filters["words"] = lambda measure: measure_in(tongue, measure)
    environment.filters["sentence"] = lambda text: say_sentence(text, tongue)
    environment.globals["language"] = {"en": "en", "zh": "zh-CN"}[tongue]
    return environment
