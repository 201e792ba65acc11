"""An API that answers at once: one widget of 30 buckets on one dashboard, and a preview with many calls.

``python -m benchmarks.upstream PORT [CALLS [WIDGETS]]``; answers are held back for the seconds of ``DELAY_S``.
"""

import asyncio
import json
import os
import random
import sys
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import uvicorn

WIDGET = {
    "id": 1, "dashboard": 1, "name": "Calls", "chart_type": "bar", "field": "agent_id", "time_period": "day",
    "aggregation_function": "count", "group_by": None, "metadata": {"data_type": "numeric"},
    "filters": {"field": "timestamp", "op": "gte", "value": "today-29d"},
    "effective_filters": {"field": "timestamp", "op": "gte", "value": "today-29d"},
}  # fmt: skip


def page(seed: int) -> bytes:
    """The data of 30 days up to today, other data for each seed."""
    drawn = random.Random(seed)  # noqa: S311 - no secret
    counts = [drawn.randint(80, 160) for _ in range(30)]
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = [
        {"time_interval": (today - timedelta(days=29 - i)).isoformat(), "value": n, "sample_count": n}
        for i, n in enumerate(counts)
    ]
    data = {**WIDGET, "widget_id": 1, "field_name": "agent_id", "data": rows}
    return listed(data)


def listed(*items: dict[str, Any]) -> bytes:
    return json.dumps({"count": len(items), "next": None, "previous": None, "results": items}).encode()


BODIES = {
    "/dashboards/widgets/1/": json.dumps(WIDGET).encode(),
    "/dashboards/dashboards/": listed({"id": 1, "name": "All", "project": 1, "widget_count": 1}),
    "/user/v1/projects/": listed({"id": 1, "name": "One"}),
    "/test_framework/v2/aiagents/": listed({"id": 1, "agent_name": "Booking", "project": 1}),
}


DATA = {"pages": cycle([page(seed) for seed in range(50)])}
"""No answer is like the one before, so that nothing is remembered that a user would have to wait for."""


DELAY_S = float(os.environ.get("DELAY_S", "0"))


def of_widgets(count: int) -> None:
    """Answer as a dashboard of so many widgets."""
    widgets = [{**WIDGET, "id": number, "name": f"Calls {number}"} for number in range(1, count + 1)]
    about = {"id": 1, "name": "All", "project": 1, "filters": WIDGET["filters"], "widgets": widgets}
    BODIES["/dashboards/dashboards/1/"] = json.dumps(about).encode()
    rows = [json.loads(page(seed))["results"][0] for seed in range(50)]
    made = [
        listed(*({**rows[(seed + number) % 50], "widget_id": number} for number in range(1, count + 1)))
        for seed in range(50)
    ]
    DATA["pages"] = cycle(made)


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        continue
    await asyncio.sleep(DELAY_S)
    body = (
        next(DATA["pages"]) if scope["path"] == "/dashboards/widgets/bulk_data/" else BODIES.get(scope["path"], b"{}")
    )
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    if len(sys.argv) > 3:  # noqa: PLR2004 - the number of widgets is given
        of_widgets(int(sys.argv[3]))
    if len(sys.argv) > 2 and int(sys.argv[2]):  # noqa: PLR2004 - the number of calls is given
        from benchmarks.decoding import body_of

        BODIES["/dashboards/widgets/preview_data/"] = body_of(int(sys.argv[2]), datetime.now(UTC))
    config = {"log_config": None, "access_log": False, "lifespan": "off"}
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), **config)  # type: ignore[arg-type]  # options by name
