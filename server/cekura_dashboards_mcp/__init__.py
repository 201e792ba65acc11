"""The MCP server of Cekura dashboards: registration, transports and the command line."""
