"""The two ways to wait for bytes, in the event loop and in a thread; code that takes the wrong one is told so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import anyio.from_thread

from executor_sdk.misuse import MisuseError

Bytes: TypeAlias = Coroutine[Any, Any, bytes]


def in_loop(owner: str, fetch: Callable[[], Bytes]) -> Bytes:
    """What `await owner.fetch(...)` waits for.

    Raises:
        MisuseError: this is a plain function in its thread, which would get a coroutine in place of the bytes.
    """
    if not _runs_in_loop():
        raise MisuseError(
            f"{owner}.fetch is for an `async def`; in a plain `def` write {owner}.fetch_sync(...) in its place"
        )
    return fetch()


def in_thread(owner: str, fetch: Callable[[], Bytes]) -> bytes:
    """The bytes, for a plain function in a thread of the kit: the event loop fetches them meanwhile.

    Raises:
        MisuseError: this is the event loop, which would wait for itself; or a thread that knows of no loop.
    """
    if _runs_in_loop():
        raise MisuseError(f"{owner}.fetch_sync would stop the event loop; write await {owner}.fetch(...)")
    try:
        return anyio.from_thread.run(fetch)
    except RuntimeError as error:
        if "AnyIO worker thread" not in str(error):
            raise
        raise MisuseError(
            f"{owner}.fetch_sync is for the thread that a plain `def` handler runs in, not for one of your own; fetch "
            "there, and hand the bytes on"
        ) from None


def _runs_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
