"""The composition root: one open kernel, its store, its executors, its commands and its workers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from anyio import to_thread

from executor_sdk.client.pool import Http, pooled_http
from executor_sdk.protocol.plain import Json
from kernel_stub.fleet.clients import Clients
from kernel_stub.fleet.registry import Registry
from kernel_stub.log.agreement import compare
from kernel_stub.log.identity import Identity, load_or_create
from kernel_stub.log.pages import PAGE_EVENTS, replay_all, verify_all
from kernel_stub.log.replay import Replay
from kernel_stub.rules.records import Step
from kernel_stub.runs.attempt import Attempts, no_failpoint
from kernel_stub.runs.commands import RunCommands
from kernel_stub.runs.worker import Worker
from kernel_stub.settings import KernelSettings
from kernel_stub.store.port import Store
from kernel_stub.store.url import open_store

#: Version that this node's events carry.
PROTOCOL_VERSION: Final = "0.1.0"


def epoch_ms() -> int:
    """Now, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Kernel:
    """One open kernel. Several processes may open the same state directory at once."""

    settings: KernelSettings
    identity: Identity
    store: Store
    clients: Clients
    registry: Registry
    runs: RunCommands
    clock: Callable[[], int]

    def worker(self, *, worker_id: str | None = None, failpoint: Callable[[str], None] = no_failpoint) -> Worker:
        """A worker on this kernel's queue; run it in a task of your own. `failpoint` is where tests kill it."""
        attempts = Attempts(
            self.store.queue,
            self.registry,
            self.clients,
            self.identity,
            self.settings,
            clock=self.clock,
            failpoint=failpoint,
        )
        return Worker(
            self.store.queue, attempts, self.settings, clock=self.clock, worker_id=worker_id, failpoint=failpoint
        )

    async def log_head(self) -> int:
        """The number of the last signed event; 0 for an empty log."""
        return await self.store.log.head()

    async def verify_log(self) -> int:
        """Recompute every hash and signature; returns how many events there are.

        Raises:
            BrokenLogError: the first event that does not hold, or is not there.
        """
        return await verify_all(self.store.log.page, head=await self.log_head())

    async def replay_log(self) -> Replay:
        """Rebuild every task from its events alone, and hold the steps that succeeded against them.

        Raises:
            BrokenLogError: the first event that does not hold, or cannot follow the ones before it.
            TablesDifferError: a step's result is not what the log says.
        """
        # Read before the log is: what a step keeps was appended no later.
        steps = await self._succeeded_steps()
        replay = await replay_all(self.store.log.page, head=await self.log_head())
        await to_thread.run_sync(compare, steps, replay.tasks)
        return replay

    async def _succeeded_steps(self) -> list[Step]:
        steps: list[Step] = []
        while page := await self.store.runs.succeeded_steps(
            after=steps[-1].step_id if steps else "", limit=PAGE_EVENTS
        ):
            steps += page
        return steps

    def node_status(self, *, running: bool) -> dict[str, Json]:
        """Who signs here, and with which version."""
        return {
            "running": running,
            "node_id": self.identity.node_id,
            "mode": "local",
            "local_protocol_version": PROTOCOL_VERSION,
            "peer_protocol_distribution": {},
        }


@asynccontextmanager
async def open_kernel(
    settings: KernelSettings,
    *,
    clock: Callable[[], int] = epoch_ms,
    http: Http | None = None,
) -> AsyncIterator[Kernel]:
    """Open the kernel of a state directory, which is made where it is missing.

    `http` is the pool for calls to executors; the kernel closes only one that it made itself.
    """
    identity = load_or_create(settings.seed_path)
    pool = pooled_http() if http is None else http
    try:
        async with open_store(settings.store_url or settings.store_path, identity=identity) as store:
            clients = Clients(settings, pool)
            registry = Registry(store.executors, clients)
            yield Kernel(settings, identity, store, clients, registry, RunCommands(store.runs, clock), clock)
    finally:
        if http is None:
            await pool.aclose()
