"""A worker's side of the queue: claims, and the leases it holds while its steps run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import anyio

from kernel_stub.errors import StoreError
from kernel_stub.rules.states import StepState
from kernel_stub.settings import KernelSettings
from kernel_stub.store.port import Store

_log: Final = logging.getLogger("kernel_stub.runs")

#: A lease is renewed this often in its time, so that one renewal may fail.
_RENEWALS_A_LEASE: Final = 3

#: The longest a step runs on after its run was cancelled by another process.
_MAX_TICK_MS: Final = 1_000


@dataclass(slots=True)
class Holding:
    """A step in hand; cancelling `scope` lets go of it."""

    claimed: StepState
    scope: anyio.CancelScope


class Queue:
    """Claims steps for one worker and keeps them while they run."""

    def __init__(
        self,
        store: Store,
        settings: KernelSettings,
        *,
        owner: str,
        clock: Callable[[], int],
        failpoint: Callable[[str], None],
    ) -> None:
        self._store = store
        self._settings = settings
        self._owner = owner
        self._clock = clock
        self._failpoint = failpoint
        self._holdings: dict[str, Holding] = {}

    async def claim(self, limit: int) -> list[StepState]:
        """T1: up to `limit` steps; none if the store fails, which is logged."""
        self._failpoint("T1:before")
        try:
            claimed = await self._store.claim(
                owner=self._owner,
                limit=limit,
                now_ms=self._clock(),
                lease_ms=self._settings.lease_ms,
                max_recoveries=self._settings.max_recoveries,
            )
        except Exception:  # noqa: BLE001 - one row that cannot be read must not end the worker, nor the API beside it
            _log.exception("worker %s could not claim", self._owner)
            return []
        self._failpoint("T1:after")
        return claimed

    def hold(self, holding: Holding) -> None:
        """Renew this step's lease from now on."""
        self._holdings[holding.claimed.step.step_id] = holding

    def drop(self, holding: Holding) -> None:
        """Its attempt has come to an end."""
        self._holdings.pop(holding.claimed.step.step_id, None)

    async def keep(self) -> None:
        """Renew every lease for as long as this runs; a step that must be let go is cancelled."""
        tick_s = min(self._settings.lease_ms / _RENEWALS_A_LEASE, _MAX_TICK_MS) / 1000
        while True:
            changed = self._store.changed
            with anyio.move_on_after(tick_s):
                # A cancellation in this process is told at once, one in another with the next renewal.
                await changed.wait()
            await self._renew()

    async def release(self) -> None:
        """Hand back what is still held, for the next worker to resume at once."""
        if leases := self._leases():
            try:
                await self._store.release(leases)
            except StoreError:
                _log.exception("worker %s could not hand back its steps", self._owner)

    async def _renew(self) -> None:
        if not (leases := self._leases()):
            return
        try:
            lost = await self._store.renew(leases, self._clock() + self._settings.lease_ms)
        except StoreError:
            _log.exception("worker %s could not renew its leases", self._owner)
            return
        for step_id in lost:
            holding = self._holdings.get(step_id)
            # It may have been settled, and claimed anew, while the renewal was under way.
            if holding is not None and holding.claimed.step.lease_id == leases[step_id]:
                holding.scope.cancel()

    def _leases(self) -> dict[str, str]:
        steps = (holding.claimed.step for holding in self._holdings.values())
        return {step.step_id: step.lease_id for step in steps if step.lease_id is not None}
