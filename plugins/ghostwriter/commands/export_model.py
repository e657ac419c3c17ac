"""`export-model`: a version of a writer's model as a folder for other programs, with card and proof.

This side asks MLflow for the adapter, its figures and the questions it was examined on; the training side writes and proves.
"""

import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from ghostwriter.commands.options import home_of
from ghostwriter.errors import PromotionError
from ghostwriter.home import Home
from ghostwriter.judging.promote import Champion, adapter_digest, fetch_version, model_name
from ghostwriter.launchers.local import LocalStage
from ghostwriter.mlflow_runs.registry import MlflowSilent, Registry
from ghostwriter.mlflow_runs.server import mlflow_client, tracking_uri
from ghostwriter.page.champions import SAMPLES, Version, find_evaluation, read_champion
from ghostwriter.serving.exports import card_of
from ghostwriter.writer import Writer, load_writer
from training.contract import REQUEST_FILE, RESULT_FILE, ExportForm, ExportRequest, ExportResult, read_json, write_json

QUESTIONS = 10
FIGURES = "measures.json"
SECONDS = 60.0
"""For what is asked of MLflow: somebody waits for an export, which takes minutes."""


@dataclass(frozen=True)
class Examined:
    """What MLflow keeps of a version's examination: questions, and the table of figures."""

    questions: tuple[str, ...]
    figures: dict[str, list[str]]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `export-model`."""
    parser = commands.add_parser("export-model", help="write a champion as a folder for llama.cpp, Ollama, vLLM or transformers")
    parser.add_argument("writer", metavar="WRITER", help="a file in writers/, without .toml")
    parser.add_argument("--version", metavar="N", help="a version of the registered model (default: the champion)")
    parser.add_argument("--as", dest="form", choices=get_args(ExportForm), default="gguf", help="peft: the adapter alone (default: gguf)")
    parser.add_argument("--questions", type=Path, metavar="FILE", help="questions of your own for the proof, one a line")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Fetch, export, and say where it lies and what was proved."""
    writer, home = load_writer(arguments.writer), home_of(arguments)
    home.check_space()
    found = fetch_version(mlflow_client(), home, writer.stem, arguments.version)
    examined = _examined(writer, found, arguments.questions)
    path = request_export(home, writer, found, examined, arguments.form)
    result = read_json(ExportResult, LocalStage("export", path).run(print))
    proof = result.proof
    print(f"{result.folder}: {proof.agree} of {proof.questions} answers are the adapter's, and the base would not give them all.")
    return 0


def request_export(home: Home, writer: Writer, version: Champion, examined: Examined, form: ExportForm) -> Path:
    """Write the request; returns its path. What was exported for another request, or deleted since, is exported anew."""
    run_folder = home.exports(writer.stem) / f"v{version.version}-{form}-{adapter_digest(version.adapter)[:8]}"
    name = f"{model_name(writer.stem)}-v{version.version}"
    request = ExportRequest(
        run_folder=run_folder,
        name=name,
        form=form,
        adapter=version.adapter,
        base=version.base,
        revision=version.revision,
        questions=examined.questions,
        card=card_of(writer, version.version, version.why, examined.figures),
        models=home.models,
    )
    asked = run_folder / REQUEST_FILE
    if (run_folder / RESULT_FILE).exists() and not ((run_folder / name).exists() and read_json(ExportRequest, asked) == request):
        shutil.rmtree(run_folder)
    run_folder.mkdir(parents=True, exist_ok=True)
    write_json(request, asked)
    return asked


def _examined(writer: Writer, version: Champion, file: Path | None) -> Examined:
    """Questions from `file`, or those the version was examined on. Raises PromotionError when there are none."""
    try:
        found = _from_mlflow(writer, int(version.version))
    except MlflowSilent as silent:
        raise PromotionError(f"{silent} Run this again once it does.") from None
    questions = tuple(filter(None, map(str.strip, _lines(file)))) if file else found.questions
    if not questions:
        raise PromotionError(
            f"MLflow has no samples of version {version.version} of {model_name(writer.stem)} to prove an export on."
            " Give questions of your own: --questions FILE, one a line."
        )
    return Examined(questions[:QUESTIONS], found.figures)


def _from_mlflow(writer: Writer, number: int) -> Examined:
    registry = Registry(tracking_uri(), SECONDS)
    model = read_champion(registry, writer.stem)
    versions: list[Version] = [each for each in (model.versions if model else ()) if each.number == number]
    evaluation = find_evaluation(registry, versions[0]) if versions else None
    if evaluation is None:
        return Examined((), {})
    rows, figures = registry.table(evaluation.run_id, SAMPLES), registry.table(evaluation.run_id, FIGURES)
    columns = {name: [str(row[name]) for row in figures] for name in (figures[0] if figures else ())}
    return Examined(tuple(str(row["question"]) for row in rows), columns)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PromotionError(f"{file} cannot be read: {error}.") from None
