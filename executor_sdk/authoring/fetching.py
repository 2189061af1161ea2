"""The two ways to wait for what is elsewhere, in the event loop and in a thread; the wrong one is told so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

import anyio.from_thread

from executor_sdk.misuse import MisuseError

T = TypeVar("T")

Bytes: TypeAlias = Coroutine[Any, Any, bytes]


def in_loop(name: str, plain_name: str, fetch: Callable[[], Coroutine[Any, Any, T]]) -> Coroutine[Any, Any, T]:
    """What `await name(...)` waits for; `plain_name` is the same for a plain function.

    Raises:
        MisuseError: this is a plain function in its thread, which would get a coroutine in place of the result.
    """
    if not _runs_in_loop():
        raise MisuseError(f"{name} is for an `async def`; in a plain `def` write {plain_name}(...) in its place")
    return fetch()


def in_thread(name: str, plain_name: str, fetch: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The result, for a plain function in a thread of the kit: the event loop waits for it meanwhile.

    Raises:
        MisuseError: this is the event loop, which would wait for itself; or a thread that knows of no loop.
    """
    if _runs_in_loop():
        raise MisuseError(f"{plain_name} would stop the event loop; write await {name}(...)")
    try:
        return anyio.from_thread.run(fetch)
    except RuntimeError as error:
        if "AnyIO worker thread" not in str(error):
            raise
        raise MisuseError(
            f"{plain_name} is for the thread that a plain `def` handler runs in, not for one of your own; fetch "
            "there, and hand the bytes on"
        ) from None


def _runs_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
