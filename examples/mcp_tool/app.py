"""Calls a tool of an MCP server: one session for the process, and the tool's errors told as the kernel needs them.

Run `executor serve examples.mcp_tool.app:executor`; it starts the MCP server beside it.
"""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

from mcp import Client, MCPError, StdioServerParameters
from pydantic import BaseModel, ValidationError

from executor_sdk import Executor, Refuse, TryLater

SERVER = StdioServerParameters(command=sys.executable, args=[str(Path(__file__).with_name("server.py"))])


async def rooms() -> AsyncIterator[Client]:
    async with Client(SERVER, read_timeout_seconds=20) as client:
        yield client


executor = Executor(provider_family="acme", model_id="rooms-1", lifespan=rooms)


class Ask(BaseModel):
    day: str


class Booking(BaseModel):
    decision: Literal["ROOM", "NO_ROOM"]
    answer: str


class FreeRooms(BaseModel):
    result: list[str]


@executor.execute("swarm", timeout_s=60)
async def book(ask: Ask, rooms: Client) -> Booking:
    try:
        called = await rooms.call_tool("free_rooms", {"day": ask.day})
        if called.is_error:  # the tool's own word about these arguments
            raise Refuse("TOOL_ERROR", " ".join(one.text for one in called.content if one.type == "text")[:500])
        free = FreeRooms.model_validate(called.structured_content).result
    except (MCPError, ValidationError) as error:  # no answer, or no answer of this tool
        raise TryLater("the rooms cannot be asked now") from error
    return Booking(decision="ROOM", answer=free[0]) if free else Booking(decision="NO_ROOM", answer="none")


@executor.health
async def server_answers(rooms: Client) -> None:
    await rooms.list_tools()  # raises once the server has died: only a restart opens another session
