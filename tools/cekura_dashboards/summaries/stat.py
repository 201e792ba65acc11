"""Stats: a few figures for the whole window."""

from cekura_dashboards.stats.numbers import exact, round_for_display
from cekura_dashboards.summaries.model import StatFacts, Summary

PLAUSIBLE_RATIO = 1.0
FIGURES = ("total_calls", "success_rate", "avg_duration", "p95_latency")


def stat(figures: dict[str, float | None], *, extra: list[str], rates: str | None = None) -> Summary:
    """``extra``: names of figures that are not documented; they are shown with unit unknown.

    ``rates``: the unit of rates, where it is known from elsewhere.

    The unit of each figure is its own; success and latency may rest on fewer calls than ``total_calls``.
    """
    calls = figures.get("total_calls")
    n = None if calls is None else round(calls)
    values = {
        name: exact(value) if name == "total_calls" else round_for_display(value)
        for name, value in figures.items()
        if value is not None
    }
    units = {
        "total_calls": "calls",
        "avg_duration": "s",
        "success_rate": rates or rate_unit([figures.get("success_rate")]),
    }
    facts = StatFacts(
        **{name: values[name] for name in FIGURES if name in values},
        other_figures={name: value for name, value in values.items() if name not in FIGURES} or None,
        units={name: units.get(name, "unknown") for name in figures},
    )
    notes = ["success_rate and p95_latency may rest on fewer calls than total_calls"] if n else []
    if extra:
        notes.append(f"{len(extra)} figures here are not documented by the API")
    return Summary(kind="stat", unit="mixed", n=n, facts=facts, notes=notes)


def rate_unit(values: list[float | None]) -> str:
    """``ratio`` or ``percent`` by what the values show; ``unknown`` when they cannot tell.

    >>> rate_unit([0.9, 1.0]), rate_unit([90.0]), rate_unit([0.0, None]), rate_unit([1.0])
    ('ratio', 'percent', 'unknown', 'unknown')
    """
    observed = [v for v in values if v is not None]
    if any(v > PLAUSIBLE_RATIO for v in observed):
        return "percent"
    return "ratio" if any(0 < v < PLAUSIBLE_RATIO for v in observed) else "unknown"
