"""Runs a program that would outlive whoever started it: `python -m ghostwriter.serving.leash PROGRAM ...`.

When standard input ends, because it was closed or the other end died, the program and all it started end too; so they do when this
process is told to end, and Ctrl-C is for whoever holds the other end.
"""

import os
import signal
import subprocess
import sys
import threading

PATIENCE = 20.0


def main() -> int:
    """Returns the program's exit status."""
    program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: _signal_all(program, signal.SIGTERM))
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    threading.Thread(target=_end_with_input, args=(program,), daemon=True).start()
    status = program.wait()
    _signal_all(program, signal.SIGKILL)  # what it left behind
    return status if status >= 0 else 128 - status


def _end_with_input(program: "subprocess.Popen[bytes]") -> None:
    sys.stdin.read()
    _signal_all(program, signal.SIGTERM)
    try:
        program.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        _signal_all(program, signal.SIGKILL)


def _signal_all(program: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    try:
        os.killpg(program.pid, number)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main())
