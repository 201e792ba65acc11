"""Metrics that are evaluated on other calls from some day on, although the calls do not change.

The sample rate falls, or a trigger keeps only calls that pass more often. The quality does not change, so no
verdict may be ``clear``; the change of the share of calls must be reported.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import anyio
from fastapi import FastAPI

from benchmarks.verdicts.quiet_calls import NOW, Json, ask, quiet_worlds
from cekura_dashboards.api.models import is_list, is_object

METRIC = 503
CALLS = 6000
RATE: Json = {
    "chart_type": "bar", "field": "metric_evaluations.value", "metric": METRIC, "aggregation_function": "avg",
    "time_period": "day",
}  # fmt: skip
BY_AGENT: Json = {**RATE, "group_by": "agent"}
LINE: Json = {"chart_type": "line", "field": "metric_evaluations.value", "metric": 502}
ASKED: tuple[tuple[str, Json], ...] = (
    ("preview_widget", {"widget": RATE, "dashboard_id": 11, "window": "7d", "compare_to": "previous_week"}),
    ("preview_widget", {"widget": {**RATE, "time_period": "hour"}, "dashboard_id": 11, "window": "3d"}),
    ("preview_widget", {"widget": BY_AGENT, "dashboard_id": 11, "window": "14d"}),
    ("explain_change", {"widget": RATE, "dashboard_id": 11, "window": "7d"}),
    ("preview_widget", {"widget": LINE, "dashboard_id": 11, "window": "14d"}),
    ("get_widgets_data", {"widget_ids": [211], "window": "7d", "compare_to": "previous_week"}),
    ("find_changes", {"window": "7d", "dashboard_ids": [12, 13]}),
)
FAILED = "call_id IN (SELECT id FROM calls WHERE NOT coalesce(success, false))"
CHANGES = {
    "sampled at 10 %": "hash(call_id) % 10 > 0",
    "sampled at 30 %": "hash(call_id) % 10 > 2",
    "only calls that succeed": FAILED,
    "a part of those that succeed": f"{FAILED} OR hash(call_id) % 10 > 5",
    "only two agents": "call_id IN (SELECT id FROM calls WHERE agent_id NOT IN (31, 36, 39))",
}
"""What is no longer evaluated, as SQL."""


class EvaluatedRow(NamedTuple):
    """A change of what is evaluated: the shares of answers with a false ``clear``, and that tell the change."""

    name: str
    clear: float
    share_reported: float
    worlds: int

    @property
    def holds(self) -> bool:
        return not self.clear

    def __str__(self) -> str:
        return f"| {self.name} | {self.clear:.1%} | {self.share_reported:.0%} | {self.worlds} |"


def change(app: FastAPI, left_out: str, days: float) -> None:
    """Evaluate a metric on fewer calls, in the last days."""
    app.state.world.con.execute(
        f"DELETE FROM evaluations WHERE metric_id IN (502, 503, 507) AND ({left_out}) "  # noqa: S608 - constants
        f"AND call_id IN (SELECT id FROM calls WHERE ts >= TIMESTAMP '{NOW:%Y-%m-%d %H:%M}' - INTERVAL {days} DAY)"
    )


def evaluated_row(
    name: str, seeds: Iterable[int], calls: int = CALLS, asked: Sequence[tuple[str, Json]] = ASKED
) -> EvaluatedRow:
    clear = reported = count = worlds = 0
    for seed, app in zip(seeds, quiet_worlds(seeds, calls), strict=True):
        change(app, CHANGES[name], 2 + seed % 9 + seed % 3 / 3)
        worlds += 1
        for tool, arguments in asked:
            answer = anyio.run(ask, tool, app, arguments)
            count += 1
            clear += "clear" in {*_verdicts(answer.structured)}
            reported += "share of calls evaluated" in f"{answer.structured} {answer.text}"
    return EvaluatedRow(name, clear / count, reported / count, worlds)


def _verdicts(answer: Any) -> Iterable[str]:
    """Every verdict on a metric's values, not those on the share of calls evaluated."""
    if is_list(answer):
        for item in answer:
            yield from _verdicts(item)
    elif is_object(answer):
        of_metric = "measure" not in answer or "kind" not in answer or answer["measure"].startswith('avg of "')
        if answer.get("kind") != "evaluated" and of_metric:
            yield from [answer["verdict"]] if "verdict" in answer else []
            for name, item in answer.items():
                yield from _verdicts(item) if name not in {"evaluated", "outcomes"} else []
