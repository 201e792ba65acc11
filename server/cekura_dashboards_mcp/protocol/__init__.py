"""The server as MCP sees it."""
