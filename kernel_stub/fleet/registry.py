"""The executor registry: add or replace by name, list, find, check."""

from __future__ import annotations

from typing import Final

from executor_sdk.client.base_url import masked
from executor_sdk.errors import ExecutorRefusedError, ExecutorUnreachableError
from kernel_stub.errors import ExecutorNotFoundError, UnavailableError
from kernel_stub.fleet.clients import Clients
from kernel_stub.rules.records import ExecutorEntry
from kernel_stub.store.port import Executors

#: Seconds a health check may take: a person waits for it.
CHECK_TIMEOUT_S: Final = 5.0

#: Two names of one thing: each is tried where only the other is registered.
_STANDS_IN: Final = {"rt": "core-agent", "core-agent": "rt"}


class ExecutorUnhealthyError(UnavailableError):
    """The executor cannot be reached, or says that it is not healthy."""

    code = "EXECUTOR_UNHEALTHY"


class ExecutorRegistry:
    """The executors of one kernel, kept in its store."""

    def __init__(self, executors: Executors, clients: Clients) -> None:
        self._executors = executors
        self._clients = clients

    async def add(self, entry: ExecutorEntry) -> None:
        """Register `entry`, replacing the one of its name; nothing is probed."""
        await self._executors.put(entry)

    async def entries(self) -> list[ExecutorEntry]:
        """All of them, by name."""
        return await self._executors.all()

    async def find(self, name: str) -> ExecutorEntry:
        """The entry that a step of executor `name` runs on.

        Raises:
            ExecutorNotFoundError: neither the name nor its stand-in is registered.
        """
        entry = await self._executors.find(name)
        if entry is None and name in _STANDS_IN:
            entry = await self._executors.find(_STANDS_IN[name])
        if entry is None:
            raise ExecutorNotFoundError(name)
        return entry

    async def check(self, name: str) -> None:
        """Ask the executor for its health.

        Raises:
            ExecutorNotFoundError: it is not registered.
            ExecutorUnhealthyError: it gave no answer, or one that is not 2xx.
        """
        entry = await self.find(name)
        client = self._clients.to(entry, timeout_s=CHECK_TIMEOUT_S, resends=0)
        try:
            await client.health()
        except ExecutorUnreachableError:
            raise ExecutorUnhealthyError(f"error sending request for url ({_health_url(entry)})") from None
        except ExecutorRefusedError as error:
            raise ExecutorUnhealthyError(f"runtime /health status: {error.status} {error.reason_phrase}") from None


def _health_url(entry: ExecutorEntry) -> str:
    return masked(entry.base_url).rstrip("/") + "/health"
