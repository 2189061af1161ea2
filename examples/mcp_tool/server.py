"""A small MCP server to call: it knows which rooms are free."""

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

server = MCPServer("rooms")
FREE = {"monday": ["Blue room"], "tuesday": []}


@server.tool()
def free_rooms(day: str) -> list[str]:
    """The rooms that are free on a day."""
    if day == "sunday":
        raise ToolError("the house is closed on Sundays")
    return FREE[day]


if __name__ == "__main__":
    server.run()
