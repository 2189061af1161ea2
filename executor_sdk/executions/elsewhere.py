"""Work of other processes on the same ledger: how it is waited for, and how both sides hear of each other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from executor_sdk.executions.ledger import Ledger
from executor_sdk.executions.live import LiveWork
from executor_sdk.executions.presence import Presence
from executor_sdk.executions.record import Key, Work

#: Seconds between two looks at work that another process runs, and at what it asks of ours.
LOOK_S: Final = 0.1
REPORT_S: Final = 0.5

#: Looks between two questions whether the processes still live whose work is waited for.
BURY_EVERY: Final = 5

logger = logging.getLogger(__name__)


class Elsewhere:
    """What other processes do and want. Nothing runs here while nobody waits and no work is shared."""

    def __init__(self, ledger: Ledger, live: Mapping[str, LiveWork], clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._live = live
        self._clock = clock
        #: Those who wait here for work of other processes, by its id.
        self._waiters: dict[str, dict[asyncio.Future[Work | None], Key]] = {}
        self._stirred: set[asyncio.Future[Work | None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._reporting: asyncio.Task[None] | None = None

    async def wait(self, key: Key, work_id: str, presence: Presence[Work]) -> Work | None:
        """The ended work, or None once the caller is gone or the work is no longer this ask's."""
        waiter: asyncio.Future[Work | None] = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(work_id, {})
        waiters[waiter] = key
        try:
            if len(waiters) == 1:
                await self._ledger.wait_for(work_id)
            if self._looking is None or self._looking.done():
                self._looking = asyncio.create_task(self._look())
            return await presence.wait(waiter)
        finally:
            del waiters[waiter]
            if not waiters:
                self._waiters.pop(work_id, None)
                await self._ledger.leave(work_id)

    async def moment(self, presence: Presence[Work]) -> None:
        """Return when something may have changed: `stir` was called, some time has passed, or the caller is gone."""
        loop = asyncio.get_running_loop()
        stirred: asyncio.Future[Work | None] = loop.create_future()
        self._stirred.add(stirred)
        timer = loop.call_later(LOOK_S, _set, stirred)
        try:
            await presence.wait(stirred)
        finally:
            timer.cancel()
            self._stirred.discard(stirred)

    def stir(self) -> None:
        """A thread that outlasted its work has returned."""
        for stirred in self._stirred:
            _set(stirred)

    def follow_reports(self) -> None:
        """There is work here: tell others how far it is, and hear what they cancel, for as long as there is any."""
        if self._ledger.shared and (self._reporting is None or self._reporting.done()):
            self._reporting = asyncio.create_task(self._report())

    async def close(self) -> None:
        """Stop looking and reporting."""
        tasks = [task for task in (self._looking, self._reporting) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _look(self) -> None:
        looks = 0
        while self._waiters:
            await asyncio.sleep(LOOK_S)
            looks += 1
            try:
                if looks % BURY_EVERY == 0:
                    await self._ledger.bury(self._clock())
                await self._tell()
            except Exception:
                logger.exception("the ledger could not be read for work of other processes")

    async def _tell(self) -> None:
        for work_id, waiters in list(self._waiters.items()):
            for waiter, key in list(waiters.items()):
                work = await self._ledger.find(key)
                if (work is None or work.ended or work.work_id != work_id) and not waiter.done():
                    waiter.set_result(work if work is not None and work.ended else None)

    async def _report(self) -> None:
        while self._live:
            seen = {work_id: (live.progressed, live.note) for work_id, live in self._live.items()}
            try:
                for work in await self._ledger.report(seen):
                    if work.cancel_reason is not None and (live := self._live.get(work.work_id)) is not None:
                        live.cancel(work.cancel_reason)
            except Exception:
                logger.exception("the ledger could not be told how far the work is")
            await asyncio.sleep(REPORT_S)


def _set(future: asyncio.Future[Work | None]) -> None:
    if not future.done():
        future.set_result(None)
