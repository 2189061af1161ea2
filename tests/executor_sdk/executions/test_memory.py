"""The ledger in memory keeps the contract."""

from __future__ import annotations

import pytest

from executor_sdk.executions.memory import MemoryLedger
from tests.executor_sdk.executions.ledger_contract import LedgerContract

pytestmark = pytest.mark.anyio


class TestMemoryLedger(LedgerContract):
    """The contract, on dicts."""

    @pytest.fixture
    def ledger(self) -> MemoryLedger:
        """An empty ledger."""
        return MemoryLedger()
