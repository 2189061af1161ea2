"""The server: uvicorn within bounds, which ends with exit code 0 although work may not let go of the process."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any, Final, cast

import uvicorn
from starlette.types import ASGIApp

from executor_sdk.serving.bounded_http import BoundedHttp
from executor_sdk.serving.door import Door

#: Seconds for which a stopped server waits for what goes on although it was cancelled.
LEAVE_S: Final = 2.0

#: Seconds of a stop before the log says what it waits for.
QUIET_S: Final = 1.0

#: New objects after which the garbage collector looks for cycles. By default it does so within one burst of requests,
#: all of whose objects are in use: a tenth of their time, in vain.
YOUNG_OBJECTS: Final = 10_000

logger = logging.getLogger(__name__)
_uvicorn_log = logging.getLogger("uvicorn.error")


def configuration(
    app: ASGIApp | Callable[[], ASGIApp] | str, door: Door | None = None, **options: Any
) -> uvicorn.Config:
    """How uvicorn serves `app` behind `door`, quietly; `options` of `uvicorn.Config` come before ours."""
    door = door or Door()
    # uvicorn calls what it names a class, and asks it for nothing else.
    http = cast("type[BoundedHttp]", partial(BoundedHttp, door=door))
    ours = {"http": http, "backlog": door.backlog, "log_level": "warning", "access_log": False}
    return uvicorn.Config(app, **{**ours, **options})


class Server(uvicorn.Server):
    """Serves until it is told to stop, and lets its callers and its work end first.

    In the main thread `run` also answers SIGTERM and SIGINT. Signals are left to the caller where it serves in a
    thread, or awaits `serve`.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        #: Set once the server listens or has given up; `started` says which.
        self.settled = threading.Event()
        self._owns_process = False
        self._guard: threading.Timer | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve; returns when all has ended, or ends the process when something will not."""
        before = set(threading.enumerate())
        self._owns_process = threading.current_thread() is threading.main_thread()
        is_default = self._owns_process and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        if is_default:
            # uvicorn raises the signal again once it has stopped; by default that would be an exit code of -15. And a
            # signal that comes before uvicorn listens for it counts as well.
            signal.signal(signal.SIGTERM, lambda *_: self.stop())
        try:
            # The signal again, or a start that failed: the caller sees it in `started`.
            with suppress(KeyboardInterrupt, SystemExit):
                super().run(sockets)
        finally:
            self.settled.set()
            if self._guard is not None:
                self._guard.cancel()
            _uvicorn_log.disabled = False
            if is_default:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if self._owns_process:
            _wait_for({thread for thread in threading.enumerate() if not thread.daemon} - before)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, and tell."""
        await super().startup(sockets)
        if self._owns_process and self.started:
            _settle_objects()
        self.settled.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop as uvicorn does. A task that swallows its cancellation would keep the loop from closing."""
        telling = asyncio.get_running_loop().call_later(QUIET_S, self._tell_of_waiting)
        try:
            await super().shutdown(sockets)
        finally:
            telling.cancel()
        if self._owns_process:
            self._guard = threading.Timer(LEAVE_S, _leave)
            self._guard.daemon = True
            self._guard.start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop at the first signal; a second SIGINT cuts what the stop waits for, without a traceback of each call."""
        if not self.should_exit:
            super().handle_exit(sig, frame)
        elif sig == signal.SIGINT:
            # Not told to uvicorn: it would raise the signal twice in the end, and the second one breaks the loop.
            self.force_exit = _uvicorn_log.disabled = True

    def _tell_of_waiting(self) -> None:
        if self._owns_process:
            logger.info("stopping: calls and work in flight end first; Ctrl-C once more cuts them")

    def stop(self) -> None:
        """Take no more connections; answer what has come; end."""
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Hear signals while `run` serves for the whole process."""
        if not self._owns_process:
            yield
            return
        with super().capture_signals():
            yield


def _settle_objects() -> None:
    """What is loaded by now stays, and no collection needs to look at it again."""
    gc.collect()
    gc.freeze()
    young, *older = gc.get_threshold()
    # 0 stands for never; an author may have chosen that, or more.
    gc.set_threshold(young and max(young, YOUNG_OBJECTS), *older)


def _wait_for(threads: set[threading.Thread]) -> None:
    """Let abandoned threads of handlers end; the interpreter would wait for them without a bound."""
    for thread in threads:
        thread.join(LEAVE_S / len(threads))
    if any(thread.is_alive() for thread in threads):
        _leave()


def _leave() -> None:
    logger.warning("a handler goes on although it was told to stop; the process ends without it")
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)
