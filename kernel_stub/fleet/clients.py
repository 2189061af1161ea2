"""Clients to executors: one pool of connections for a whole kernel."""

from __future__ import annotations

from executor_sdk.client.executor_client import ExecutorClient
from executor_sdk.client.pool import Http
from kernel_stub.rules.records import ExecutorEntry
from kernel_stub.settings import KernelSettings


class Clients:
    """Hands out a client per executor; all share one pool, and a client is cheap to make."""

    def __init__(self, settings: KernelSettings, http: Http) -> None:
        self._settings = settings
        self._http = http

    def to(self, entry: ExecutorEntry, *, timeout_s: float | None = None, resends: int | None = None) -> ExecutorClient:
        """A client to `entry`, with the kernel's timeout and resends unless others are given."""
        return ExecutorClient(
            entry.base_url,
            timeout_s=self._settings.call_timeout_s if timeout_s is None else timeout_s,
            resends=self._settings.resends if resends is None else resends,
            http=self._http,
        )
