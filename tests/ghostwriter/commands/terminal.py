"""A command on a real terminal (a pseudo-terminal): what a person sees, and what she types when she is asked."""

import os
import pty
import re
import select
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

CTRL_C = b"\x03"


class Terminal:
    """Use it as a context manager; `screen` is everything that was shown so far."""

    def __init__(self, command: Sequence[str | Path], environment: Mapping[str, str], folder: Path, seconds: float = 120) -> None:
        self._command, self._environment, self._folder = [str(part) for part in command], dict(environment), folder
        self._deadline = time.monotonic() + seconds
        self.screen = ""
        self._seen = 0

    def __enter__(self) -> Self:
        self._process, self._master = pty.fork()
        if self._process == 0:
            os.chdir(self._folder)
            os.execvpe(self._command[0], self._command, self._environment)
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self._master)
        try:
            os.kill(self._process, signal.SIGKILL)
            os.waitpid(self._process, 0)
        except (ProcessLookupError, ChildProcessError):
            pass

    def wait_for(self, words: str) -> None:
        """Return once the regular expression `words` was shown after what was waited for last."""
        while not (found := re.search(words, self.screen[self._seen :])):
            assert self._read(), f"The command ended before {words!r} was shown:\n{self.screen}"
        self._seen += found.end()

    def answer(self, *asked: tuple[str, str | bytes]) -> None:
        """For each pair wait for the prompt, then type the text and Enter; bytes are keys and typed alone."""
        for prompt, text in asked:
            self.wait_for(prompt)
            os.write(self._master, text if isinstance(text, bytes) else f"{text}\n".encode())

    def end(self) -> int:
        """Wait for the end of the command; returns its exit status."""
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])

    def interrupt(self) -> int:
        """Press Ctrl-C, and again after five seconds; returns the exit status.

        Python hears one that comes between a prompt and its wait for an answer only with the next key.
        """
        pressed = -5.0
        while (ended := os.waitpid(self._process, os.WNOHANG)) == (0, 0):
            if time.monotonic() - pressed >= 5:
                os.write(self._master, CTRL_C)
                pressed = time.monotonic()
            time.sleep(0.05)
        while self._read():
            pass
        return os.waitstatus_to_exitcode(ended[1])

    def _read(self) -> bool:
        """Take in what is shown next; False at the end."""
        left = self._deadline - time.monotonic()
        ready, _, _ = select.select([self._master], [], [], max(0.0, left))
        assert ready, f"Nothing more was shown in time:\n{self.screen}"
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # Linux says so when the other end is closed
            return False
        self.screen += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)
