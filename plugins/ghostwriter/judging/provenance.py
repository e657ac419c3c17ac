"""Where an adapter comes from: what a version in the registry says of its base, data, recipe, code and image."""

import os
import subprocess
from collections.abc import Mapping
from hashlib import sha256

from ghostwriter.home import ROOT
from ghostwriter.snapshot import read_manifest
from training.contract import TrainRequest

OLDER_SPLIT = "ghostwriter split 1"
"""How a dataset was split that does not say so."""
RECIPE_TAG, COMMIT_TAG, IMAGE_TAG = "ghostwriter.recipe", "ghostwriter.commit", "ghostwriter.image"


def run_tags(recipe: str) -> dict[str, str]:
    """What a training run is tagged with when it is made: a version registered from it later names what trained it."""
    tags = {RECIPE_TAG: recipe, COMMIT_TAG: code_commit(), IMAGE_TAG: os.environ.get("GHOSTWRITER_IMAGE", "")}
    return {name: value for name, value in tags.items() if value}


def version_tags(request: TrainRequest, run: Mapping[str, str]) -> dict[str, str]:
    """Tags of a model version, from its training request and the tags of its training run."""
    dataset = read_manifest(request.dataset)
    recipe = request.recipe
    tags = {
        "base": recipe.base,
        "revision": recipe.revision,
        "arm": request.arm,
        "dataset": dataset.digest,
        "split_salt": dataset.facts.get("split", OLDER_SPLIT),
        "recipe": run.get(RECIPE_TAG),
        "recipe_sha256": sha256(recipe.model_dump_json().encode()).hexdigest(),
        "commit": run.get(COMMIT_TAG),
        "image": run.get(IMAGE_TAG),
    }
    return {name: value for name, value in tags.items() if value}


def code_commit() -> str:
    """The commit of this code, with `-dirty` when files were changed; GHOSTWRITER_COMMIT where there is no git; else empty."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + ("-dirty" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("GHOSTWRITER_COMMIT", "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=True, timeout=30).stdout.strip()
