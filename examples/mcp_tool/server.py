"""A small MCP server that knows which rooms are free; `examples.mcp_tool.app` starts it and calls its tool."""

from typing import Literal

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

FREE = {"monday": ["Blue room", "Attic"], "tuesday": []}

server = MCPServer("rooms", log_level="WARNING")


@server.tool()
def free_rooms(day: Literal["monday", "tuesday", "sunday"]) -> list[str]:
    """The rooms that are free on a day."""
    if day not in FREE:
        raise ToolError(f"the house is closed on {day}")
    return FREE[day]


if __name__ == "__main__":
    server.run()
