"""An API in this process with fixed responses."""

import json
from collections.abc import Callable
from typing import Any

from pydantic import SecretStr

from cekura_dashboards.api.wire import Response

Json = dict[str, Any]


class Canned:
    """Widgets of one dashboard and project, and their data; ``chart``: what an unsaved one shows."""

    def __init__(self, widgets: list[Json], data: list[Json], chart: Callable[[Json], Json]) -> None:
        self._widgets, self._data, self._chart = widgets, data, chart

    async def send(
        self, method: str, path: str, *, key: SecretStr, timeout_s: float, query: dict[str, str], body: bytes | None
    ) -> Response:
        del method, key, timeout_s, query  # path and body say enough here
        if path.endswith("preview_data/"):
            answer = self._chart(json.loads(body or b"{}"))
        elif path.endswith("bulk_data/"):
            answer = {"count": len(self._data), "next": None, "results": self._data}
        elif "/dashboards/dashboards/" in path:
            answer = {"id": 1, "name": "Overview", "project": 1, "filters": None, "widgets": self._widgets}
        elif path.endswith(("/projects/", "/aiagents/")):
            answer = {"results": [{"id": 1, "name": "Only"}] if "projects" in path else [], "next": None}
        else:
            number = int(path.rstrip("/").rpartition("/")[2])
            answer = next(widget for widget in self._widgets if widget["id"] == number)
        return Response(200, json.dumps(answer).encode(), "application/json")

    async def aclose(self) -> None:
        """Nothing to close."""
