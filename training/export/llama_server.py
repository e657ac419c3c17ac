"""llama.cpp's own server on one GGUF file, in a process of its own: `python -m training.export.llama_server FILE`.

A file that llama.cpp cannot bear ends this process alone. It prints its address when the model is loaded, and ends with whoever
holds the other end of its standard input. With `--key` the first line there is what a request must bear: it stands in no list of
processes and in no environment.
"""

import argparse
import os
import sys
from pathlib import Path

from training.export.zero_pages import give_back_zeros

ROOM = 4096
"""Tokens of prompt and answer together."""
BATCH = 64
"""Tokens of prompts that are read between two tokens of the answers under way. With llama.cpp's 2048, eight prompts that come
together are one batch, and so stay together: each of eight streams then waits for eight prompts, every time (training/LOG.md)."""


def serve(model: Path, *, slots: int = 1, room: int = ROOM, key: str = "") -> str:
    """Start the server on a free port of this machine; returns its address.

    It answers `slots` conversations at once, each in `room` tokens of its own: where they share, one that is too long ends them all.
    With one slot nothing of one prompt is kept for the next; with more a conversation's next turn finds its beginning.
    """
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(model)
    settings.hostnames = ["127.0.0.1"]
    settings.port = 0
    settings.n_parallel = slots
    settings.n_ctx = slots * room
    settings.n_batch = settings.n_ubatch = max(BATCH, 2 * slots)
    settings.cache_ram_mib = 0
    settings.cache_prompt = slots > 1
    settings.force_pure_content_parser = True
    settings.endpoint_slots = False
    settings.ui = False
    if key:
        settings.api_keys = [key]
    if threads := os.environ.get("OMP_NUM_THREADS"):  # more than there are free cores wait for each other
        settings.cpuparams.n_threads = int(threads)
    server = xllamacpp.Server(settings)
    _alive.append(server)
    give_back_zeros()
    return str(server.listening_address)


_alive: list[object] = []
"""llama.cpp's server ends with its object."""


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m training.export.llama_server")
    parser.add_argument("model", type=Path)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--room", type=int, default=ROOM)
    parser.add_argument("--key", action="store_true", help="the first line of standard input is the key")
    asked = parser.parse_args()
    key = sys.stdin.readline().strip() if asked.key else ""
    print(serve(asked.model, slots=asked.slots, room=asked.room, key=key), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
