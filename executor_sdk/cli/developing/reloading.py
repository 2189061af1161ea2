"""Reloading: one process serves at a time; each save ends it within seconds and begins the next one."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import anyio
import orjson
from anyio.abc import Process
from watchfiles import PythonFilter, awatch

from executor_sdk.cli.developing.breakage import near
from executor_sdk.options.environment import APP_VARIABLE, variable_of

#: Seconds from SIGTERM on after which a process is killed: it waits 2 s for callers, 1 s for work, 2 s for threads.
KILL_S: Final = 8.0

#: Seconds for which work that nobody waits for goes on in a process that ends, unless the environment says otherwise.
_DRAIN_S: Final = "1"

#: Milliseconds for which saves that follow each other closely are gathered, and in which a cancelled watch ends.
_DEBOUNCE_MS: Final = 400
_STOP_WATCHING_MS: Final = 200

#: Bytes of one event.
_MAX_EVENT_BYTES: Final = 1024 * 1024


class Changes:
    """Python files that were saved, in the folder of the command and in that of the application."""

    def __init__(self, app: str) -> None:
        self._folders = _folders(app)
        self._found, self._saved = anyio.create_memory_object_stream[list[str]](1)

    async def watch(self) -> None:
        """Watch for as long as this runs."""
        with self._found, self._saved:
            watcher = awatch(
                *self._folders, watch_filter=PythonFilter(), debounce=_DEBOUNCE_MS, rust_timeout=_STOP_WATCHING_MS
            )
            async for changes in watcher:
                await self._found.send(sorted({near(path) for _, path in changes}))

    async def wait(self) -> list[str]:
        """The next files that were saved; relative to the current folder where they are in it."""
        return await self._saved.receive()


@dataclass(frozen=True, slots=True)
class Serving:
    """A process that serves."""

    process: Process
    _events: asyncio.StreamReader

    async def events(self) -> AsyncIterator[dict[str, Any]]:
        """What it tells, until it has ended."""
        while line := await self._events.readline():
            yield orjson.loads(line)

    async def wait(self) -> str:
        """How it ended."""
        code = await self.process.wait()
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


@asynccontextmanager
async def served(app: str, listening: socket.socket, ended: str = "") -> AsyncIterator[Serving]:
    """A fresh process that serves `app`, or says that the last one `ended` so; it is gone when the block ends."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            fds = (listening.fileno(), theirs.fileno())
            # -u: what is printed shows at once. -B: two saves in one second that leave the size as it was would
            # otherwise load the first one's bytecode.
            command = [sys.executable, "-u", "-B", "-m", "executor_sdk.cli.developing.serving", *map(str, fds), ended]
            process = await anyio.open_process(
                command,
                stdin=None,
                # Standard output is this command's own.
                stdout=sys.stderr.fileno(),
                stderr=None,
                pass_fds=fds,
                env={variable_of("drain_s"): _DRAIN_S, **os.environ, APP_VARIABLE: app},
            )
        try:
            reader, writer = await asyncio.open_connection(sock=ours, limit=_MAX_EVENT_BYTES)
            yield Serving(process, reader)
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)
            writer.close()


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
    with anyio.move_on_after(KILL_S):
        await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()


def _folders(app: str) -> Iterable[Path]:
    """Where the sources are: found without an import, which may run anything."""
    here = Path.cwd()
    top = app.partition(":")[0].partition(".")[0]
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        spec = None
    origin = None if spec is None else next(iter(spec.submodule_search_locations or ()), spec.origin)
    folder = None if origin is None else Path(origin) if Path(origin).is_dir() else Path(origin).parent
    return {here} if folder is None or folder.is_relative_to(here) else {here, folder}
