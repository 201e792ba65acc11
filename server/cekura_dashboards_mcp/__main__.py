"""``python -m cekura_dashboards_mcp`` is ``cekura-dashboards``."""

from cekura_dashboards_mcp.cli import main

if __name__ == "__main__":
    main()
