"""Readers' files into the result of their panel, kept beside its page."""

from collections.abc import Sequence
from pathlib import Path

from ghostwriter.files import write_durably
from ghostwriter.home import Home
from ghostwriter.panel.answer_file import read_answer_files
from ghostwriter.panel.ballot import ballots_of
from ghostwriter.panel.figures import PanelResult, sum_up
from ghostwriter.panel.key import Key, find_key
from ghostwriter.panel.summary import summary_markdown

RESULT_FILE, WORDS_FILE = "result.json", "result.md"


def read_panel(home: Home, stem: str, paths: Sequence[Path]) -> tuple[Key, PanelResult]:
    """All files of one panel, every time: what was read before is replaced. Raises PanelError for a file that cannot be used."""
    files = read_answer_files(paths)
    key = find_key(home, stem, files[0].panel)
    result = sum_up(key.panel, len(key.trials), ballots_of(key, files))
    folder = home.panels(stem) / key.panel
    for name, text in ((RESULT_FILE, result.model_dump_json(indent=1)), (WORDS_FILE, summary_markdown(result, names=True))):
        write_durably(folder / name, text.encode())
        (folder / name).chmod(0o600)
    return key, result
