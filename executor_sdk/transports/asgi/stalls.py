"""Stalls: an event loop that stands still is told of in the log, with the line of code that holds it up."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

#: Seconds for which the loop may stand still; many callers have given up a health check by then.
STALL_S: Final = 5.0

#: Seconds between two looks at the loop.
LOOK_S: Final = 1.0

#: Seconds more for a process that was itself stopped for a while, and whose loop only has to come to its turn.
GRACE_S: Final = 0.2

#: Calls of the stack that the log shows, the innermost ones.
SHOWN_CALLS: Final = 10

logger = logging.getLogger(__name__)


@contextmanager
def stalls_told() -> Iterator[None]:
    """The time in which stalls of the running loop are told of, by a thread beside it. Called in the loop."""
    stopped = threading.Event()
    watch = (asyncio.get_running_loop(), threading.get_ident(), stopped)
    # Nobody waits for its end: the loop would have to answer it meanwhile.
    threading.Thread(target=_watch, args=watch, name="stalls", daemon=True).start()
    try:
        yield
    finally:
        stopped.set()


def _watch(loop: asyncio.AbstractEventLoop, loop_thread: int, stopped: threading.Event) -> None:
    while not stopped.wait(LOOK_S):
        answered = threading.Event()
        asked_s = monotonic()
        try:
            loop.call_soon_threadsafe(answered.set)
        except RuntimeError:  # the loop is closed
            return
        if answered.wait(STALL_S) or answered.wait(GRACE_S) or stopped.is_set():
            continue
        logger.warning(
            "the event loop has stood still for %g s, and with it every call, /health among them; what blocks belongs "
            "in a plain `def`, which runs in a thread. It stands here:\n%s",
            STALL_S,
            _stack_of(loop_thread),
        )
        while not answered.wait(LOOK_S):
            if stopped.is_set():
                return
        logger.warning("the event loop goes on after %.1f s", monotonic() - asked_s)


def _stack_of(thread: int) -> str:
    calls = traceback.extract_stack(sys._current_frames().get(thread))  # noqa: SLF001 - documented for this use
    return "".join(traceback.format_list(calls[-SHOWN_CALLS:])).rstrip()
