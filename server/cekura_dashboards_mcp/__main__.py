"""``python -m cekura_dashboards_mcp`` is ``cekura-dashboards``."""

from cekura_dashboards_mcp.cli.main import program

if __name__ == "__main__":
    program()
