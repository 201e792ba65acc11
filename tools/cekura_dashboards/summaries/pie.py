"""Pies, the distribution of calls over labels, and stats, a few figures for the whole window."""

import math
from collections import Counter
from typing import Any

from cekura_dashboards.stats.findings import exact, round_for_display
from cekura_dashboards.stats.significance import difference_interval, wilson_interval
from cekura_dashboards.summaries.bar import largest_groups
from cekura_dashboards.summaries.model import OtherSlices, PieFacts, Slice, SliceShown, StatFacts, Summary

PLAUSIBLE_RATIO = 1.0
"""The maximum of a rate as a ratio; a larger one is in percent."""
FIGURES = ("total_calls", "success_rate", "avg_duration", "p95_latency")


def stat(figures: dict[str, float | None], *, extra: list[str], rates: str | None = None) -> Summary:
    """``extra``: names of undocumented figures, which are shown with an unknown unit.

    ``rates``: the unit of rates, if known from elsewhere.

    Each figure has its own unit; success and latency may cover fewer calls than ``total_calls``.
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
        "p95_latency": "ms",
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
    """``ratio`` or ``percent`` according to the values; ``unknown`` if they fit both.

    >>> rate_unit([0.9, 1.0]), rate_unit([90.0]), rate_unit([0.0, None]), rate_unit([1.0])
    ('ratio', 'percent', 'unknown', 'unknown')
    """
    observed = [v for v in values if v is not None]
    if any(v > PLAUSIBLE_RATIO for v in observed):
        return "percent"
    return "ratio" if any(0 < v < PLAUSIBLE_RATIO for v in observed) else "unknown"


MAX_SLICES = 8
PCT_TOLERANCE = 0.5
"""Points by which a percentage from the API may differ from the one computed before a note says so. A choice."""


def pie(slices: list[Slice], *, unit: str = "calls", by: str | None = None, passing: str | None = None) -> Summary:
    """Percentages are computed from the values; those in the response are only compared.

    ``passing``: the label whose share is a rate, among the calls that have a label.
    """
    counts = dict[str | None, float]()
    for piece in slices:
        counts[piece.label] = counts.get(piece.label, 0) + piece.value
    whole: float = sum(counts.values())
    if whole <= 0:
        return Summary(kind="pie", unit=unit, n=0, facts=PieFacts(total=0, categories=len(counts)))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    rest = ordered[MAX_SLICES:]
    rest_total = sum(count for _, count in rest)
    leads = len(ordered) > 1 and whole >= 1  # less than one call has no interval
    lead = difference_interval(ordered[0][1], ordered[1][1], whole) if leads else None
    facts = PieFacts(
        total=exact(whole),
        categories=len(ordered),
        **_rate(counts, passing),
        columns=["label", "n", "pct"],
        top=[SliceShown(label, exact(count), _pct(count, whole)) for label, count in ordered[:MAX_SLICES]],
        other=OtherSlices(categories=len(rest), n=exact(rest_total), pct=_pct(rest_total, whole)) if rest else None,
        lead_points=round(100 * (ordered[0][1] - ordered[1][1]) / whole, 1) if leads else None,
        lead_ci95=[round(bound, 1) for bound in lead] if lead else None,
    )
    return Summary(
        kind="pie",
        unit=unit,
        n=round(whole),
        facts=facts,
        groups=largest_groups(by, _group_rows(slices), ["group", "n", "total"]) if by else None,
        notes=_notes(slices, list(counts)),
    )


def _rate(counts: dict[str | None, float], passing: str | None) -> dict[str, Any]:
    """The share of one label, with its 95 % interval."""
    n = math.fsum(count for label, count in counts.items() if label is not None)
    if passing is None or n < 1:
        return {}
    rate = counts.get(passing, 0.0) / n
    return {
        "rate": round_for_display(rate),
        "ci95": [round_for_display(bound) for bound in wilson_interval(rate, round(n))],
    }


def _pct(count: float, whole: float) -> float:
    return round(100 * count / whole, 1)


def _notes(slices: list[Slice], labels: list[str | None]) -> list[str]:
    notes = list[str]()
    totals = {group: value for group, _, value in _group_rows(slices)}
    wrong = [
        piece
        for piece in slices
        if piece.pct is not None
        and (whole := totals[piece.group] or 0) > 0
        and abs(piece.pct - 100 * piece.value / whole) > PCT_TOLERANCE
    ]
    if wrong:
        notes.append(
            f"{len(wrong)} percentages that the API sent do not match the values; these are computed from the values"
        )
    spellings = Counter(" ".join(label.casefold().split()) for label in labels if label is not None)
    if twins := sum(1 for count in spellings.values() if count > 1):
        notes.append(f"{twins} labels occur in several spellings that differ only in case or spaces")
    return notes


def _group_rows(slices: list[Slice]) -> list[tuple[str | None, int | None, float | None]]:
    totals_by_group = dict[str | None, float]()
    for piece in slices:
        totals_by_group[piece.group] = totals_by_group.get(piece.group, 0) + piece.value
    return [(name, round(value), value) for name, value in totals_by_group.items()]
