"""A small kernel to test with: an open store, executors reached in process, and workers to start by hand."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2

from executor_sdk.artifacts.folder import FolderArtifacts
from kernel_stub.fleet.clients import Clients
from kernel_stub.fleet.registry import ExecutorRegistry
from kernel_stub.log.identity import Identity
from kernel_stub.rules.records import ExecutorEntry, Run
from kernel_stub.runs.attempt import Attempts, no_failpoint
from kernel_stub.runs.audit import Audit
from kernel_stub.runs.commands import RunCommands
from kernel_stub.runs.worker import Worker
from kernel_stub.settings import KernelSettings
from kernel_stub.store.port import Store
from kernel_stub.store.url import open_store


def epoch_ms() -> int:
    """Now."""
    return time.time_ns() // 1_000_000


@dataclass
class Workshop:
    """Everything that a test of runs needs."""

    settings: KernelSettings
    identity: Identity
    store: Store
    registry: ExecutorRegistry
    clients: Clients
    commands: RunCommands
    audit: Audit

    def worker(
        self,
        *,
        failpoint: Callable[[str], None] = no_failpoint,
        clock: Callable[[], int] = epoch_ms,
        **options: Any,
    ) -> Worker:
        """A worker that is not started yet."""
        attempts = Attempts(
            self.store.queue,
            self.registry,
            self.clients,
            self.identity,
            self.settings,
            clock=clock,
            failpoint=failpoint,
        )
        return Worker(self.store.queue, attempts, self.settings, clock=clock, failpoint=failpoint, **options)

    async def ended(self, run_id: str) -> Run:
        """The run, once it has ended."""
        while True:
            run = await self.store.runs.find(run_id)
            if run is not None and run.finished_at is not None:
                return run
            await anyio.sleep(0.005)


@asynccontextmanager
async def workshop(
    state_dir: Path, *, apps: dict[str, Any] | None = None, base_url: str = "http://executor", **settings: Any
) -> AsyncIterator[Workshop]:
    """Open a workshop whose executors are ASGI applications, or reached at `base_url` over sockets if none is given."""
    made = KernelSettings(state_dir, **{"poll_ms": 25, "call_timeout_s": 5.0, "drain_s": 1.0, **settings})
    async with _http(apps) as http, open_store(made.store_path, seed_path=made.seed_path) as store:
        clients = Clients(made, http)
        registry = ExecutorRegistry(store.executors, clients)
        for name in apps or {"scripted": None}:
            await store.executors.put(ExecutorEntry(name, f"http://{name}" if apps else base_url))
        audit = Audit(store.log, frozenset({store.identity.node_id}), FolderArtifacts(made.outputs_dir))
        yield Workshop(made, store.identity, store, registry, clients, RunCommands(store.runs, epoch_ms), audit)


def _http(apps: dict[str, Any] | None) -> httpx2.AsyncClient:
    if apps is None:
        return httpx2.AsyncClient(trust_env=False)
    mounts = {f"all://{name}": httpx2.ASGITransport(app) for name, app in apps.items()}
    return httpx2.AsyncClient(mounts=mounts, trust_env=False)
