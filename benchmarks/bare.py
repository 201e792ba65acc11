"""The least server: one tool that adds. ``python -m benchmarks.bare [PORT]``: stdio, or HTTP on that port."""

import sys

import uvicorn
from mcp.server import MCPServer

server = MCPServer("bare", log_level="WARNING")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


if __name__ == "__main__":
    if len(sys.argv) > 1:
        app = server.streamable_http_app(stateless_http=True)
        uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False)
    else:
        server.run()
