"""The ledger in memory keeps the contract."""

from __future__ import annotations

import pytest

from executor_sdk.executions.memory import MemoryLedger
from tests.executor_sdk.executions.ledger_contract import ANSWER, LedgerContract, make_ask

pytestmark = pytest.mark.anyio


class TestMemoryLedger(LedgerContract):
    """The contract, on dicts."""

    #: It keeps the body of each ask, too.
    bytes_of_one_work = len(ANSWER.body) + len(make_ask().body)

    @pytest.fixture
    def ledger(self) -> MemoryLedger:
        """An empty ledger."""
        return MemoryLedger()
