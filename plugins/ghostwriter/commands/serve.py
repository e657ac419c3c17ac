"""`serve`: the gateway that answers as a writer's champion, over HTTP in OpenAI's words."""

import argparse
import logging
from pathlib import Path

from ghostwriter.commands.options import home_of
from ghostwriter.home import Home
from ghostwriter.serving.engine import Engine
from ghostwriter.serving.llama import LlamaEngine
from ghostwriter.serving.server import PORT, Settings, serve
from ghostwriter.serving.vllm import VllmEngine

LOGS = "logs/serving"


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `serve`."""
    parser = commands.add_parser("serve", help="answer as each writer's champion over HTTP, until Ctrl-C")
    parser.add_argument("writers", metavar="WRITER", nargs="*", help="serve these alone (default: all in writers/)")
    parser.add_argument("--host", default="127.0.0.1", help="beyond this machine a key is wanted: serving_key in the home folder")
    parser.add_argument("--port", type=int, default=PORT, help=f"default: {PORT}; 0: a free one")
    parser.add_argument("--poll", type=float, default=2.0, metavar="SECONDS", help="between two looks at the registry (default: 2)")
    parser.add_argument("--most", type=int, default=16, metavar="N", help="requests a version takes at once; more get a 429 (default: 16)")
    parser.add_argument("--slots", type=int, default=8, metavar="N", help="of those, how many are answered at once (default: 8)")
    parser.add_argument(
        "--context", type=int, default=4096, metavar="TOKENS", help="of a conversation, its answer included (default: 4096)"
    )
    parser.add_argument("--engine", choices=("llama", "vllm"), default="llama", help="llama: llama.cpp on the processor; vllm: on a GPU")
    parser.add_argument(
        "--vllm-option", action="append", default=[], metavar="OPTION", help="for vLLM, like --vllm-option=--gpu-memory-utilization=0.8"
    )
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for noisy in ("httpx2", "uvicorn.error", "mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    home = home_of(arguments)
    serve(home, _engine(home, arguments), arguments.writers, Settings(arguments.host, arguments.port, arguments.poll, arguments.most))
    return 0


def _engine(home: Home, arguments: argparse.Namespace) -> Engine:
    if arguments.engine == "vllm":
        return VllmEngine(home, home.path / LOGS, arguments.context, tuple(arguments.vllm_option))
    return LlamaEngine(home.path / LOGS, arguments.slots, arguments.context)
