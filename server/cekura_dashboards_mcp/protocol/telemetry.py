"""What is seen of a call from outside: one line in the log, metrics, attributes of its span; no key and no content.

Metrics and spans go through OpenTelemetry's API, and nowhere unless its SDK is configured.
"""

import json
import logging
import os
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from opentelemetry import metrics, trace

from cekura_dashboards.api.wire import Usage, count_usage

CALLS = logging.getLogger("cekura_dashboards_mcp.calls")
"""Its lines are JSON, and nothing else."""
_meter = metrics.get_meter("cekura-dashboards-mcp")
_calls = _meter.create_counter("cekura.tool.calls", "{call}", "Calls of tools, by outcome")
_seconds = _meter.create_histogram(
    "cekura.tool.duration", "s", "How long calls took",
    explicit_bucket_boundaries_advisory=[0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30],
)  # fmt: skip
_requests = _meter.create_counter("cekura.upstream.requests", "{request}", "Requests to the API")
_retries = _meter.create_counter("cekura.upstream.retries", "{request}", "Requests to the API that were repeated")
_trips = _meter.create_counter("cekura.upstream.trips", "{trip}", "How often calls waited for the API")
_characters = _meter.create_counter("cekura.answer.characters", "{character}", "Characters of text in answers")
_points = _meter.create_counter("cekura.chart.points", "{point}", "Points of charts that were read")
_remembered = _meter.create_counter("cekura.lookups.remembered", "{lookup}", "Names that were not asked for again")


@dataclass
class ObservedCall:
    """A call. ``outcome``: ok, asked (a person), or the kind of its error."""

    tool: str
    caller: str
    request: str = field(default_factory=lambda: secrets.token_hex(4))
    outcome: str = "ended"
    characters: int = 0


@contextmanager
def observe(tool: str, caller: str) -> Generator[ObservedCall]:
    """Watch a call from its start to its end. ``caller``: a digest of its key."""
    call, started = ObservedCall(tool, caller), time.perf_counter()
    with count_usage() as usage:
        try:
            yield call
        finally:
            _log_line(call, usage, time.perf_counter() - started)


def _log_line(call: ObservedCall, usage: Usage, seconds: float) -> None:
    by_tool = {"tool": call.tool}
    _calls.add(1, {"tool": call.tool, "outcome": call.outcome})
    _seconds.record(seconds, by_tool)
    counts = (
        (_requests, usage.requests), (_retries, usage.retries), (_trips, usage.trips), (_points, usage.points),
        (_remembered, usage.cache_hits), (_characters, call.characters),
    )  # fmt: skip
    for counter, count in counts:
        if count:
            counter.add(count, by_tool)
    about: dict[str, str | float] = {
        "request": call.request, "tool": call.tool, "outcome": call.outcome, "seconds": round(seconds, 4),
        "requests": usage.requests, "retries": usage.retries, "trips": usage.trips, "points": usage.points,
        "remembered": usage.cache_hits, "characters": call.characters,
    }  # fmt: skip
    span = trace.get_current_span()
    if span.is_recording():
        span.set_attributes({f"cekura.{name}": value for name, value in about.items()})
    if CALLS.isEnabledFor(logging.INFO):
        CALLS.info(json.dumps({"time": round(time.time(), 3), "process": os.getpid(), "caller": call.caller, **about}))
