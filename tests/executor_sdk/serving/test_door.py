"""How many connections there may be: by the setting, and by the files that the process may open."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from executor_sdk.serving.door import Bounds, Door


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """The limits of open files, which are as before when the test has ended."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("files", "wanted", "connections"), [(1_024, 1_000, 682), (1_024, 10, 10), (256, 1_000, 170), (4_096, 1_000, 1_000)]
)
def test_connections_leave_files_for_others(limits: tuple[int, int], files: int, wanted: int, connections: int) -> None:
    """A ledger, artifacts and calls to others need some; and what is accepted at once comes on top."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, limits[1]))

    door = Door(Bounds(max_connections=wanted))

    assert door.max_connections == connections
    assert door.max_connections + door.backlog < files
