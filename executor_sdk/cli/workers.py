"""Several processes that serve one executor behind one socket: started together, replaced singly, ended together."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, parent_process
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess
from typing import Any, Final

from executor_sdk.cli.announcement import complain
from executor_sdk.cli.command import CommandError, Exit
from executor_sdk.serving.door import Bounds, Door
from executor_sdk.serving.server import Server, configuration

#: Where the server finds the application, in whatever process.
APPLICATION: Final = "executor_sdk.cli.applications:application"

#: Exit code of a process whose application did not start.
NOT_STARTED: Final = 3

#: A process that lived for less seconds is replaced after a pause, twice as long each time, up to the longest.
SHORT_LIFE_S: Final = 10.0
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0


def serve_alone(listening: socket.socket, bounds: Bounds, options: dict[str, Any]) -> bool:
    """Serve the application of `executor serve` in this process until told to stop; False if it did not start."""
    server = Server(configuration(APPLICATION, Door(bounds), factory=True, **options))
    if (parent := parent_process()) is not None:
        # Nobody could stop or replace what outlives the process that started it.
        threading.Thread(target=_stop_after, args=(parent, server), name="parent", daemon=True).start()
    server.run([listening])
    return server.started


@dataclass
class Workers:
    """As many processes as wanted; one that dies is replaced, and that is said."""

    count: int
    listening: socket.socket
    bounds: Bounds
    options: dict[str, Any]
    _alive: dict[int, _Worker] = field(default_factory=dict)
    _short_lives: int = 0

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then let all of them end their callers and their work.

        Raises:
            CommandError: one of the first did not start; all others are stopped then.
        """
        with _stop_signals() as stop:
            try:
                for _ in range(self.count):
                    self._start(is_first=True)
                self._watch(stop)
            finally:
                self._end()

    def _watch(self, stop: connection.Connection) -> None:
        due_s: list[float] = []
        while True:
            patience_s = max(0.0, min(due_s) - time.monotonic()) if due_s else None
            ready = connection.wait([stop, *self._alive], patience_s)
            if stop in ready:
                return
            due_s += [self._buried(self._alive.pop(sentinel)) for sentinel in ready if isinstance(sentinel, int)]
            now_s = time.monotonic()
            missing = sum(one <= now_s for one in due_s)
            due_s = [one for one in due_s if one > now_s]
            for _ in range(missing):
                try:
                    self._start(is_first=False)
                except OSError as error:
                    # No memory, or no process left: the others serve on.
                    complain(f"no worker can be started ({error}); it is tried again in {LONGEST_PAUSE_S:g} s")
                    due_s.append(now_s + LONGEST_PAUSE_S)

    def _buried(self, worker: _Worker) -> float:
        """When to replace a process that has ended, by the monotonic clock."""
        worker.process.join()
        code = worker.process.exitcode
        if worker.is_first and code == NOT_STARTED:
            raise CommandError(Exit.USAGE, "the application did not start; its log says why")
        now_s = time.monotonic()
        self._short_lives = self._short_lives + 1 if now_s - worker.since_s < SHORT_LIFE_S else 0
        pause_s = (
            min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._short_lives, 10)) if self._short_lives > 1 else 0.0
        )
        after = f" in {pause_s:g} s" if pause_s else ""
        complain(f"worker {worker.process.pid} ended {_described(code)}; another one takes its place{after}")
        return now_s + pause_s

    def _start(self, *, is_first: bool) -> None:
        process = get_context("spawn").Process(target=_work, args=(self.listening, self.bounds, self.options))
        process.start()
        self._alive[process.sentinel] = _Worker(process, time.monotonic(), is_first)

    def _end(self) -> None:
        for worker in self._alive.values():
            worker.process.terminate()
        for worker in self._alive.values():
            worker.process.join()


@dataclass(frozen=True)
class _Worker:
    process: SpawnProcess
    since_s: float
    #: Whether it was there from the beginning: what does not start then never will.
    is_first: bool


def _work(listening: socket.socket, bounds: Bounds, options: dict[str, Any]) -> None:
    """What each process does."""
    if not serve_alone(listening, bounds, options):
        sys.exit(NOT_STARTED)


def _stop_after(parent: BaseProcess, server: Server) -> None:
    parent.join()
    server.stop()


def _described(code: int | None) -> str:
    if code is not None and code < 0:
        return f"by {signal.Signals(-code).name}"
    return f"with exit code {code}"


@contextmanager
def _stop_signals() -> Iterator[connection.Connection]:
    """What can be read once SIGTERM or SIGINT has come; a second signal ends this process, and all with it."""
    told, tell = connection.Pipe(duplex=False)

    def stop(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        os.write(tell.fileno(), b"\0")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        told.close()
        tell.close()
