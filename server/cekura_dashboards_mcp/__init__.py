"""The MCP server of Cekura dashboards: tool list, transports and the command line."""
