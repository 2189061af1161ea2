"""What was asked a moment ago, remembered: a batch of steps asks for each thing once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import anyio

T = TypeVar("T")

#: Things remembered at once: a run may name ten thousand executors that are not there.
MAX_KEYS: Final = 1_024


@dataclass(slots=True)
class _Known(Generic[T]):
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    answer: T | None = None
    until_ms: int = 0
    #: Questions that failed so far, and how the last one did.
    failures: int = 0
    failure: Exception | None = None


class Remembered(Generic[T]):
    """Answers by key, for `ttl_ms` each; a failure is told to those who waited for the answer, and forgotten."""

    def __init__(self, ttl_ms: int, clock: Callable[[], int]) -> None:
        self._ttl_ms = ttl_ms
        self._clock = clock
        self._known: dict[str, _Known[T]] = {}

    async def get(self, key: str, ask: Callable[[], Awaitable[T]]) -> T:
        """What is known of `key`; asked by one step at a time."""
        if (known := self._known.get(key)) is None:
            known = self._known[key] = _Known()
            if len(self._known) > MAX_KEYS:
                # Who waits for an answer holds what waits for it; the next one asks again.
                del self._known[next(iter(self._known))]
        if (answer := self._standing(known)) is not None:
            return answer
        failures = known.failures
        async with known.lock:
            if known.failure is not None and known.failures != failures:
                # It failed while this step waited. Asked in turn, a silent executor would hold them up for hours.
                raise known.failure
            if (answer := self._standing(known)) is None:
                answer = await self._asked(known, ask)
            return answer

    async def _asked(self, known: _Known[T], ask: Callable[[], Awaitable[T]]) -> T:
        known.answer = None
        try:
            answer = known.answer = await ask()
        except Exception as error:
            known.failures, known.failure = known.failures + 1, error
            raise
        known.until_ms = self._clock() + self._ttl_ms
        return answer

    def _standing(self, known: _Known[T]) -> T | None:
        # A clock that was set back must not make an answer stand for hours.
        return known.answer if 0 < known.until_ms - self._clock() <= self._ttl_ms else None
