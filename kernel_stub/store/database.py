"""What the store asks of a database: transactions, named statements, and who of those that share it is alive.

A dialect is a folder of SQL beside the shared one, and an adapter of this protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

import anyio

from kernel_stub.store.rows import Row

T = TypeVar("T")


class Transaction(Protocol):
    """Runs named statements, which count all together or not at all."""

    def run(self, name: str, /, **values: Any) -> list[Row]: ...

    def run_each(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None: ...


class Database(Protocol):
    """Transactions, each in a thread of the adapter's."""

    @property
    def changed(self) -> anyio.Event:
        """Set by the next `wake`; take it before looking for work."""
        ...

    def wake(self) -> None:
        """Tell everybody who waits for work that a step became due, or that a run is to stop."""
        ...

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction and return its result once it is durable; it may run twice.

        Raises:
            StoreError: it was not written. What `work` raises passes, with nothing written.
        """
        ...

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on the rows of one moment."""
        ...

    def holder(self) -> AbstractAsyncContextManager[str]:
        """An id under which steps may be held: alive until the block or the process ends, and not a moment longer."""
        ...

    def is_alive(self, transaction: Transaction, holder: str) -> bool:
        """Whether this holder is alive, asked of the system; clocks and silence do not matter."""
        ...

    async def aclose(self) -> None: ...
