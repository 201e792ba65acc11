"""Random answers that are valid by the published document but absurd in content."""

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from cekura_dashboards.api.models import is_list, is_object
from cekura_dashboards.api.wire import Response
from support import Json

FACTS: Json = json.loads((Path(__file__).parent / "facts" / "published_api.json").read_text(encoding="utf-8"))


def expanded(facts: Any) -> Any:
    """``facts`` with each ``$ref`` replaced by its schema."""
    if is_list(facts):
        return [expanded(item) for item in facts]
    if not is_object(facts):
        return facts
    if "$ref" in facts:
        return expanded(FACTS["schemas"][facts["$ref"]])
    return {name: expanded(value) for name, value in facts.items()}


OPERATIONS: dict[str, Json] = expanded(FACTS["operations"])


def operation(method: str, path: str) -> str:
    """The name of the operation for a path with ids and slugs."""
    pattern = re.sub(r"/-?[0-9]+(?=/)", "/{id}", path)
    return f"{method} {re.sub('(?<=/categories/)[^/]+(?=/calls/)', '{category_slug}', pattern)}"


NUMBERS: list[Any] = [
    0, 1, -1, 7, 0.5, 100, 1e-300, 5e-324, -1e-9, 1e15, 1e16, 1e50, -1e200, 1e308, 2**53, 2**63, 10**40, -(10**400),
]  # fmt: skip
TEXTS: list[Any] = [
    "", "a", "true", "12", "NaN", "-1e999", "2026-11-16", "2026-11-17T10:00:00Z", "2026-11-18T09:30:00+05:30",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "2026-02-30", "now-99999y", "today", "x" * 3000, "\u202e\n\x00",
    "success", "agent.id", "topic", "metadata.region", "metric_evaluations.value", "duration", "timestamp", "33", "501",
]  # fmt: skip
CHARTS = ["line", "bar", "pie", "stat"]
ROW_KEYS = {
    "line": ["id", "timestamp", "value"],
    "bar": ["time_interval", "value", "sample_count"],
    "pie": ["label", "value", "percentage"],
    "stat": ["total_calls", "success_rate", "avg_duration", "p95_latency", "another"],
}


class Arbitrary:
    """A transport that answers at random. The same seed and requests give the same answers."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - no secret

    async def aclose(self) -> None:
        """Nothing to close."""

    async def send(
        self, method: str, path: str, *, key: SecretStr, timeout_s: float, query: dict[str, str], body: bytes | None
    ) -> Response:
        del key, timeout_s, query
        arguments: Json = json.loads(body) if body else {}
        known = OPERATIONS[operation(method, path)]["responses"]
        status = next(status for status in known if status.startswith("2"))
        if known[status] is None:
            return Response(int(status), b"")
        answer = self._likely(self._any(known[status], ""), path, arguments)
        return Response(int(status), json.dumps(answer).encode(), "application/json")

    def _pick(self, items: list[Any]) -> Any:
        return self._chance.choice(items)

    def _likely(self, answer: Any, path: str, arguments: Json) -> Any:
        """``answer`` with ids and types that usually match the request, so that the client reads all of it."""
        number = re.search(r"/(-?[0-9]+)/", path)
        if is_object(answer) and number and self._chance.random() < 0.9:
            answer["id"] = int(number[1])
        if is_object(answer) and self._chance.random() < 0.9:
            answer |= {"next": None} if "next" in answer else {}
        rows: list[Any] = (answer.get("results") or []) if is_object(answer) else []
        for row in rows:
            for name in {"history_date", "timestamp", "operation_type", "object_type"} & {*row}:
                if self._chance.random() < 0.7:
                    row[name] = {"operation_type": "update", "object_type": "metric"}.get(name, "2026-11-17T10:00:00Z")
        widgets: list[Any] = (answer.get("widgets") or []) if is_object(answer) else []
        for widget in widgets:
            if is_object(widget) and self._chance.random() < 0.7:
                widget |= {"chart_type": self._pick(CHARTS), "field": self._pick(["success", "duration", "topic"])}
        if path.endswith("bulk_data/"):
            answer["results"] = [self._chart(self._pick(CHARTS), number) for number in arguments["widget_ids"]]
        if path.endswith("preview_data/"):
            answer = self._chart(arguments.get("chart_type"), 0)
        return answer

    def _chart(self, kind: Any, number: int) -> Json:
        body: Json = {"widget_id": number, "chart_type": kind, "data": self._data(kind), "group_by": self._value()}
        body["metadata"] = {"data_type": self._pick([*TEXTS, "numeric", "boolean", "datetime"]), "display_name": "x"}
        return body

    def _data(self, kind: Any) -> Any:
        if kind == "stat":
            return {name: self._value() for name in ROW_KEYS["stat"] if self._chance.random() < 0.8}
        keys = [*ROW_KEYS.get(str(kind), ["a"]), *self._pick([[], [], ["group"], ["topic"]])]
        numeric = self._chance.random() < 0.7
        return [
            {key: self._cell(key, place, numeric=numeric) for key in keys}
            for place in range(self._pick([0, 1, 2, 9, 40, 200]))
        ]

    def _cell(self, key: str, place: int, *, numeric: bool) -> Any:
        if key in {"timestamp", "time_interval"} and self._chance.random() < 0.95:
            return f"2026-11-{10 + place % 9:02}T{place % 24:02}:00:00Z"
        if key in {"value", "sample_count"} and numeric:
            return self._pick(NUMBERS)
        return self._pick(["a", "b", "c"]) if key in {"group", "topic"} and numeric else self._value()

    def _value(self) -> Any:
        simple: list[Callable[[], Any]] = [
            lambda: None, lambda: self._pick([True, False]), lambda: self._pick(NUMBERS), lambda: self._pick(TEXTS),
            lambda: [self._pick(NUMBERS)], lambda: {self._pick(TEXTS): self._pick(TEXTS)}, list, dict,
        ]  # fmt: skip
        return self._pick(simple)()

    def _any(self, schema: Json, name: str) -> Any:
        if schema.get("nullable") and self._chance.random() < 0.2:
            return None
        if "enum" in schema:
            return self._pick(schema["enum"])
        kinds = schema.get("type")
        kind = self._pick(kinds) if is_list(kinds) else kinds
        if kind == "object" and "properties" in schema:
            return {
                key: self._any(inner, key)
                for key, inner in schema["properties"].items()
                if key in schema.get("required", []) or key == "id" or self._chance.random() < 0.8
            }
        if kind == "array":
            inner: Json = schema.get("items") or {}
            return [self._any(inner, name) for _ in range(self._pick([0, 1, 2, 5]))]
        makers: dict[Any, Callable[[], Any]] = {
            "null": lambda: None,
            "integer": lambda: self._pick([n for n in NUMBERS if isinstance(n, int)]),
            "number": lambda: self._pick(NUMBERS),
            "boolean": lambda: self._pick([True, False]),
            "string": lambda: self._pick(TEXTS)[: schema.get("maxLength")],
            "object": lambda: self._pick([{}, {self._pick(TEXTS): self._value()}]),
        }
        return makers.get(kind, self._value)()
