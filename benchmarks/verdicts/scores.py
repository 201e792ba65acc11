"""Charts of metrics with the same truth in every encoding: how often only a wrong reading is given.

True and false, 0 and 1, 0 and 5, or percent; evaluated on 10, 30 or 100 % of the calls, or on half of them; as bars,
lines and pies; exact, or with averages that the API rounds. And ratings of 0 to 5, also with 0 and 5 alone.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks.verdicts.worlds import NOW
from cekura_dashboards.api.chart_data import BarRow, Chart, LineRow, PieRow, number
from cekura_dashboards.api.models import Metric, WidgetConfig
from cekura_dashboards.charts.rows import pie_slices
from cekura_dashboards.charts.scores import in_one_form
from cekura_dashboards.charts.target import ChartReading, Target, Window
from cekura_dashboards.summaries.model import PieFacts
from cekura_dashboards.summaries.pie import pie

Counts = npt.NDArray[np.int64]
ENCODINGS = ("true/false", "1/0", "5/0", "percent", "rating")
KINDS = ("bar", "line", "pie")
SHARES = (0.1, 0.3, 0.5, 1.0)
TOLERANCE = 0.006
"""Averages of two decimals are this near."""


class ScoresRow(NamedTuple):
    """``decided``: the share of charts with one reading; ``wrong``: with a wrong one alone."""

    encoding: str
    kind: str
    charts: int
    decided: float
    wrong: int

    @property
    def holds(self) -> bool:
        return not self.wrong

    def __str__(self) -> str:
        return f"| {self.encoding} | {self.kind} | {self.charts} | {self.decided:.0%} | {self.wrong} |"


def scores_row(encoding: str, kind: str, charts: int, seed: int) -> ScoresRow:
    rng = np.random.default_rng([seed, ENCODINGS.index(encoding), KINDS.index(kind)])
    decided = wrong = 0
    for _ in range(charts):
        passed, n = _days(rng)
        chart = _chart(encoding, kind, passed, n, rng)
        target = Target(WidgetConfig(
            chart_type=kind, field="metric_evaluations.value", metric=1,
            aggregation_function="avg" if kind == "bar" else None, time_period="day" if kind == "bar" else None,
        ), {})  # fmt: skip
        metric = Metric(id=1, eval_type="continuous_qualitative" if encoding == "rating" else "binary")
        [reading] = in_one_form([ChartReading(target, Window(NOW, NOW, ""), chart=chart)], {1: metric}, {})
        rate = _rate(reading)
        decided += rate is not None
        if encoding == "rating":
            wrong += rate is not None or reading.passing is not None
        elif rate is not None:
            wrong += abs(rate - passed.sum() / n.sum()) > TOLERANCE
        else:
            score = {"5/0": "5", "percent": "100"}.get(encoding, "1")
            wrong += score not in str(reading.passing).partition(":")[0].removeprefix("pass = ").split(" or ")
    return ScoresRow(encoding, kind, charts, decided / charts, int(wrong))


def _days(rng: np.random.Generator) -> tuple[Counts, Counts]:
    """Passes and evaluated calls of one to thirty days."""
    calls = rng.poisson(rng.choice([4, 30, 400]), rng.integers(1, 31)) + 1
    n = np.maximum(1, rng.binomial(calls, rng.choice(SHARES)))
    return rng.binomial(n, rng.choice([0.004, 0.03, 0.15, 0.5, 0.86, 0.99])), n


def _chart(encoding: str, kind: str, passed: Counts, n: Counts, rng: np.random.Generator) -> Chart:
    one: int = {"true/false": True, "1/0": 1, "percent": 100}.get(encoding, 5)
    none = type(one)(0)
    data_type = str(rng.choice(["boolean", "numeric"]))
    if kind == "pie":
        counts = int(passed.sum()), int(n.sum() - passed.sum())
        slices = [PieRow(label=label, value=count) for label, count in zip((one, none), counts, strict=True) if count]
        return Chart("pie", rows=slices, data_type=data_type)
    if kind == "line":
        values = [one] * int(passed.sum()) + [none] * int(n.sum() - passed.sum())
        calls = [LineRow(timestamp=f"{NOW:%Y-%m-%dT%H:%M:%SZ}", value=value) for value in values]
        return Chart("line", rows=calls, data_type=data_type)
    decimals = int(rng.choice([2, 4, 17]))
    bars = zip((float(one) * passed / n).tolist(), n.tolist(), strict=True)
    rows = [BarRow(time_interval="2026-11-12T00:00:00Z", value=round(v, decimals), sample_count=k) for v, k in bars]
    return Chart("bar", rows=rows, data_type=data_type)


def _rate(reading: ChartReading) -> float | None:
    """The pass rate that an answer gives; None if it gives none, or several."""
    chart = reading.chart
    if chart is None or chart.data_type != "boolean":
        return None
    if chart.chart_type == "pie":
        facts = pie(pie_slices(chart, {}), passing=chart.passing_label).facts
        return facts.rate if isinstance(facts, PieFacts) else None
    pairs = [(number(row.value) or 0.0, getattr(row, "sample_count", 1)) for row in chart.rows]
    return sum(value * n for value, n in pairs) / sum(n for _, n in pairs)
