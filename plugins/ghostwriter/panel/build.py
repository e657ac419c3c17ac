"""A panel on the disk: the page for readers, and beside it the key that says which side was whose, for its owner alone.

    panels/WRITER/ID/panel.html   what readers are given; nothing in it depends on what an arm is called
    panels/WRITER/ID/key.json     arms by trial and side (mode 0600), and where each arm's answers come from
    panels/WRITER/ID/result.json  what the readers' files said when they were read last, and the same in words in result.md

The id is the digest of all that is shown: the same answers and seed give the same panel, on which readers may be at work.
"""

import base64
import json
import random
import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from ghostwriter.errors import PanelError
from ghostwriter.files import make_folder, write_durably
from ghostwriter.home import Home
from ghostwriter.judging.gate import BASE
from ghostwriter.panel.answer_file import FORMAT
from ghostwriter.panel.key import KEY_FILE, Key, KeyTrial
from ghostwriter.panel.sources import Material
from ghostwriter.panel.trials import Drawn, Trial, draw, known_texts
from ghostwriter.writer import Writer

PAGE_FILE = "panel.html"
LEAST_TRIALS = 10
MOST_KNOWN = 200
"""Texts known to be the writer's, of perhaps thousands, that are looked at."""
TEMPLATE = Path(__file__).with_name("page.html")


def build_panel(home: Home, writer: Writer, material: Material, known: Sequence[str], number: int, seed: int) -> tuple[Path, Drawn]:
    """Write page and key; returns the page's path and what it shows. Raises PanelError when the questions do not suffice."""
    if number < LEAST_TRIALS:
        raise PanelError(f"{number} rounds say too little: a panel has {LEAST_TRIALS} at least, and 30 or more show something.")
    drawn_from = random.Random(f"{seed} known").sample(list(known), min(len(known), MOST_KNOWN))
    examples = known_texts(drawn_from, writer.language)
    if not examples:
        raise PanelError(f"There is no answer of {writer.name} among the {len(known)} of the training split that readers could be shown.")
    if not material.rows:
        raise PanelError(
            "There is no question that all of these arms answered. Name arms of one evaluation, or versions examined on the same questions."
        )
    drawn = draw(material.rows, material.arms, examples, writer.language, number, seed)
    if len(drawn.trials) < LEAST_TRIALS:
        raise PanelError(
            f"{len(material.rows)} held-out questions give {len(drawn.trials)} pairs, and a panel needs {LEAST_TRIALS}; "
            f"{drawn.unmatched} pairs of texts could not be brought to like lengths. "
            "Hold out more questions (`heldout_share` or `questions` under [evaluation])."
        )
    shown = {"name": writer.name, "language": writer.language, "trials": [_shown(place, trial) for place, trial in enumerate(drawn.trials)]}
    panel = sha256(json.dumps([writer.stem, shown], sort_keys=True).encode()).hexdigest()[:12]
    folder = home.panels(writer.stem) / panel
    make_folder(folder)
    folder.chmod(0o700)
    _write_key(Key(panel=panel, writer=writer.stem, arms=material.origins, trials=_key(drawn.trials)), folder / KEY_FILE)
    page = page_text({"format": FORMAT, "panel": panel, **shown})
    write_durably(folder / PAGE_FILE, page.encode())
    return folder / PAGE_FILE, drawn


def page_text(data: dict[str, object]) -> str:
    """The page with its data, and a policy that lets it run its own script and reach nothing."""
    text = TEMPLATE.read_text(encoding="utf-8")
    for name, tag in (("STYLE", "style"), ("SCRIPT", "script")):
        code = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(sha256(code[-1].encode()).digest()).decode()
        text = text.replace(f"__{name}__", digest)
    language = {"en": "en", "zh": "zh-CN"}[str(data["language"])]
    embedded = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return text.replace("__LANGUAGE__", language).replace("__DATA__", embedded)


def default_arms(arms: Sequence[str]) -> list[str]:
    """Those worth a reader's time: all but the base, which joins where there would be nothing else to compare with."""
    others = [arm for arm in arms if arm != BASE]
    return others if len(others) > 1 else list(arms)


def _shown(place: int, trial: Trial) -> dict[str, str]:
    return {"id": str(place + 1), "question": trial.question, "known": trial.known, "a": trial.a, "b": trial.b}


def _key(trials: Sequence[Trial]) -> dict[str, KeyTrial]:
    asked = list(dict.fromkeys(trial.question for trial in trials))
    return {
        str(place + 1): KeyTrial(kind=trial.kind, question=asked.index(trial.question), a=trial.arms[0], b=trial.arms[1])
        for place, trial in enumerate(trials)
    }


def _write_key(key: Key, path: Path) -> None:
    unread = path.with_name(path.name + ".unfinished")
    unread.touch(mode=0o600)
    unread.chmod(0o600)
    write_durably(path, (key.model_dump_json(indent=1) + "\n").encode())
