"""Code that blocks the event loop is named in the log while it does."""

from __future__ import annotations

import threading
from typing import Any

import httpx2
import pytest

from executor_sdk import Executor
from executor_sdk.testing.server import serve
from executor_sdk.transports.asgi import stalls
from tests.executor_sdk.transports.test_asgi import make_body, until


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that may stand still for a short time only."""
    monkeypatch.setattr(stalls, "STALL_S", 0.3)
    monkeypatch.setattr(stalls, "LOOK_S", 0.01)


def test_a_loop_that_stands_still_is_told_once_with_the_line(caplog: pytest.LogCaptureFixture) -> None:
    """While it does, because it may do so until the end; and that it goes on."""
    executor, release = Executor("test", "blocks-1"), threading.Event()

    @executor.execute("swarm")
    async def holds_up(inputs: dict[str, Any]) -> dict[str, Any]:
        release.wait(20)
        return {"answer": "late"}

    with serve(executor) as server:
        caller = threading.Thread(target=httpx2.post, args=[f"{server.url}/execute"], kwargs={"content": make_body()})
        caller.start()
        # Not any stall: on a busy machine the loop may have had one before.
        until(lambda: "in holds_up\n" in caplog.text)
        release.set()
        caller.join(20)
        until(lambda: "goes on after" in caplog.text)

    [stood] = [told for told in caplog.messages if "in holds_up\n    release.wait(20)" in told]
    assert stood.startswith("the event loop has stood still for 0.3 s, and with it every call")


def test_the_thread_beside_the_loop_ends_with_the_application() -> None:
    """Also where the loop ends before it could answer."""
    executor = Executor("test", "ends-1")
    for _ in range(3):
        with serve(executor):
            pass

    until(lambda: "stalls" not in {thread.name for thread in threading.enumerate()})
