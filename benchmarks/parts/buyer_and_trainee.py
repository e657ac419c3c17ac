"""A real Airflow with a writer who buys from a slow teacher, and one whose training is a stand-in: for stopping.py and kills.py."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ghostwriter.home import Home
from tests.stack.installation import Installation, installed
from tests.teacher_server import KEY, TeacherScript, TeacherServer

BUYER, TRAINEE = "buyer", "trainee"


@contextmanager
def buyer_and_trainee(asked: str, latency: float) -> Iterator[tuple[Installation, TeacherServer]]:
    """The installation, and the teacher whose answers take `latency` seconds; `asked` is what the buyer's file says of it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ghostwriter-stack-")))
        teacher = stack.enter_context(TeacherServer(TeacherScript(latency=latency)))
        world = stack.enter_context(installed(Home(folder / "home"), folder / "writers"))
        world.api.put_connection("teacher", "http", teacher.base_url, KEY)
        world.add_writer(BUYER, arm="distilled", teacher=asked)
        world.add_writer(TRAINEE)
        world.wait_for_dags([BUYER, TRAINEE])
        yield world, teacher
