"""Reading a whole log in pages, so that its size does not matter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from anyio import to_thread

from kernel_stub.log.entry import Entry
from kernel_stub.log.replay import Replay
from kernel_stub.log.walk import Walk

#: Entries after a place in the sequence, at most so many.
PageReader: TypeAlias = Callable[[int, int], Awaitable[list[Entry]]]

#: Entries a page; what nodes give each other at once.
PAGE_EVENTS: Final = 256


async def walk_along(read: PageReader, walk: Walk, replay: Replay | None = None) -> None:
    """Walk along a log in worker threads, and replay it if asked to; `walk.finish` is the caller's.

    Raises:
        LogError: the first entry that does not hold, or cannot follow the ones before it.
    """
    after = 0
    while page := await read(after, PAGE_EVENTS):
        await to_thread.run_sync(_take, page, walk, replay)
        after = page[-1].entry


def _take(page: list[Entry], walk: Walk, replay: Replay | None) -> None:
    """Go along a page as far as the head speaks of it."""
    for entry in page:
        if not walk.covers(entry):
            return
        checked = walk.take(entry)
        if replay is not None:
            replay.take(entry.number, checked)
