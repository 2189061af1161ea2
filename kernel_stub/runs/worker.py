"""The worker: claims steps, keeps several in flight, and hands back what it cannot finish."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

from kernel_stub.rules.states import StepState
from kernel_stub.runs.answering import Answering
from kernel_stub.runs.attempt import Attempts, no_failpoint
from kernel_stub.runs.holdings import Holding, Holdings
from kernel_stub.settings import MIN_POLL_MS, KernelSettings
from kernel_stub.store.port import Queue


class Worker:
    """One loop of claims. `settings.concurrency` steps are in flight at once, each in a task of its own."""

    def __init__(
        self,
        queue: Queue,
        attempts: Attempts,
        settings: KernelSettings,
        *,
        clock: Callable[[], int],
        worker_id: str | None = None,
        failpoint: Callable[[str], None] = no_failpoint,
    ) -> None:
        self.worker_id = worker_id or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._queue = queue
        self._attempts = attempts
        self._settings = settings
        self._clock = clock
        self._failpoint = failpoint
        self._in_flight = 0
        self._stopping = False
        #: Set when there may be something to do: a step ended, one became due, or the worker is to stop.
        self._stir = anyio.Event()

    def stop(self) -> None:
        """Claim nothing more; steps in flight have `settings.drain_s` to end."""
        self._stopping = True
        self._stir.set()

    async def run(self, *, once: bool = False) -> None:
        """Work until `stop()`; with `once`, until nothing is due and nothing in flight."""
        async with self._queue.holder() as holder:
            holdings = Holdings(
                self._queue,
                self._settings,
                owner=self.worker_id,
                holder=holder,
                clock=self._clock,
                failpoint=self._failpoint,
            )
            try:
                async with anyio.create_task_group() as helpers:
                    helpers.start_soon(holdings.keep)
                    helpers.start_soon(self._listen, self._queue)
                    helpers.start_soon(self._listen, self._attempts.answering)
                    async with anyio.create_task_group() as steps:
                        await self._claim_until_stopped(steps, holdings, once=once)
                        await self._drain(steps)
                    helpers.cancel_scope.cancel()
            finally:
                with anyio.CancelScope(shield=True):
                    await holdings.release()

    async def _claim_until_stopped(self, steps: TaskGroup, holdings: Holdings, *, once: bool) -> None:
        while not self._stopping:
            self._stir = anyio.Event()
            # Asked before the claim: a step that ends meanwhile may leave the place that another one waits for.
            idle = not self._in_flight
            claimed = await holdings.claim(self._attempts.answering.names)
            for state in claimed:
                self._in_flight += 1
                holdings.hold(holding := Holding(state.step, anyio.CancelScope()))
                steps.start_soon(self._attempt, state, holdings, holding)
            if once and not claimed and idle:
                return
            # Fewer than there are places: nothing more is due. As many: only a step that ends makes room.
            await self._wait_for_work()

    async def _wait_for_work(self) -> None:
        stir = self._stir
        with anyio.move_on_after(max(self._settings.poll_ms, MIN_POLL_MS) / 1000):
            await stir.wait()

    async def _listen(self, source: Queue | Answering) -> None:
        """Pass on what changes in this process, and that an executor answers which did not: it may have more steps."""
        while True:
            await source.changed.wait()
            self._stir.set()

    async def _drain(self, steps: TaskGroup) -> None:
        with anyio.move_on_after(self._settings.drain_s):
            while self._in_flight:
                self._stir = anyio.Event()
                await self._stir.wait()
        steps.cancel_scope.cancel()

    async def _attempt(self, claimed: StepState, holdings: Holdings, holding: Holding) -> None:
        settled = False
        with holding.scope:
            settled = await self._attempts.run(claimed)
        if holding.scope.cancelled_caught:
            # Let go: taken over by another worker, or its run is being cancelled.
            settled = await self._attempts.abandon(claimed.step)
        # Not in a `finally`: what a stop cuts short stays held, and is handed back.
        if settled:
            holdings.drop(holding)
        else:
            holdings.hand_back_later(holding)
        self._in_flight -= 1
        self._stir.set()
