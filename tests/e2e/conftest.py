"""One installation for all tests of this folder, and its first night: bringing them up is what takes long."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.follow import Loop
from ghostwriter.embedded.stack import Ports
from ghostwriter.home import Home
from tests.e2e.nights import Night, first_night
from tests.e2e.world import STEM, World, free_port, running_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(Home(tmp_path_factory.mktemp("home")), tmp_path_factory.mktemp("writers"), Ports(free_port(), free_port())) as made:
        yield made


@pytest.fixture(scope="session")
def night(world: World) -> Night:
    """The schedule has fired: two writers have a champion."""
    return first_night(world)


@pytest.fixture(scope="session")
def first(night: Night) -> Loop:
    """What that night did for the writer of most tests."""
    return night.loops[STEM]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test to need it waits for the whole installation and its first night."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(900))
