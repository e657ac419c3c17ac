"""Other abilities by tasks of lm-eval (EleutherAI's harness): an optional extra, installed with requirements/lm-eval.txt.

A task is named as lm-eval names it (`arc_easy`; its data come from a hub), or by a YAML file in lm-eval's format, whose data may
be local: docs/lm_eval_task.yaml is one.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from training.errors import TrainingError
from training.models.model import Base

PACKAGE, INSTALL = "lm-eval", "requirements/lm-eval.txt"
BATCH = 8


def require(tasks: Sequence[str]) -> None:
    """Raise TrainingError unless every task can be found. Without tasks nothing is needed."""
    if not tasks:
        return
    try:
        version(PACKAGE)
    except PackageNotFoundError:
        raise TrainingError(
            f"The evaluation asks for {', '.join(tasks)} of lm-eval, which is not installed in the training environment. Install it: "
            f"`.venv-training/bin/python requirements/uv.py pip install --python .venv-training -r {INSTALL}`. Or leave lm_eval out of "
            "the writer file."
        ) from None
    files = [task for task in tasks if is_file(task)]
    known = set(_manager(named=True).all_tasks) if len(files) < len(tasks) else set()
    missing = [task for task in tasks if not (Path(task).exists() if task in files else task in known)]
    if missing:
        raise TrainingError(
            f"lm-eval has no task {', '.join(missing)}. `python -m lm_eval ls tasks` lists its tasks; a file ends in .yaml."
        )


def is_file(task: str) -> bool:
    """Whether a task is named by its YAML file."""
    return task.endswith((".yaml", ".yml"))


def identity(task: str) -> list[str]:
    """What decides a task's figures, beside the model."""
    return [version(PACKAGE), task, Path(task).read_text(encoding="utf-8") if is_file(task) else ""]


def run_task(model: Any, base: Base, task: str) -> dict[str, list[float]]:
    """`task/metric` to one figure a question; of a group of tasks, all of its tasks. Raises TrainingError when it has no data."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    language_model = HFLM(pretrained=model, tokenizer=base.tokenizer, batch_size=BATCH)
    try:
        found = simple_evaluate(model=language_model, tasks=[task], task_manager=_manager(named=not is_file(task)), bootstrap_iters=0)
    except (OSError, ValueError) as error:
        raise TrainingError(f"lm-eval cannot run the task {task}: {error}") from error
    return {f"{name}/{metric}": values for name, samples in found["samples"].items() for metric, values in _figures(samples).items()}


def _figures(samples: Sequence[Mapping[str, Any]]) -> dict[str, list[float]]:
    """Metric to one figure a question, in the task's order; metrics that are no single number are left out."""
    ordered = sorted(samples, key=lambda sample: int(sample["doc_id"]))
    names = [name for name in ordered[0]["metrics"] if all(isinstance(sample[name], int | float) for sample in ordered)]
    return {name: [float(sample[name]) for sample in ordered] for name in names}


def _manager(*, named: bool) -> Any:
    """lm-eval's finder of tasks; with `named` it first reads the thousands of files of its own tasks."""
    from lm_eval.tasks import TaskManager

    return TaskManager(include_defaults=named)
