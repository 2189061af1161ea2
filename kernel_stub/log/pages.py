"""Reading a whole log in pages, so that its size does not matter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeAlias

from anyio import to_thread

from kernel_stub.errors import BrokenLogError
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


async def verify_all(read: PageReader, *, head: int = 0) -> int:
    """Verify the whole log in worker threads; returns how many events it has.

    `head` is the number of the last event that was ever appended, where the caller knows it.

    Raises:
        BrokenLogError: the first event that does not hold, or is not there.
    """
    count = 0
    async for page in _unbroken(read, head):
        count += await to_thread.run_sync(verify, page)
    return count


async def replay_all(read: PageReader, *, head: int = 0) -> Replay:
    """Verify and replay the whole log in worker threads.

    Raises:
        BrokenLogError: the first event that does not hold, is not there, or cannot follow the ones before it.
    """
    replay = Replay()
    async for page in _unbroken(read, head):
        await to_thread.run_sync(replay.take, page)
    return replay


async def _unbroken(read: PageReader, head: int) -> AsyncIterator[list[tuple[int, bytes]]]:
    """The pages of a log that was only ever appended to: its numbers have no gap, and reach up to `head`."""
    last = 0
    async for page in pages(read):
        for seq, _ in page:
            if seq != last + 1:
                raise _lost(last + 1)
            last = seq
        yield page
    if last < head:
        raise _lost(last + 1)


def _lost(seq: int) -> BrokenLogError:
    return BrokenLogError(seq, "not there", "the log has lost it")
