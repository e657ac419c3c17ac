"""What is tried on a card, each by the stages' own commands: a training that is killed and goes on, and the reload check."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from training.answer.generate import Answer, answer_batch
from training.answer.reload import compare, reloaded_share, sample, tolerance
from training.contract import RESULT_FILE, Recipe, TrainRequest, TrainResult, read_json, write_json
from training.errors import TrainingError
from training.models.model import Base, attached, load_adapter
from training.rows.data import read_messages

QUESTIONS = 20
TOLD = ("About ", "Checkpoint after ", "Saved the adapter", "Out of memory", "Forward path")
"""How the lines of a training's log begin that belong into the text."""


@dataclass(frozen=True)
class Trained:
    """What a training that was killed on its way came to."""

    result: TrainResult
    killed_after: int
    gone_on_after: int
    tokens_per_second: float
    peak_gib: float
    said: list[str]
    """What its log says of checkpoints, the adapter and memory."""


def train_killed(request: TrainRequest, kill_after: int) -> Trained:
    """Train as a launcher does, kill the process once it has done so many steps and has a checkpoint, and train again.

    Raises TrainingError when the training ends before, or ends badly.
    """
    request.run_folder.mkdir(parents=True, exist_ok=True)
    path = request.run_folder / "request.json"
    write_json(request, path)
    log = request.run_folder / "log.txt"
    child = _start(path, log)
    checkpoints = request.run_folder / "checkpoints"
    while child.poll() is None and (_steps(request.run_folder) < kill_after or not list(checkpoints.glob("step-??????"))):
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    if child.wait() == 0:
        raise TrainingError(f"The training ended before it could be killed after step {kill_after}: give it more --steps.")
    killed_after = _steps(request.run_folder)
    if _start(path, log).wait() or not (request.run_folder / RESULT_FILE).exists():
        last = "\n".join(log.read_text(encoding="utf-8").splitlines()[-5:])
        raise TrainingError(f"The training ended badly; its last words in {log}:\n{last}")
    lines = log.read_text(encoding="utf-8").splitlines()
    said = [line for line in lines if line.startswith("Going on after step ")]
    return Trained(
        result=read_json(TrainResult, request.run_folder / RESULT_FILE),
        killed_after=killed_after,
        gone_on_after=int(said[-1].split()[4]) if said else 0,
        tokens_per_second=max(figures(request.run_folder, "train/tokens_per_second"), default=0.0),
        peak_gib=max(figures(request.run_folder, "system/gpu_memory_peak_gib"), default=0.0),
        said=[line for line in lines if line.startswith(TOLD)],
    )


def figures(run_folder: Path, name: str) -> list[float]:
    """All values of a figure that a training told, in order."""
    lines = (run_folder / "outbox.jsonl").read_text(encoding="utf-8").splitlines()
    entries = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    return [entry["values"][name] for entry in entries if entry["kind"] == "metrics" and name in entry["values"]]


def _start(request: Path, log: Path) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with log.open("ab") as file:
        return subprocess.Popen([sys.executable, "-m", "training", "train", str(request)], stdout=file, stderr=file, env=environment)


def _steps(run_folder: Path) -> int:
    path = run_folder / "outbox.jsonl"
    return path.read_text(encoding="utf-8").count('"train/loss"') if path.exists() else 0


def answer(base: Base, adapter: Path, dataset: Path, *, tokens: int, questions: int = QUESTIONS) -> tuple[Any, list[Answer], float]:
    """Prompts, greedy answers with the adapter, and how many tokens a second that was."""
    conversations = [messages for _, messages in read_messages(dataset, ["heldout.jsonl"])][:questions]
    prompts = [base.chat.prompt(messages[:-1]) for messages in conversations]
    with attached(base, adapter) as model:
        answer_batch(model, base, prompts[:2], [4, 4])  # loads kernels
        began = time.monotonic()
        answers = answer_batch(model, base, prompts, [tokens] * len(prompts))
        seconds = time.monotonic() - began
    return prompts, answers, sum(each.tokens for each in answers) / seconds


def reload_shares(base: Base, adapter: Path, prompts: Any, answers: list[Answer]) -> dict[str, float]:
    """Shares that the reload check gives: for the adapter, with half its scaling, and with one wrong token in every answer tried."""
    config = adapter / "adapter_config.json"
    right = config.read_bytes()
    shares = {"good": reloaded_share(base, adapter, prompts, answers)}
    facts = json.loads(right)
    try:
        config.write_text(json.dumps({**facts, "lora_alpha": facts["lora_alpha"] / 2}), encoding="utf-8")
        shares["wrong scaling"] = reloaded_share(base, adapter, prompts, answers)
    finally:
        config.write_bytes(right)
    shares["one wrong token"] = reloaded_share(base, adapter, prompts, [_spoilt(each) for each in answers])
    return shares


def gap_facts(base: Base, adapter: Path, prompts: Any, answers: list[Answer]) -> dict[str, float]:
    """How far scored tokens are behind plain peft's first choice, and what the check takes for rounding, in nats."""
    answered = sample(prompts, answers, base.chat.end_id)
    model = load_adapter(base, adapter)
    try:
        first, second = (compare(model, answered, attention) for attention in ("sdpa", "eager"))
    finally:
        model.unload()
    gaps = torch.cat([each.gap for each in first])
    over = float((gaps > 0.25).float().mean())
    facts = {"tokens": len(gaps), "furthest behind": float(gaps.max()), "over 0.25": over}
    return {**facts, "allowed": tolerance(first, second, base.model.dtype)}


def _spoilt(right: Answer) -> Answer:
    """The answer with one token in its middle replaced by the next number."""
    place = len(right.ids) // 2
    ids = [*right.ids[:place], (right.ids[place] + 1) % 200, *right.ids[place + 1 :]] if right.ids else right.ids
    return Answer(right.text, ids, right.finished)


def style_recipe(recipe: Recipe, base: str, **changes: object) -> Recipe:
    """A recipe on the random base, of few steps, each told, with checkpoints early enough to be killed after one."""
    return recipe.model_copy(update={"base": base, "log_steps": 2, **changes})
