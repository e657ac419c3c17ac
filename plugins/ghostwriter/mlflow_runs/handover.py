"""From a dataset to request files: what the training side is asked to do, decided once and written down.

A run folder is named by the digest of everything its result depends on, so a rerun with the same inputs finds the
finished folder, and one with other inputs cannot mistake it for its own.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from ghostwriter.errors import CorpusTooSmall, SnapshotError
from ghostwriter.files import write_durably
from ghostwriter.home import Home
from ghostwriter.judging.gate import BASE
from ghostwriter.judging.promote import Champion, adapter_digest
from ghostwriter.modes import MODE_OF_ARM
from ghostwriter.pairs import Pair
from ghostwriter.snapshot import read_manifest, read_rows
from ghostwriter.writer import Writer
from training.contract import (
    HELDOUT_FILE,
    INVERSE_FILE,
    PREFERRING,
    REQUEST_FILE,
    RESULT_FILE,
    TRAINING_FILES,
    VOTES_FILE,
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

FEW_SHOT = "few-shot"
TWO_PASS = "-two-pass"
ONE_MODE = ("distilled", "self-instruct", "distilled-top", "distilled-random")
"""Arms that train on nothing but the answers of one mode of distillation."""


def request_training(
    home: Home, writer: Writer, dataset: Path, arm: Arm, recipe: Recipe, tracking: Tracking, champion: Champion | None = None
) -> Path:
    """Write the request that trains `arm` on a finished dataset; returns its path. Raises SnapshotError or CorpusTooSmall.

    With `warm_steps` in the recipe it starts from the champion, if the recipe can go on with that.
    """
    manifest = read_manifest(dataset)
    for name in TRAINING_FILES[arm]:
        if not manifest.files.get(name) or not manifest.files[name].rows:
            raise CorpusTooSmall(
                f"{dataset} has no rows in {name}, which arm {arm!r} trains on. "
                f"Distil in mode {MODE_OF_ARM[arm]!r} first, or choose another arm."
            )
    made = manifest.facts.get("mode", arm)
    if arm in ONE_MODE and made in ONE_MODE and MODE_OF_ARM[arm] != made:
        raise SnapshotError(
            f"The answers in {dataset} are {made}, so arm {arm!r} cannot train on them. Distil in mode {MODE_OF_ARM[arm]!r} first."
        )
    start = champion.adapter if champion and recipe.warm_steps and can_continue(champion, recipe) else None
    votes = _votes(home, writer, dataset) if arm in PREFERRING else ""
    run_folder = home.runs(writer.stem) / _digest(*_inputs(manifest.digest, arm, recipe, start), *([votes] if votes else []))
    request = TrainRequest(
        run_folder=run_folder, dataset=dataset, arm=arm, recipe=recipe, start=start, models=home.models, tracking=tracking
    )
    path = _write_request(request, run_folder)
    if votes:
        write_durably(run_folder / VOTES_FILE, votes.encode())
    return path


def _votes(home: Home, writer: Writer, dataset: Path) -> str:
    """What people preferred, as TRL's rows; without votes on anything like a held-out question or answer of the dataset."""
    from ghostwriter.database import open_database  # not at the top: a DAG file that is read loads neither SQLAlchemy nor numpy
    from ghostwriter.votes.export import export_votes
    from ghostwriter.votes.records import all_votes

    rows = read_rows(dataset, HELDOUT_FILE)
    heldout = [Pair(row["id"], row["question_id"], *(message["content"] for message in row["messages"])) for row in rows]
    engine = open_database(home.database_url)
    try:
        found = export_votes(all_votes(engine, writer.stem), heldout, "preference")
    finally:
        engine.dispose()
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found.rows)


def request_evaluation(
    home: Home, writer: Writer, trainings: Sequence[Path], champion: Champion | None, tracking: Tracking, *, few_shot: bool = False
) -> Path:
    """Write the request that examines adapters of finished trainings of one recipe, the first as the candidate; returns its path.

    Beside them stand the base, the base with examples in its prompt if `few_shot`, and the champion: unless it is one of them, or
    was trained on another base, which one evaluation cannot hold. With `few_shot` arms that learned from notes stand there twice: as
    they are served, in one pass, and in two, with the base's own draft as notes.
    """
    trained = [read_json(TrainRequest, path) for path in trainings]
    first, recipe = trained[0], trained[0].recipe
    arms = [ArmRequest(name=BASE)]
    if few_shot:
        arms.append(ArmRequest(name=FEW_SHOT, examples=writer.teacher.examples))
    for each in trained:
        adapter = read_json(TrainResult, each.run_folder / RESULT_FILE).adapter
        arms.append(ArmRequest(name=each.arm, adapter=adapter))
        if few_shot and INVERSE_FILE in TRAINING_FILES[each.arm]:
            arms.append(ArmRequest(name=each.arm + TWO_PASS, adapter=adapter, notes="draft"))
    digests = {adapter_digest(arm.adapter) for arm in arms if arm.adapter}
    if champion and same_base(champion, recipe) and adapter_digest(champion.adapter) not in digests:
        arms.append(ArmRequest(name=champion.name, adapter=champion.adapter))
    settings = writer.evaluation
    names = ",".join(arm.name for arm in arms)
    unchanged = None if settings.greedy else {"greedy"}  # so that an evaluation of an earlier version keeps its folder
    how = (settings.model_dump_json(exclude=unchanged), writer.answering.model_dump_json())
    digest = _digest(*(each.run_folder.name for each in trained), names, *how)
    run_folder = first.run_folder / f"evaluation-{digest}"
    request = EvaluateRequest(
        run_folder=run_folder,
        dataset=first.dataset,
        base=recipe.base,
        revision=recipe.revision,
        precision=recipe.precision,
        arms=tuple(arms),
        candidate=first.arm,
        questions=min(settings.questions, read_manifest(first.dataset).files[HELDOUT_FILE].rows),
        max_new_tokens=settings.max_new_tokens,
        cut_answers=settings.cut_answers,
        answering=writer.answering,
        greedy=settings.greedy,
        ability=settings.ability,
        lm_eval=settings.lm_eval,
        models=home.models,
        tracking=tracking,
    )
    return _write_request(request, run_folder)


def same_base(champion: Champion, recipe: Recipe) -> bool:
    """Whether the champion was trained on the base of this recipe."""
    return (champion.base, champion.revision) == (recipe.base, recipe.revision)


def can_continue(champion: Champion, recipe: Recipe) -> bool:
    """Whether a training with this recipe can start from the champion: it has the same base and the same shape."""
    shape = json.loads((champion.adapter / "adapter_config.json").read_bytes())
    return same_base(champion, recipe) and (shape["r"], shape["lora_alpha"]) == (recipe.rank, recipe.alpha)


def _inputs(dataset: str, arm: Arm, recipe: Recipe, start: Path | None) -> list[str]:
    return [dataset, arm, recipe.as_text(), *([adapter_digest(start)] if start else [])]


def _write_request(request: Frozen, run_folder: Path) -> Path:
    run_folder.mkdir(parents=True, exist_ok=True)
    path = run_folder / REQUEST_FILE
    write_json(request, path)
    return path


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
