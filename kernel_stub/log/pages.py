"""Reading a whole log in pages, so that its size does not matter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeAlias

from anyio import to_thread

from kernel_stub.log.replay import Replay
from kernel_stub.log.verify import verify

#: Events (sequence number, bytes) after a sequence number, at most so many.
PageReader: TypeAlias = Callable[[int, int], Awaitable[list[tuple[int, bytes]]]]

#: Events a page; what nodes give each other at once.
PAGE_EVENTS: Final = 256


async def pages(read: PageReader, *, after: int = 0) -> AsyncIterator[list[tuple[int, bytes]]]:
    """The log from `after` on, a page at a time."""
    while page := await read(after, PAGE_EVENTS):
        yield page
        after = page[-1][0]


async def verify_all(read: PageReader) -> int:
    """Verify the whole log in worker threads; returns how many events it has.

    Raises:
        BrokenLogError: the first event that does not hold.
    """
    count = 0
    async for page in pages(read):
        count += await to_thread.run_sync(verify, page)
    return count


async def replay_all(read: PageReader) -> Replay:
    """Verify and replay the whole log in worker threads.

    Raises:
        BrokenLogError: the first event that does not hold, or that cannot follow the ones before it.
    """
    replay = Replay()
    async for page in pages(read):
        await to_thread.run_sync(replay.take, page)
    return replay
