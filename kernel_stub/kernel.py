"""The composition root: one open kernel, its store, its executors, its commands and its workers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from executor_sdk.artifacts.folder import FolderArtifacts
from executor_sdk.client.pool import Http, pooled_http
from executor_sdk.protocol.plain import Json
from kernel_stub.fleet.clients import Clients
from kernel_stub.fleet.registry import ExecutorRegistry
from kernel_stub.log.forms import PROTOCOL_VERSION
from kernel_stub.log.identity import Identity
from kernel_stub.runs.attempt import Attempts, no_failpoint
from kernel_stub.runs.audit import Audit
from kernel_stub.runs.commands import RunCommands
from kernel_stub.runs.worker import Worker
from kernel_stub.settings import KernelSettings
from kernel_stub.store.port import Store
from kernel_stub.store.url import open_store


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
    registry: ExecutorRegistry
    runs: RunCommands
    audit: Audit
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
    pool = pooled_http() if http is None else http
    try:
        async with open_store(settings.store_url or settings.store_path, seed_path=settings.seed_path) as store:
            clients = Clients(settings, pool)
            registry = ExecutorRegistry(store.executors, clients)
            trusted = frozenset({store.identity.node_id, *settings.trusted_keys})
            audit = Audit(store.log, trusted, FolderArtifacts(settings.outputs_dir))
            runs = RunCommands(store.runs, clock)
            yield Kernel(settings, store.identity, store, clients, registry, runs, audit, clock)
    finally:
        if http is None:
            await pool.aclose()
