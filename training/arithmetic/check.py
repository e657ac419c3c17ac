"""`python -m training.arithmetic`: the whole multiplication check on this machine.

Run the same command again and it goes on where it stopped.
"""

import argparse
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from training.arithmetic.data import NAME
from training.arithmetic.plan import TABLE_FILE, headline, plan_examination, plan_training
from training.command import guarded, keep_compiled
from training.contract import (
    ExamineRequest,
    ExamineResult,
    MultiplicationData,
    RecipeError,
    Tracking,
    TrainRequest,
    TrainResult,
    load_recipe,
    recipe_names,
)
from training.errors import QuestionError

log = logging.getLogger(__name__)

SUMMARY_JSON, SUMMARY_TEXT = "summary.json", "summary.txt"
GPU_DEFAULTS: dict[str, Any] = {"recipe": "smollm2-135m-arithmetic", **MultiplicationData().model_dump(), "ability": True}
CPU_DEFAULTS: dict[str, Any] = {
    **GPU_DEFAULTS,
    "recipe": "smollm2-135m-arithmetic-cpu",
    "samples": 64,
    "digits": 1,
    "phrasings": 1,
    "reworded_pairs": 0,
    "beyond_pairs": 0,
    "ability": False,
}
"""What `--cpu` stands for: one digit by one digit, two minutes on two cores."""
HELP = {
    "samples": "worked chains to train on",
    "digits": "digits of a factor, at most (1 to 6)",
    "phrasings": "ways of asking to train on (1 to 12); two more are only ever examined",
    "pairs": "unseen pairs to examine; fewer where the digits leave fewer",
    "reworded_pairs": "of these, how many to ask again in each of eight other ways; 0 for none",
    "beyond_pairs": "pairs of numbers with one digit more than in training; 0 for none",
    "seed": "seed of the choice of pairs",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the data, train, examine, print the article's table beside the figures reached; returns the exit status."""
    options = _parser().parse_args(arguments)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> None:
    """The whole check. Raises TrainingError or Stopped."""
    from training.signals import StopFlag
    from training.tracking.run import open_run

    stop, chosen = StopFlag().listen(), _choose(options)
    began = time.monotonic()
    request = _plan(options, chosen)
    keep_compiled(request.models)
    seconds = {"data": time.monotonic() - began}
    log.info("Dataset %s, made in %.1f s; run folder %s", request.dataset, seconds["data"], request.run_folder.parent)
    with open_run(_tracking(options, chosen["recipe"]), request.run_folder.parent) as whole:
        request = request.model_copy(update={"tracking": _child(options, whole.run_id, "train")})
        trained, examination = _train(options, request, chosen["ability"], whole.run_id, stop, seconds)
        if (examination.run_folder / SUMMARY_TEXT).exists():
            log.info("The same check was finished before; nothing is computed again. What it gave:")
            for part in (request, examination):  # MLflow gets what it has not had, if it was not there before
                with open_run(part.tracking, part.run_folder):
                    pass
        else:
            examined = _examine(examination, stop, seconds)
            seconds["whole"] = time.monotonic() - began
            _tell(whole, summarise(chosen, request, trained, examined, seconds), examined, examination.run_folder)
    print((examination.run_folder / SUMMARY_TEXT).read_text(encoding="utf-8"))


def _tell(whole: Any, summary: dict[str, Any], examined: ExamineResult, examination: Path) -> None:
    """Show the summary in the run of the whole check, and write it into the examination's run folder last."""
    whole.params(summary["settings"])
    whole.metrics({**headline(examined), "seconds": summary["seconds"]["whole"]})
    whole.tags({"mlflow.note.content": (examination / TABLE_FILE).read_text(encoding="utf-8")})
    for path in write_summary(summary, examined, examination):
        whole.artifact(path)


def summarise(
    chosen: dict[str, Any], request: TrainRequest, trained: TrainResult, examined: ExamineResult, seconds: dict[str, float]
) -> dict[str, Any]:
    """Everything to be copied into a log: settings, times, figures of training and of each arm and set."""
    return {
        "settings": chosen,
        "recipe": request.recipe.model_dump(mode="json"),
        "device": _device(),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "training": {
            **trained.model_dump(mode="json", include={"rows", "steps", "tokens", "seconds", "first_loss", "last_loss"}),
            "tokens_per_second": round(trained.tokens / trained.seconds) if trained.seconds else 0,
        },
        "examination": examined.model_dump(mode="json", include={"scores", "ability", "pace", "seconds"}),
    }


def write_summary(summary: dict[str, Any], examined: ExamineResult, folder: Path) -> tuple[Path, Path]:
    """Write the summary into an examination's run folder, as JSON, and as text to be read; returns both paths."""
    paths = folder / SUMMARY_JSON, folder / SUMMARY_TEXT
    paths[0].write_text(json.dumps(summary, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    paths[1].write_text(_text(summary, examined, folder), encoding="utf-8")
    return paths


def _text(summary: dict[str, Any], examined: ExamineResult, folder: Path) -> str:
    from training.arithmetic.article import article_table

    training, seconds = summary["training"], summary["seconds"]
    took = ", ".join(f"{name} {value} s" for name, value in seconds.items())
    losses = f"loss {training['first_loss']:.4f} to {training['last_loss']:.6f}"
    carries = list(examined.scores.values())[-1]["unseen"].by_carries
    return "\n".join(
        [
            f"\n{article_table(examined).text()}",
            f"on {summary['device']}: {took}",
            f"training: {training['steps']} steps, {training['tokens']} tokens, {training['tokens_per_second']} tokens/s, {losses}",
            *_speeds(examined),
            "whole chains by carries: " + ", ".join(f"{band}: {share:.3f} of {count}" for band, (count, share) in carries.items()),
            f"{folder / SUMMARY_JSON}",
            f"{folder / 'report.html'}",
        ]
    )


def _speeds(examined: ExamineResult) -> list[str]:
    return [f"  {arm}: {pace.tokens} tokens, {pace.seconds:.1f} s, {pace.per_second} tokens/s" for arm, pace in examined.pace.items()] + [
        f"  {arm} {name}: first errors {score.first_errors}" for arm, sets in examined.scores.items() for name, score in sets.items()
    ]


def _train(
    options: argparse.Namespace, request: TrainRequest, ability: bool, parent: str | None, stop: Any, seconds: dict[str, float]
) -> tuple[TrainResult, ExamineRequest]:
    """Train as `python -m training train` would, and write the request of the examination."""
    from training.fit.train import train

    began = time.monotonic()
    trained = train(request, stop)
    seconds["training"] = time.monotonic() - began
    _free_memory()
    return trained, plan_examination(request, trained, _child(options, parent, "examine"), ability=ability, batch=options.batch)


def _examine(examination: ExamineRequest, stop: Any, seconds: dict[str, float]) -> ExamineResult:
    from training.arithmetic.examine import examine

    began = time.monotonic()
    examined = examine(examination, stop)
    seconds["examination"] = time.monotonic() - began
    return examined


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.arithmetic", description=__doc__)
    parser.add_argument("--cpu", action="store_true", help="other defaults: one digit by one digit, two minutes on two cores")
    parser.add_argument("--recipe", help=f"one of {', '.join(recipe_names())}")
    parser.add_argument("--epochs", type=int, help="rounds through the data (default: the recipe's)")
    for name, text in HELP.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=int, help=f"{text} (default {GPU_DEFAULTS[name]}; --cpu: {CPU_DEFAULTS[name]})"
        )
    parser.add_argument("--batch", type=_one_or_more, help="questions answered at once (default: 512 on a GPU, 32 on a CPU)")
    parser.add_argument("--ability", action=argparse.BooleanOptionalAction, help="probe what else the model can do, before and after")
    parser.add_argument("--out", type=Path, default=Path("var"), help="folder of datasets, runs and models (default: var)")
    parser.add_argument("--models", type=Path, help="folder of base models (default: OUT/models)")
    parser.add_argument("--mlflow", metavar="URI", help="address of an MLflow server to show the run in (default: none)")
    return parser


def _one_or_more(text: str) -> int:
    """The number an option is given; argparse says what it raises."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return int(text)


def _choose(options: argparse.Namespace) -> dict[str, Any]:
    """The options given, over the defaults."""
    defaults = CPU_DEFAULTS if options.cpu else GPU_DEFAULTS
    return {name: default if getattr(options, name) is None else getattr(options, name) for name, default in defaults.items()}


def _plan(options: argparse.Namespace, chosen: dict[str, Any]) -> TrainRequest:
    """The data and the training request. Raises QuestionError in the options' words."""
    try:
        load_recipe(chosen["recipe"])
        data = MultiplicationData.model_validate({name: chosen[name] for name in MultiplicationData.model_fields})
        return plan_training(options.out.resolve(), data, chosen["recipe"], options.epochs, None, options.models)
    except RecipeError as error:
        raise QuestionError(str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        raise QuestionError(f"--{'.'.join(map(str, first['loc'])).replace('_', '-')} {first['input']}: {first['msg']}.") from error


def _tracking(options: argparse.Namespace, recipe: str) -> Tracking | None:
    return Tracking(uri=options.mlflow, experiment=NAME, run_name=recipe) if options.mlflow else None


def _child(options: argparse.Namespace, parent: str | None, name: str) -> Tracking | None:
    return Tracking(uri=options.mlflow, experiment=NAME, run_name=name, parent_run_id=parent) if options.mlflow else None


def _device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"


def _free_memory() -> None:
    """Give the trained model's memory back before the next one is loaded."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
