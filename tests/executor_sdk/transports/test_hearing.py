"""Those who heard are told of one by one: what fails for one answer holds up no other."""

from __future__ import annotations

import anyio
import pytest

from executor_sdk.executions.executions import Reply
from executor_sdk.executions.ledger import LedgerError
from executor_sdk.executions.record import Outcome
from executor_sdk.transports.asgi.hearing import Hearing

pytestmark = pytest.mark.anyio


class Open:
    """A connection that is still there."""

    def is_closing(self) -> bool:
        return False


async def test_an_answer_that_cannot_be_told_of_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """It counts as not heard, which the log says; the others are told of."""
    told: list[str] = []

    async def heard(reply: Reply) -> None:
        assert reply.key is not None
        if reply.key[2] == "exec-0":
            raise LedgerError("the disk is full")
        told.append(reply.key[2])

    hearing = Hearing(heard)
    for number in range(3):
        hearing.sent(Reply(("", "execute", f"exec-{number}"), Outcome(200, b"{}")), Open())
    with anyio.fail_after(5):
        await hearing.flush()

    assert told == ["exec-1", "exec-2"]
    assert "the disk is full" in caplog.text
