"""What the server costs, against the least that a server on the same SDK costs. ``python -m benchmarks`` measures."""
