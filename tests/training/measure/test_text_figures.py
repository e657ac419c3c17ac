"""All that texts alone say of real answers."""

import subprocess
import sys

from tests.training.conftest import ROOT, environment

MEASURE = """
import json
from pathlib import Path
from training.measure.contrast import built_in
from training.measure.measures import scores
from training.measure.text_figures import Texts, text_figures

rows = Path("demo/corpus/lamplight.jsonl").read_text(encoding="utf-8").splitlines()[:60]
texts = [json.loads(row)["answer"] for row in rows]
answers = {"writer": texts[:8], "base": [text[::-1] for text in texts[:8]], "distilled": texts[8:16]}
finished = {name: (True,) * len(given) for name, given in answers.items()}
twins = {place: text.upper() for place, text in enumerate(texts[16:30])}
given = Texts(texts[16:], texts[8:30], twins, built_in("en")[:80], "en", answers, finished)
found = text_figures(given, 0)
measured = {arm: {name: one.model_dump() for name, one in figures.items()} for arm, figures in scores(found.measured, 0).items()}
assert {"style", "style_grammar", "foreign_phrases"} <= measured["distilled"].keys()
print(json.dumps([measured, found.phrases, found.views.separation]))
"""


def test_every_process_finds_the_same_to_the_last_bit() -> None:
    """Also where a set has another order, and so a sum in that order another last bit."""
    environments = ({**environment(), "PYTHONHASHSEED": seed} for seed in ("1", "2"))
    command = [sys.executable, "-c", MEASURE]
    both = [subprocess.Popen(command, cwd=ROOT, env=one, stdout=subprocess.PIPE, text=True) for one in environments]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert said[0] and said[0] == said[1]
