"""One installation for all tests of this folder: bringing it up is what takes long."""

from collections.abc import Iterator

import pytest

from demo.follow import Loop
from ghostwriter.embedded.stack import Ports
from ghostwriter.home import Home
from tests.e2e.world import World, free_port, running_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(Home(tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("writers"), Ports(free_port(), free_port())) as made:
        yield made


@pytest.fixture(scope="session")
def first(world: World) -> Loop:
    """The loop has run once: there is a champion."""
    return world.go()
