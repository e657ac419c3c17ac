"""Each measure of texts at the article's size: `python -m benchmarks.measures`, in the training environment.

3,000 answers of the writer and 10,000 of a teacher, 500 plain rewrites, 200 questions, six arms and the writer, 2,000 texts of other
people, all invented (benchmarks/parts/authors.py), Chinese and English. One line a measure: seconds of processor time and peak memory, at a
quarter of the size and at the whole, after an empty run. The whole chain is benchmarks/full_size.py.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.parts.authors import Author
from training.measure.degeneration import degeneration
from training.measure.memorisation import memorisation
from training.measure.phrases import find_phrases
from training.measure.style import Style, style
from training.measure.style_grammar import grammar_style
from training.measure.text_figures import Texts

ROOT = Path(__file__).parents[1]
WRITER, TEACHER, TWINS, QUESTIONS, OTHERS, ARMS = 3000, 10_000, 500, 200, 2000, 6
FEWEST = 2
"""Texts of each kind in the run that is as good as empty: with ten, of fifty at a quarter, 4.75 was no growth at all."""
SIZES = (0.0, 0.25, 1.0)
MOST_GROWTH = 5.5
"""Of a measure's time, from a quarter of the size to the whole."""
MEASURES = ("degeneration", "memorisation", "phrases", "style", "style_grammar")


def texts_of(language: str, size: float) -> Texts:
    """All texts by whose they are; the arms write as the writer does. The grammars find none here, and work as long."""
    writer, teacher, others = (Author(seed, language) for seed in (1, 2, 3))

    def some(author: Author, count: int) -> list[str]:
        return author.texts(max(FEWEST, int(count * size)))

    answers = {name: some(writer, QUESTIONS) for name in ("writer", "base", *(f"arm {number}" for number in range(1, ARMS)))}
    return Texts(
        training=some(writer, WRITER),
        teacher=some(teacher, TEACHER),
        twins=dict(enumerate(some(teacher, TWINS))),
        others=some(others, OTHERS),
        language=language,
        answers=answers,
        finished={name: [True] * len(of_arm) for name, of_arm in answers.items()},
    )


def run_measure(name: str, language: str, size: float) -> dict[str, float]:
    """Seconds of processor time and peak memory (GiB) of one measure in this process."""
    texts = texts_of(language, size)
    began = time.process_time()
    if view := measure(name, texts):
        print(view.withheld, file=sys.stderr)
    return {"seconds": time.process_time() - began, "gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def measure(name: str, texts: Texts) -> Style | None:
    """Take one measure of all arms; returns a view of style."""
    writer, base = texts.answers["writer"], texts.answers["base"]
    arms = {arm: answers for arm, answers in texts.answers.items() if arm != "writer"}
    if name == "style":
        return style(texts.training, texts.others, writer, base, arms, list(texts.twins.values()))
    if name == "style_grammar":
        return grammar_style(texts.training, texts.others, writer, base, arms, texts.twins)
    if name == "memorisation":
        memorisation(texts.answers, [*texts.training, *texts.teacher])
    elif name == "degeneration":
        for arm, answers in texts.answers.items():
            degeneration(answers, texts.finished[arm], writer)
    else:
        phrases = find_phrases(texts.training, [*base, *texts.teacher], [*base, *texts.others], texts.language)
        for answers in texts.answers.values():
            phrases.measures(answers)
    return None


def measured(name: str, language: str, size: float) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.measures", "--one", name, language, str(size)]
    found: dict[str, float] = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    return found


def main() -> None:
    """Print the table; exit status 1 when a measure grows faster than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=3, metavar=("MEASURE", "LANGUAGE", "SIZE"), help="one measure, in this process")
    options = parser.parse_args()
    if options.one:
        name, language, size = options.one
        print(json.dumps(run_measure(name, language, float(size))))
        return
    too_fast = []
    for language in ("zh", "en"):
        for name in MEASURES:
            empty, quarter, whole = (measured(name, language, size) for size in SIZES)
            growth = (whole["seconds"] - empty["seconds"]) / max(1e-9, quarter["seconds"] - empty["seconds"])
            print(
                f"{language} {name:13} a quarter {quarter['seconds']:6.1f} s {quarter['gib']:5.2f} GiB"
                f"   the whole {whole['seconds']:6.1f} s {whole['gib']:5.2f} GiB   growth {growth:.1f}",
                flush=True,
            )
            too_fast += [name] if growth > MOST_GROWTH and whole["seconds"] > 1 else []
    sys.exit(1 if too_fast else 0)


if __name__ == "__main__":
    main()
