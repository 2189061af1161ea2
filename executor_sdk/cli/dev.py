"""`executor dev APP`: serve it, load it again when it changes, and try it in a run of several agents."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio

from executor_sdk.asking.samples import Sample, choose
from executor_sdk.asking.trial import NoKernelError, Said, Trial, TrialKernel, installed_kernel
from executor_sdk.cli.command import Commands, Exit, add_command, json_given
from executor_sdk.cli.serve import listening_at
from executor_sdk.client.executor_client import ExecutorClient
from executor_sdk.errors import ClientError
from executor_sdk.serving.addresses import listen_address, url_of

#: Agents of a run at the most: a trial is to be read, not to be a load test.
MAX_AGENTS: Final = 20


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands, "dev", run, help="serve an executor while it is written: reload, a run of three agents, the traffic"
    )
    parser.add_argument("app", metavar="APP", help="module:attribute of the executor")
    parser.add_argument(
        "--listen", type=partial(listen_address, bare_port=True), default=("127.0.0.1", 8080), metavar="HOST:PORT",
        help="default 127.0.0.1:8080; port 0 takes a free one",
    )  # fmt: skip
    parser.add_argument("--task-type", default="", help="of the run; default: the first one offered")
    parser.add_argument("--input", metavar="JSON|@FILE|-", help="of the run; default: made from the published schema")
    parser.add_argument("--agents", type=_agents, default=3, metavar="N", help="of the run (default 3)")
    parser.add_argument("--no-run", action="store_true", help="start no run")


def run(given: argparse.Namespace) -> int:
    """Go on until Ctrl-C; `--json` prints one event a line."""
    # Loaded here: no other command needs rich and watchfiles.
    from executor_sdk.cli.developing.printing import printer

    samples = () if given.input is None else (Sample("", "", json_given(given.input), "file"),)
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as the process that serves does, so that its sources are found
    with listening_at(*given.listen) as listening, tempfile.TemporaryDirectory(prefix="executor-dev-") as folder:
        session = _Session(given, listening, samples, Path(folder), printer(as_json=given.json))
        try:
            anyio.run(session.live)
        except* BrokenPipeError:
            # As the other commands: the reader of our output has seen enough.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.GOOD


@dataclass(frozen=True)
class _Session:
    """From the command to Ctrl-C."""

    given: argparse.Namespace
    listening: socket.socket
    samples: tuple[Sample, ...]
    #: For the kernel's state; removed with everything in it.
    folder: Path
    tell: Callable[[dict[str, Any]], None]

    async def live(self) -> None:
        """Serve, and try, until a signal comes."""
        from executor_sdk.cli.developing.reloading import Changes

        self.tell({"event": "served", "app": self.given.app, "url": url_of(self.listening)})
        async with anyio.create_task_group() as group:
            await group.start(_until_signalled, group.cancel_scope)
            async with self._kernel() as kernel:
                changes, ended = Changes(self.given.app), ""
                group.start_soon(changes.watch)
                while True:
                    ended = await self._one(kernel, changes, ended)

    async def _one(self, kernel: TrialKernel | None, changes: Any, ended: str) -> str:
        """One process, until a source changes or it ends by itself; how it ended in that case."""
        from executor_sdk.cli.developing.reloading import served

        how = ""
        async with served(self.given.app, self.listening, ended) as serving, anyio.create_task_group() as group:

            async def follow() -> None:
                nonlocal how
                async for event in serving.events():
                    self.tell(event)
                    if event["event"] == "ready" and kernel is not None:
                        group.start_soon(self._try, kernel)
                how = f"the process that served {await serving.wait()}"
                if not ended:
                    group.cancel_scope.cancel()
                # Otherwise it had loaded nothing and ended all the same: only the next save may help.

            group.start_soon(follow)
            self.tell({"event": "reloading", "changed": await changes.wait()})
            group.cancel_scope.cancel()
        return how

    @asynccontextmanager
    async def _kernel(self) -> AsyncIterator[TrialKernel | None]:
        async with AsyncExitStack() as stack:
            kernel = None
            if not self.given.no_run:
                try:
                    kernel = await stack.enter_async_context(installed_kernel()(self.folder, url_of(self.listening)))
                except NoKernelError as error:
                    self._say(Said("warning", f"there is no run: {error}"))
            yield kernel

    async def _try(self, kernel: TrialKernel) -> None:
        """Have the handler do its part in a run, with sample inputs."""
        try:
            async with ExecutorClient(url_of(self.listening)) as client:
                sample = choose(await client.describe(), self.samples, task_type=self.given.task_type)
        except ClientError as error:
            self._say(Said("bad", f"no run: /capabilities: {error.message}"))
            return
        await kernel.run(Trial(sample.task_type, sample.profile, sample.inputs, self.given.agents), self._say)

    def _say(self, said: Said) -> None:
        self.tell({"event": "run", "weight": said.weight, "sentence": said.sentence, "mend": said.mend})


async def _until_signalled(
    scope: anyio.CancelScope, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """End the session at the first signal; a second one of the same kind ends this process at once."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            break
    scope.cancel()


def _agents(text: str) -> int:
    count = int(text)
    if not 1 <= count <= MAX_AGENTS:
        raise argparse.ArgumentTypeError(f"{text} is not from 1 to {MAX_AGENTS}")
    return count
