"""find_changes over many charts: whether it reports anything without changes, and each simulated change."""

import math
from collections.abc import Iterable
from statistics import NormalDist
from typing import Any, NamedTuple

import anyio
from fastapi import FastAPI

from benchmarks.verdicts.quiet_calls import KEY, NOW, Json, ask
from cekura_sandbox import create_app

CALLS = 12_000
AGENTS = (31, 32, 33, 34, 35, 36, 37)
"""Of the first project."""
SINCE = "2026-11-13"
"""Five whole days, and the part of today."""
CERTAIN = 1e-4
MOST_REPORTED, LEAST_LISTED = 0.05, 0.95
CHARTS_OF_A_DASHBOARD = 20


class ManyCharts(NamedTuple):
    """``reported``: the share of worlds in which anything is reported, or of certain plants that are listed.

    ``plants``: how many were certain by a test of their own; 0 where nothing is planted.
    """

    charts: int
    reported: float
    plants: int

    @property
    def holds(self) -> bool:
        return self.reported >= LEAST_LISTED if self.plants else self.reported <= MOST_REPORTED

    def __str__(self) -> str:
        what = f"three changes of an agent, {self.plants} certain" if self.plants else "nothing"
        return f"| {self.charts} | {what} | {self.reported:.1%} |"


def _bars(count: int) -> list[Json]:
    """Bars of the same measures for each agent, and some callers, by the day and then by the hour."""
    calls: list[Json] = [{}, *({"field": "agent.id", "op": "eq", "value": agent} for agent in AGENTS)]
    calls += [{"field": "customer_number", "op": "endswith", "value": str(digit)} for digit in range(10)]
    measures = [
        ("success", "avg"),
        ("duration", "avg"),
        ("agent_id", "count"),
        ("duration", "sum"),
        ("duration", "max"),
    ]
    bars = [
        {
            "chart_type": "bar", "field": field, "aggregation_function": function, "time_period": period,
            **({"filters": condition} if condition else {}),
        }
        for period in ("day", "hour")
        for condition in calls
        for field, function in measures
    ]  # fmt: skip
    return bars[:count]


def _world(charts: int, seed: int) -> FastAPI:
    app = create_app(now=lambda: NOW, count=CALLS, key=KEY, quiet=True, seed=seed)
    store = app.state.world.store
    for dashboard in store.dashboards():
        store.delete_dashboard(dashboard["id"])
    bars = _bars(charts)
    for start in range(0, charts, CHARTS_OF_A_DASHBOARD):
        dashboard = store.create_dashboard({"name": f"{start}", "project": 1, "filters": None})
        store.bulk(dashboard["id"], {"create": bars[start : start + CHARTS_OF_A_DASHBOARD]})
    return app


def quiet_charts(charts: int, seeds: Iterable[int]) -> ManyCharts:
    alarms = [bool(_changes(_world(charts, seed))) for seed in seeds]
    return ManyCharts(charts, sum(alarms) / len(alarms), 0)


def _changes(app: FastAPI) -> list[Json]:
    answer: Json = anyio.run(ask, "find_changes", app, {"limit": 200, "window": "7d"}).structured
    app.state.world.close()
    rows: list[Json] = answer["changes"]
    return rows


def planted_charts(charts: int, seeds: Iterable[int]) -> ManyCharts:
    """An agent whose success, duration and calls change; each is to be listed if a test of its own is certain."""
    listed = list[bool]()
    for seed in seeds:
        agent, app = AGENTS[seed % len(AGENTS)], _world(charts, seed)
        app.state.world.con.execute("SELECT setseed(?)", [seed % 89 / 89])
        for plant in PLANTS:
            app.state.world.con.execute(plant, [agent, SINCE])
        certain = [measure for measure, p_value in _own_tests(app, agent).items() if p_value < CERTAIN]
        bars: list[Json] = app.state.world.store.widgets()
        of_agent = {bar["id"]: bar for bar in bars if bar["filters"] and agent == bar["filters"]["value"]}
        rows = _changes(app)
        shown = {of_agent[number]["field"] for row in rows for number in row["widgets"] if number in of_agent}
        listed += [measure in shown for measure in certain]
    return ManyCharts(charts, sum(listed) / max(1, len(listed)), len(listed))


PLANTS = (
    "UPDATE calls SET success = false WHERE agent_id = ? AND ts >= ? AND random() < 0.25",
    "UPDATE calls SET duration = duration * 1.35 WHERE agent_id = ? AND ts >= ?",
    "DELETE FROM calls WHERE agent_id = ? AND ts >= ? AND random() < 0.35",
)
FIGURES = """
SELECT ts >= ? AS later, count(*), avg(CAST(success AS INT)), avg(ln(duration)), var_samp(ln(duration)) FROM calls
WHERE agent_id = ? AND ts >= '2026-10-20' AND ts < '2026-11-18' GROUP BY later ORDER BY later
"""


def _own_tests(app: FastAPI, agent: int) -> dict[str, float]:
    """The p-value of each measure since then against before, by the calls alone, as normal."""
    rows: list[Any] = app.state.world.con.execute(FIGURES, [SINCE, agent]).fetchall()
    (_, n, rate, level, spread), (_, m, new_rate, new_level, new_spread) = rows
    share = (n * rate + m * new_rate) / (n + m)
    days, new_days = 24, 5
    calls = (n + m) / (days + new_days)
    scores = {
        "success": (new_rate - rate) / math.sqrt(share * (1 - share) * (1 / n + 1 / m)),
        "duration": (new_level - level) / math.sqrt(spread / n + new_spread / m),
        "agent_id": (m / new_days - n / days) / math.sqrt(calls * (1 / days + 1 / new_days)),
    }
    return {name: 2 * NormalDist().cdf(-abs(score)) for name, score in scores.items()}


ROWS = [(quiet_charts, 8), (quiet_charts, 40), (quiet_charts, 200), (planted_charts, 40)]


def many_charts_row(index: int, seeds: Iterable[int]) -> ManyCharts:
    row, charts = ROWS[index]
    return row(charts, seeds)
