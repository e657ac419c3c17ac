"""llama.cpp's own server on one GGUF file, in a process of its own: `python -m training.export.llama_server FILE`.

A file that llama.cpp cannot bear ends this process alone. It prints its address when the model is loaded, and ends with whoever
holds the other end of its standard input.
"""

import os
import sys
from pathlib import Path

ROOM = 4096
"""Tokens of prompt and answer together."""


def serve(model: Path, adapter: Path | None = None) -> str:
    """Start the server on a free port of this machine; returns its address. Nothing of one prompt is kept for the next."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(model)
    if adapter:
        settings.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
    settings.hostnames = ["127.0.0.1"]
    settings.port = 0
    settings.n_parallel = 1
    settings.n_ctx = ROOM
    settings.cache_ram_mib = 0
    settings.cache_prompt = False
    settings.ui = False
    if threads := os.environ.get("OMP_NUM_THREADS"):  # more than there are free cores wait for each other
        settings.cpuparams.n_threads = int(threads)
    server = xllamacpp.Server(settings)
    _alive.append(server)
    return str(server.listening_address)


_alive: list[object] = []
"""llama.cpp's server ends with its object."""


if __name__ == "__main__":
    print(serve(*map(Path, sys.argv[1:])), flush=True)
    sys.stdin.read()
