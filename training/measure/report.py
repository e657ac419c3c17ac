"""One self-contained HTML page: the table of figures, then each question with the writer's answer and each arm's beside it.

Everything a person types or a model writes goes into the page as data and is shown as text, never as markup.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from training.contract import FEW_QUESTIONS, EvaluateResult
from training.measure.degeneration import repeated_share
from training.measure.measures import HIGHER_IS_BETTER, shown

PAGE = Path(__file__).with_name("report_page.html")
WRITER = "writer"


def report(
    result: EvaluateResult, samples: Sequence[Mapping[str, str]], style: Mapping[str, Sequence[float]], pictures: Sequence[bytes] = ()
) -> str:
    """The page. `samples` have `question`, `writer` and each arm's answer; `style` is arm to one figure a question; pictures are PNG."""
    others = [arm for arm in result.scores if arm not in (WRITER, result.candidate)]
    arms = [WRITER, result.candidate, *others]
    measures = shown(name for figures in result.scores.values() for name in figures)
    data = {
        "arms": arms,
        "candidate": result.candidate,
        "rival": others[-1] if others else "",
        "measures": [{"name": name, "higher": HIGHER_IS_BETTER.get(name)} for name in measures],
        "marks": {
            "style": {arm: [round(float(one), 3) for one in values] for arm, values in style.items() if arm in arms},
            "rep4": {arm: [round(repeated_share(sample[arm]), 3) for sample in samples] for arm in arms},
        },
        "few": len(samples) < FEW_QUESTIONS,
        "samples": list(samples),
        "panel": None,  # what readers say, once they did: ghostwriter.panel.record
        "pictures": ["data:image/png;base64," + base64.b64encode(picture).decode() for picture in pictures],
        **result.model_dump(
            mode="json", include={"scores", "differences", "withheld", "reloaded", "separation", "shuffled", "greedy", "phrases"}
        ),
    }
    return PAGE.read_text(encoding="utf-8").replace("__DATA__", json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"))
