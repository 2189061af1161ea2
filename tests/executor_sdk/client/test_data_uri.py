"""A data URI is fetched without any network, in production as in tests, and bounded like everything else."""

from __future__ import annotations

import anyio.lowlevel
import pytest

from executor_sdk import Executor, Task, in_process
from executor_sdk.client.data_uri import data_in
from executor_sdk.client.egress import Egress
from executor_sdk.errors import UnfetchableError


@pytest.mark.parametrize(
    ("uri", "data"),
    [
        ("data:text/csv,region%2Camount%0Anorth,5", b"region,amount\nnorth,5"),
        ("data:,", b""),
        ("data:text/plain;charset=utf-8;base64,bm9ydGg=", b"north"),
        ("DATA:text/plain;BASE64,bm9ydGg%3D", b"north"),
    ],
)
@pytest.mark.anyio
async def test_the_bytes_are_in_the_uri(uri: str, data: bytes) -> None:
    """Percent signs are decoded first, then base64 where the URI says so."""
    assert await Egress().fetch(uri) == data


@pytest.mark.anyio
async def test_a_large_one_does_not_hold_up_the_event_loop() -> None:
    """Percent signs of a stranger are slow to decode; others are answered meanwhile."""
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with anyio.create_task_group() as others:
        others.start_soon(turn)
        data = await Egress().fetch("data:," + "%41" * 100_000)
        others.cancel_scope.cancel()

    assert data == b"A" * 100_000
    assert turns > 0


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("data:text/csv", "has a comma before its data"),
        ("data:;base64,bm9 ydGg", "something else"),
        ("data:,12345", "more than 4 bytes"),
    ],
)
def test_what_carries_no_data_or_too_much_is_final(uri: str, told: str) -> None:
    """No other attempt finds more in it; the message does not repeat the data."""
    with pytest.raises(UnfetchableError, match=told) as raised:
        data_in(uri, 4)

    assert raised.value.status_code == 422
    assert uri not in raised.value.message


def test_a_test_needs_no_file_for_it() -> None:
    """Where a test stands in for the network, the bytes are in the URI all the same."""
    executor = Executor("acme", "m-1")

    @executor.execute
    async def read(inputs: dict[str, str], task: Task) -> dict[str, str]:
        return {"answer": (await task.fetch(inputs["url"], max_bytes=5)).decode()}

    with in_process(executor) as rt:
        assert rt.execute({"url": "data:,north"}).output == {"answer": "north"}
        with pytest.raises(UnfetchableError):
            rt.execute({"url": "data:,northern"})
