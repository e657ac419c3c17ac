"""From a dataset to request files: what the training side is asked to do, decided once and written down.

A run folder is named by the digest of everything its result depends on, so a rerun with the same inputs finds the
finished folder, and one with other inputs cannot mistake it for its own.
"""

import hashlib
from pathlib import Path

from ghostwriter.errors import CorpusTooSmall
from ghostwriter.home import Home
from ghostwriter.promote import same_adapter
from ghostwriter.snapshot import read_manifest
from ghostwriter.writer import Writer
from training.contract import (
    HELDOUT_FILE,
    REQUEST_FILE,
    RESULT_FILE,
    TRAINING_FILES,
    Arm,
    ArmRequest,
    EvaluateRequest,
    Frozen,
    Recipe,
    Tracking,
    TrainRequest,
    TrainResult,
    read_json,
    write_json,
)


def request_training(home: Home, writer: Writer, dataset: Path, arm: Arm, recipe: Recipe, tracking: Tracking) -> Path:
    """Write the request that trains `arm` on a finished dataset; returns its path. Raises SnapshotError or CorpusTooSmall."""
    manifest = read_manifest(dataset)
    for name in TRAINING_FILES[arm]:
        if not manifest.files.get(name) or not manifest.files[name].rows:
            raise CorpusTooSmall(f"{dataset} has no rows in {name}, which arm {arm!r} trains on. Distil first, or choose another arm.")
    run_folder = home.runs(writer.stem) / _digest(manifest.digest, arm, recipe.model_dump_json())
    request = TrainRequest(run_folder=run_folder, dataset=dataset, arm=arm, recipe=recipe, models=home.models, tracking=tracking)
    return _write_request(request, run_folder)


def request_evaluation(home: Home, writer: Writer, training_request: Path, champion: tuple[str, Path] | None, tracking: Tracking) -> Path:
    """Write the request that examines the adapter of a finished training beside the base and the champion (its name and adapter folder)."""
    training = read_json(TrainRequest, training_request)
    adapter = read_json(TrainResult, training.run_folder / RESULT_FILE).adapter
    arms = [ArmRequest(name="base"), ArmRequest(name=training.arm, adapter=adapter)]
    if champion and not same_adapter(champion[1], adapter):
        arms.append(ArmRequest(name=champion[0], adapter=champion[1]))
    settings = writer.evaluation
    names = ",".join(arm.name for arm in arms)
    run_folder = training.run_folder / f"evaluation-{_digest(names, settings.model_dump_json())}"
    request = EvaluateRequest(
        run_folder=run_folder,
        dataset=training.dataset,
        base=training.recipe.base,
        revision=training.recipe.revision,
        precision=training.recipe.precision,
        arms=tuple(arms),
        questions=min(settings.questions, read_manifest(training.dataset).files[HELDOUT_FILE].rows),
        max_new_tokens=settings.max_new_tokens,
        models=home.models,
        tracking=tracking,
    )
    return _write_request(request, run_folder)


def _write_request(request: Frozen, run_folder: Path) -> Path:
    run_folder.mkdir(parents=True, exist_ok=True)
    path = run_folder / REQUEST_FILE
    write_json(request, path)
    return path


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
