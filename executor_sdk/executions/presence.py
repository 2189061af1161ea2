"""Presence: whether one caller is still there, told by its transport and heard by those who wait on its behalf."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Presence(Generic[T]):
    """One caller. A transport that sees it hang up calls `leave`; without a transport it never leaves."""

    __slots__ = ("_waiter", "gone")

    def __init__(self) -> None:
        self.gone = False
        self._waiter: asyncio.Future[T | None] | None = None

    def leave(self) -> None:
        """The caller hung up: those who wait for it stop at once."""
        self.gone = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self, waiter: asyncio.Future[T | None]) -> T | None:
        """The future's result, or None once the caller is gone."""
        if self.gone:
            return None
        self._waiter = waiter
        return await waiter
