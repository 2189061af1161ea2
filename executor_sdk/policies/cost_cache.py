"""A cache bounded by what its values cost instead of by their number."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Generic, Protocol, TypeVar


class Costly(Protocol):
    """A value that knows what keeping it takes."""

    @property
    def cost_bytes(self) -> int:
        """Bytes of memory, as an upper guess."""


V = TypeVar("V", bound=Costly)


class CostCache(Generic[V]):
    """Values by text; once all together cost too much, the least recently used are dropped. Safe between threads."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.total_bytes = 0
        self._values: OrderedDict[bytes, V] = OrderedDict()
        self._lock = Lock()

    def get(self, text: bytes) -> V | None:
        """The value of `text`, which is now the last to be dropped; None where it is not kept."""
        # No lock on the request path: each step is one step for other threads too, and a value dropped between the
        # two is told as not kept.
        try:
            value = self._values[text]
            self._values.move_to_end(text)
        except KeyError:
            return None
        return value

    def add(self, text: bytes, value: V) -> None:
        """Keep `value`, unless it alone costs more than the whole cache may."""
        if value.cost_bytes > self.max_bytes:
            return
        with self._lock:
            # Two threads may have made the same value at the same time.
            if text in self._values:
                return
            self._values[text] = value
            self.total_bytes += value.cost_bytes
            while self.total_bytes > self.max_bytes:
                _, dropped = self._values.popitem(last=False)
                self.total_bytes -= dropped.cost_bytes

    def __contains__(self, text: bytes) -> bool:
        return text in self._values
