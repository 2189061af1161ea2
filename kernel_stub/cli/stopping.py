"""Stopping on a signal: the first one drains, the second one ends the process at once."""

from __future__ import annotations

import signal
from collections.abc import Callable

import anyio
from anyio.abc import TaskStatus


async def on_stop_signal(*stops: Callable[[], None], task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
    """Call `stops` when SIGTERM or SIGINT comes; a second signal kills, whatever still drains."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for _ in signals:
            for stop in stops:
                stop()
            break
    # Behind the receiver, which gives the loop's own handlers back.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
