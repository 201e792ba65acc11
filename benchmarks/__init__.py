"""The cost of the server, compared with a minimal server on the same SDK. ``python -m benchmarks`` measures it."""
