"""How long an evaluation takes: `python -m benchmarks.evaluation`, after `python -m benchmarks.planted_adapters` has trained its adapters.

The demo writer's questions (again in other words where there are not enough) go to the base, the base with three examples, and
three adapters, with the demo's limit of new tokens; nothing is known of any answer. Prints the time of each arm and of the whole.
"""

import argparse
import logging
import tempfile
import time
from pathlib import Path

from benchmarks.planted_adapters import BASE, ROOT, corpus, train_all, write_dataset
from training.contract import ArmRequest, EvaluateRequest
from training.measure.evaluate import evaluate, measure
from training.signals import StopFlag

ADAPTERS = ("better", "champion", "equal")


class Clock(logging.Filter):
    """Gives each line the processor time of this process so far, which other work on the machine hardly changes."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.processor = time.process_time()
        return True


def main() -> None:
    """Evaluate once, in a folder that is thrown away."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=ROOT / "var" / "planted", help="where planted_adapters keeps its own")
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--max-new-tokens", type=int, default=64)
    options = parser.parse_args()
    trained = train_all(options.home)
    training, heldout = corpus()
    pairs = [*heldout, *training]
    asked = [*pairs, *((f"Tell me, please: {question}", answer) for question, answer in pairs)][: options.questions]
    with tempfile.TemporaryDirectory() as scratch:
        models = Path(scratch) / "models"
        models.mkdir()
        for weights in (options.home / "models").iterdir():
            if (weights / "config.json").exists():
                (models / weights.name).symlink_to(weights.resolve())
        request = EvaluateRequest(
            run_folder=Path(scratch) / "run",
            dataset=write_dataset(Path(scratch) / "dataset", training, asked),
            base=BASE,
            arms=(
                ArmRequest(name="base"),
                ArmRequest(name="few-shot", examples=3),
                *(ArmRequest(name=name, adapter=trained[name]) for name in ADAPTERS),
            ),
            candidate=ADAPTERS[0],
            questions=options.questions,
            max_new_tokens=options.max_new_tokens,
            cut_answers=True,
            models=models,
        )
        evaluate(request, StopFlag())
        result = measure(request, StopFlag())
    print(
        f"{result.questions} questions x {len(request.arms)} arms, {options.max_new_tokens} new tokens at most: {result.seconds:.0f} s,"
        f" {time.process_time():.0f} s of processor time; plain peft gave {result.reloaded:.0%} of the answers tried again"
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s  %(processor)6.1f s of processor time  %(message)s")
    logging.getLogger().handlers[0].addFilter(Clock())
    main()
