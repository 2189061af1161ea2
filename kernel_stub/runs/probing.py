"""What executors can do, remembered for a moment: a batch of steps asks each of them once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from executor_sdk.protocol.wire import Capabilities


@dataclass(slots=True)
class _Known:
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    capabilities: Capabilities | None = None
    until_ms: int = 0


class Probes:
    """Answers of `/health` and `/capabilities` by address, for `ttl_ms` each; a failure is never remembered."""

    def __init__(self, ttl_ms: int, clock: Callable[[], int]) -> None:
        self._ttl_ms = ttl_ms
        self._clock = clock
        self._known: dict[str, _Known] = {}

    async def capabilities(self, address: str, probe: Callable[[], Awaitable[Capabilities]]) -> Capabilities:
        """What the executor at `address` can do; asked by one step at a time."""
        known = self._known.setdefault(address, _Known())
        async with known.lock:
            if known.capabilities is None or known.until_ms <= self._clock():
                known.capabilities = None
                known.capabilities = await probe()
                known.until_ms = self._clock() + self._ttl_ms
            return known.capabilities
