"""The processes of the demo: each is started in a session of its own, and none outlives the demo."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import anyio

#: Seconds that a process has to say where it listens, and to stop when it is asked to.
START_S: Final = 30.0
STOP_S: Final = 3.0

_ADDRESS: Final = re.compile(r"http://[^\s/]+:[1-9]\d*")


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True)
class Started:
    """A running process and the file that it writes to."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def said(self) -> str:
        """What the process has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    async def address(self) -> str:
        """The URL at which the process says it listens.

        Raises:
            DemoError: it ended, or said nothing in time.
        """
        with anyio.move_on_after(START_S):
            while self.process.poll() is None:
                if found := _ADDRESS.search(self.said()):
                    return found.group()
                await anyio.sleep(0.02)
        raise DemoError(f"{self.name} did not start; it said:\n{self.said()}")

    def kill_9(self) -> None:
        """End it as a power cut would."""
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait()


class Processes:
    """Starts programs of this Python, and stops all of them on the way out, whatever the way."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._started: list[Started] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A second Ctrl-C must not leave half of them running; what hangs is killed after a few seconds anyway.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.stop()

    def start(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Started:
        """Start this Python with these arguments; what it writes goes to a file that bears its name."""
        log = self._logs / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-u", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self._started.append(started := Started(name, process, log))
        return started

    def stop(self) -> None:
        """Ask all to stop, the last first, and kill what has not stopped in time."""
        for started in reversed(self._started):
            _signal(started, signal.SIGTERM)
        deadline = time.monotonic() + STOP_S
        for started in self._started:
            try:
                started.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _signal(started, signal.SIGKILL)
                started.process.wait()
        self._started.clear()


def _signal(started: Started, number: int) -> None:
    if started.process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, number)
