"""A dataset's totals as a small MLflow run in the writer's experiment: rows, calls by their end, cost, diversity, and the manifest."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostwriter.distilling.dataset import dataset_metrics
from ghostwriter.distilling.prompt import Prompt, load_plain_prompt, load_prompt
from ghostwriter.mlflow_runs.pipeline_run import close_run, log_at_once, log_input, open_writer_run
from ghostwriter.snapshot import MANIFEST, read_manifest
from ghostwriter.writer import Writer

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

PROMPT_NAME = "ghostwriter-teacher"
HASH_TAG = "prompt_hash"
ABOUT_PROMPT = (
    "What the teacher is asked. The part `example` is repeated for each of the writer's pairs; the hash stands in each dataset's rows."
)


def record_dataset(client: "MlflowClient", writer: Writer, dataset: Path, dag_run: Any, uri: str) -> str:
    """Log the totals of a finished dataset, and the prompt it was bought with; returns the run's id. A retry finds its run again."""
    manifest = read_manifest(dataset)
    run_id = open_writer_run(client, writer, "dataset", dag_run, uri)
    answers: dict[str, Any] = manifest.facts.get("teacher", {})
    rewrites: dict[str, Any] = manifest.facts.get("rewrites", {}).get("teacher", {})
    teacher = answers or rewrites
    facts = {"mode": manifest.facts.get("mode"), "teacher": teacher.get("model"), "prompt_hash": teacher.get("prompt_hash")}
    tags = {f"ghostwriter.{name}": str(fact) for name, fact in {**facts, "dataset": manifest.digest[:16]}.items()}
    log_at_once(client, run_id, metrics=dataset_metrics(dataset), tags=tags)
    log_input(client, run_id, dataset, "made")
    client.log_artifact(run_id, str(dataset / MANIFEST))
    if rewrites:
        _link_prompt(client, run_id, load_plain_prompt(writer.language), rewrites.get("prompt_hash"))
    if answers:
        _link_prompt(client, run_id, load_prompt(writer.teacher.prompt or writer.language), answers.get("prompt_hash"))
    close_run(client, run_id, succeeded=True)
    return run_id


def _link_prompt(client: "MlflowClient", run_id: str, prompt: Prompt, used: str | None) -> None:
    """Put the prompt into MLflow's registry, one version for each text, and link the run to it; not if the file was changed since."""
    if prompt.hash != used:
        log.warning("The prompt %s was changed after this dataset was bought; it is not linked to the run.", prompt.name)
        return
    name = f"{PROMPT_NAME}-{prompt.name}"
    registered = client.search_prompts(f"name = '{name}'")
    versions = list(client.search_prompt_versions(name)) if registered else []
    version = next((found for found in versions if found.tags.get(HASH_TAG) == prompt.hash), None)
    if version is None:
        version = client.register_prompt(
            name, prompt.template, commit_message=f"{prompt.name}.md, {prompt.hash}", tags={HASH_TAG: prompt.hash}
        )
        client.set_prompt_tag(name, "mlflow.note.content", ABOUT_PROMPT)
    client.link_prompt_version_to_run(run_id, version)
    client.set_tag(run_id, "ghostwriter.prompt", version.uri)
