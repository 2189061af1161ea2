"""The worker: claims steps, keeps several in flight, and hands back what it cannot finish."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable

import anyio
from anyio.abc import TaskGroup

from kernel_stub.rules.states import StepState
from kernel_stub.runs.attempt import Attempts, no_failpoint
from kernel_stub.runs.queue import Holding, Queue
from kernel_stub.settings import MIN_POLL_MS, KernelSettings
from kernel_stub.store.port import Store


class Worker:
    """One loop of claims. `settings.concurrency` steps are in flight at once, each in a task of its own."""

    def __init__(
        self,
        store: Store,
        attempts: Attempts,
        settings: KernelSettings,
        *,
        clock: Callable[[], int],
        worker_id: str | None = None,
        failpoint: Callable[[str], None] = no_failpoint,
    ) -> None:
        self.worker_id = worker_id or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._store = store
        self._attempts = attempts
        self._settings = settings
        self._queue = Queue(store, settings, owner=self.worker_id, clock=clock, failpoint=failpoint)
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
        try:
            async with anyio.create_task_group() as helpers:
                helpers.start_soon(self._queue.keep)
                helpers.start_soon(self._listen)
                async with anyio.create_task_group() as steps:
                    await self._claim_until_stopped(steps, once=once)
                    await self._drain(steps)
                helpers.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._queue.release()

    async def _claim_until_stopped(self, steps: TaskGroup, *, once: bool) -> None:
        while not self._stopping:
            self._stir = anyio.Event()
            free = self._settings.concurrency - self._in_flight
            claimed = await self._queue.claim(free) if free > 0 else []
            for state in claimed:
                self._in_flight += 1
                steps.start_soon(self._attempt, state)
            if once and not claimed and not self._in_flight:
                return
            # Fewer than asked for: nothing more is due. As many: only a step that ends makes room.
            await self._wait_for_work()

    async def _wait_for_work(self) -> None:
        stir = self._stir
        with anyio.move_on_after(max(self._settings.poll_ms, MIN_POLL_MS) / 1000):
            await stir.wait()

    async def _listen(self) -> None:
        """Pass on what changes in this process."""
        while True:
            await self._store.changed.wait()
            self._stir.set()

    async def _drain(self, steps: TaskGroup) -> None:
        with anyio.move_on_after(self._settings.drain_s):
            while self._in_flight:
                self._stir = anyio.Event()
                await self._stir.wait()
        steps.cancel_scope.cancel()

    async def _attempt(self, claimed: StepState) -> None:
        with anyio.CancelScope() as scope:
            holding = Holding(claimed, scope)
            self._queue.hold(holding)
            await self._attempts.run(claimed)
        if scope.cancelled_caught:
            # Let go: taken over by another worker, or its run is being cancelled.
            await self._attempts.abandon(claimed.step)
        # Not in a `finally`: what a stop cuts short stays held, and is handed back.
        self._queue.drop(holding)
        self._in_flight -= 1
        self._stir.set()
