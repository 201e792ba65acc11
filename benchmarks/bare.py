"""A minimal server: a tool that adds, and one that only makes the API requests of ours for one widget.

``python -m benchmarks.bare [PORT]``: stdio, or HTTP on that port. ``UPSTREAM`` is the API's address.
"""

import os
import sys
from functools import cache
from typing import Any

import anyio
import uvicorn
from mcp.server import MCPServer

server = MCPServer("bare", log_level="WARNING")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@cache
def client() -> Any:
    import httpx  # noqa: PLC0415 - only for the one tool

    return httpx.AsyncClient(base_url=os.environ["UPSTREAM"])


@server.tool()
async def fetch() -> int:
    """Request a widget and concurrently the dashboards, then the widget's data, and discard everything."""
    async with anyio.create_task_group() as group:
        group.start_soon(client().get, "/dashboards/widgets/1/")
        group.start_soon(client().get, "/dashboards/dashboards/")
    data = await client().post("/dashboards/widgets/bulk_data/", json={"widget_ids": [1]})
    return len(data.content)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        app = server.streamable_http_app(stateless_http=True)
        uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_config=None, access_log=False)
    else:
        server.run()
