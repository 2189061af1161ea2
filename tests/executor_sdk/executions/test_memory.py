"""The ledger in memory keeps the contract."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from executor_sdk.executions.memory import MemoryLedger
from executor_sdk.executions.record import RECORD_BYTES, Keep, Outcome, State
from executor_sdk.protocol.canonical import declared_bytes
from tests.executor_sdk.executions.ledger_contract import NOW, LedgerContract, make_ask, make_work

pytestmark = pytest.mark.anyio


class TestMemoryLedger(LedgerContract):
    """The contract, on dicts."""

    @pytest.fixture
    def ledger(self) -> MemoryLedger:
        """An empty ledger."""
        return MemoryLedger()


async def test_forgetting_much_at_once_takes_no_longer_for_each() -> None:
    """The loop stands still meanwhile: eight times as much may not take sixty-four times as long."""

    async def seconds_to_forget(count: int) -> float:
        ledger = MemoryLedger()
        for number in range(count):
            await ledger.open(make_ask(f"exec-{number}"), make_work(ledger, f"work-{number}"))
            await ledger.end(f"work-{number}", State.ANSWERED, Outcome(200, b"{}"), NOW)
        began = time.process_time()
        await ledger.make_room(Keep(count=0, total_bytes=0, age_ms=0), NOW + 1)
        return time.process_time() - began

    few = min([await seconds_to_forget(5_000) for _ in range(3)])

    assert await seconds_to_forget(40_000) < 24 * few


async def test_a_record_takes_about_what_it_is_counted_for() -> None:
    """Bounds in bytes are worth nothing otherwise: answers come in buffers that are larger than they say."""
    ledger, count = MemoryLedger(), 500
    tracemalloc.start()
    try:
        for number in range(count):
            await ledger.open(make_ask(f"exec-{number}"), make_work(ledger, f"work-{number}"))
            outcome = Outcome(200, declared_bytes({"answer": number}))
            await ledger.end(f"work-{number}", State.ANSWERED, outcome, NOW)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert taken / count < 1.5 * RECORD_BYTES
