"""Pies: how calls divide among labels."""

import math
from collections import Counter
from typing import Any

from cekura_dashboards.stats.numbers import difference_interval, exact, round_for_display, wilson_interval
from cekura_dashboards.summaries.model import OtherSlices, PieFacts, Slice, SliceShown, Summary, largest_groups

MAX_SLICES = 8
PCT_TOLERANCE = 0.5
"""Points by which a percentage from the API may differ from the one computed before a note says so. A choice."""


def pie(slices: list[Slice], *, unit: str = "calls", by: str | None = None, passing: str | None = None) -> Summary:
    """Percentages are computed from the values; those that were sent are only checked.

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
