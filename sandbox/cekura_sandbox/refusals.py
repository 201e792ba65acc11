"""How the API refuses what it will not store or does not have."""

from typing import Any

MAX_NAME = 255


class Invalid(Exception):
    """A 400; ``body`` is what the API answers with."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__(str(body))
        self.body = body


class Missing(Exception):
    """A 404."""
