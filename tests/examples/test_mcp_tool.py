"""The tool of a real MCP server is called, and each way in which it fails has its own meaning for a kernel."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mcp import Client

from examples.mcp_tool import app
from examples.mcp_tool.app import executor, rooms
from examples.mcp_tool.server import server
from executor_sdk import Refuse, TryLater, in_process
from tests.examples.behind_kernel import decided

#: Dies at the first call of its tool.
MORTAL = """
import os
from mcp.server import MCPServer

server = MCPServer("mortal")

@server.tool()
def free_rooms(day: str) -> list[str]:
    os._exit(1)

server.run()
"""


def test_the_tool_of_the_server_beside_it_decides() -> None:
    """Over a pipe to a process."""
    with in_process(executor) as rt:
        monday, tuesday = (rt.execute({"day": day}).output for day in ("monday", "tuesday"))

    assert (monday.decision, monday.answer) == ("ROOM", "Blue room")
    assert (tuesday.decision, tuesday.answer) == ("NO_ROOM", "none")


async def in_memory() -> AsyncIterator[Client]:
    """The same server without a process."""
    async with Client(server) as client:
        yield client


@pytest.mark.parametrize(("day", "says"), [("sunday", "the house is closed on sunday"), ("someday", "Input should be")])
def test_what_the_tool_says_no_to_is_refused(day: str, says: str) -> None:
    """It would say the same again."""
    with in_process(executor, overrides={rooms: in_memory}) as rt, pytest.raises(Refuse, match=says) as told:
        rt.execute({"day": day})

    assert told.value.code == "TOOL_ERROR"


def test_a_server_that_is_gone_is_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel tries again, elsewhere or later, and whoever watches the health restarts the executor."""
    (tmp_path / "mortal.py").write_text(MORTAL)
    mortal = app.SERVER.model_copy(update={"args": [str(tmp_path / "mortal.py")]})
    monkeypatch.setattr(app, "SERVER", mortal)
    with in_process(executor) as rt:
        assert rt.call(lambda: rt.client.send("GET", "/health")).status == 200
        for _ in range(2):
            with pytest.raises(TryLater, match="cannot be asked now"):
                rt.execute({"day": "monday"})
        assert rt.call(lambda: rt.client.send("GET", "/health")).status == 503


@pytest.mark.anyio
async def test_three_agents_decide_behind_a_kernel(tmp_path: Path) -> None:
    """Each of them by a call of the tool."""
    served = executor.application(overrides={rooms: in_memory})
    aggregation = await decided(served, {"day": "monday"}, state_dir=tmp_path)

    assert aggregation["decision_votes"] == {"ROOM": 3}
