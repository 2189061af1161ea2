"""The steps that one worker holds: claimed, kept while they run, let go of, and handed back."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import anyio

from kernel_stub.errors import StoreError
from kernel_stub.rules.records import Step
from kernel_stub.rules.states import StepState
from kernel_stub.runs.answering import PROBES
from kernel_stub.settings import KernelSettings
from kernel_stub.store.claims import ClaimOrder
from kernel_stub.store.port import Queue

_log: Final = logging.getLogger("kernel_stub.runs")

#: The longest a step runs on after its run was cancelled by another process.
_MAX_TICK_S: Final = 1.0


@dataclass(slots=True)
class Holding:
    """A step in hand; cancelling `scope` lets go of it."""

    step: Step
    scope: anyio.CancelScope
    #: When a step that the store would not settle is handed back, on the monotonic clock.
    hand_back_at_s: float | None = None


class Holdings:
    """What one worker holds under the id `holder`, by which the store knows whether the worker lives."""

    def __init__(
        self,
        queue: Queue,
        settings: KernelSettings,
        *,
        owner: str,
        holder: str,
        clock: Callable[[], int],
        failpoint: Callable[[str], None],
    ) -> None:
        self._queue = queue
        self._settings = settings
        self._owner = owner
        self._holder = holder
        self._clock = clock
        self._failpoint = failpoint
        self._held: dict[str, Holding] = {}

    async def claim(self, answering: frozenset[str]) -> list[StepState]:
        """T1: as many steps as there are places; none if the store fails, which is logged.

        Steps in flight at executors that do not answer take no place of the others.
        """
        in_flight = Counter(held.step.executor for held in self._held.values() if held.hand_back_at_s is None)
        answered = sum(count for executor, count in in_flight.items() if executor in answering)
        order = ClaimOrder(
            owner=self._owner,
            holder=self._holder,
            places=self._settings.concurrency - answered,
            probes=PROBES - (in_flight.total() - answered),
            now_ms=self._clock(),
            max_recoveries=self._settings.max_recoveries,
            per_executor=self._settings.most_of_one_executor,
            in_flight=in_flight,
            answering=answering,
        )
        if order.places <= 0 and order.probes <= 0:
            return []
        self._failpoint("T1:before")
        try:
            claimed = await self._queue.claim(order)
        except Exception:  # noqa: BLE001 - a store that fails must not end the worker, nor the API beside it
            _log.exception("worker %s could not claim", self._owner)
            return []
        self._failpoint("T1:after")
        return claimed

    def hold(self, holding: Holding) -> None:
        """Keep this step until it is dropped."""
        self._held[holding.step.step_id] = holding

    def drop(self, holding: Holding) -> None:
        """Its attempt has come to an end."""
        self._held.pop(holding.step.step_id, None)

    def hand_back_later(self, holding: Holding) -> None:
        """The store would not settle it: it is resumed with the same bytes, once the store had time to recover."""
        holding.hand_back_at_s = time.monotonic() + self._settings.lease_ms / 1000

    async def keep(self) -> None:
        """Look after what is held for as long as this runs: a step that must be let go is cancelled."""
        tick_s = min(self._settings.lease_ms / 3000, _MAX_TICK_S)
        while True:
            changed = self._queue.changed
            with anyio.move_on_after(tick_s):
                # A cancellation in this process is told at once, one in another with the next look.
                await changed.wait()
            await self._let_go()
            await self._hand_back()

    async def release(self) -> None:
        """Hand back what is still held, for the next worker to resume at once."""
        await self._released(list(self._held.values()))

    async def _let_go(self) -> None:
        leases = _leases(self._held.values())
        if not leases:
            return
        try:
            lost = await self._queue.lost(leases)
        except StoreError:
            _log.exception("worker %s could not look after its leases", self._owner)
            return
        for step_id in lost:
            holding = self._held.get(step_id)
            # It may have been settled and claimed again since the store was asked.
            if holding is not None and holding.step.lease_id == leases[step_id]:
                holding.scope.cancel()
                if holding.hand_back_at_s is not None:
                    # Its attempt has ended already: the one who claims it next ends it with its run.
                    holding.hand_back_at_s = time.monotonic()

    async def _hand_back(self) -> None:
        now_s = time.monotonic()
        await self._released(
            [held for held in self._held.values() if held.hand_back_at_s is not None and held.hand_back_at_s <= now_s]
        )

    async def _released(self, holdings: list[Holding]) -> None:
        leases = _leases(holdings)
        if not leases:
            return
        try:
            await self._queue.release(leases)
        except StoreError:
            # Tried again with the next look; and whatever a dead worker held is resumed.
            _log.exception("worker %s could not hand back its steps", self._owner)
            return
        for holding in holdings:
            self.drop(holding)


def _leases(holdings: Iterable[Holding]) -> dict[str, str]:
    """Step ids to lease ids."""
    return {held.step.step_id: held.step.lease_id or "" for held in holdings}
