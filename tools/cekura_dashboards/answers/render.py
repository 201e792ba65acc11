"""Reports as text. Pure: a renderer sees the typed result and nothing else."""

import json
from collections.abc import Sequence
from typing import Any

from cekura_dashboards.answers.report import SeriesShown, WidgetBrief, WidgetReport
from cekura_dashboards.api.models import as_list, as_object
from cekura_dashboards.text import named

BARS = "▁▂▃▄▅▆▇█"


def render_reports(reports: Sequence[WidgetReport]) -> str:
    return "\n\n".join(render_report(item) for item in reports)


def render_report(item: WidgetReport) -> str:
    """One widget: what it is, the figures, a series, what to keep in mind."""
    lines = [title_of(item.widget)]
    if item.window:
        lines.append(f"{item.window.start} to {item.window.end} ({item.window.source})")
    if item.error is not None:
        return "\n".join([*lines, f"failed: {item.error}"])
    lines += comparison_lines(item.comparison)
    lines += finding_lines(item.findings)
    basis = [f"unit {item.unit}" if item.unit else "", f"n {item.n}" if item.n is not None else ""]
    figures = [figure(name, value) for name, value in (item.facts or {}).items() if name not in {"top", "columns"}]
    lines.append("; ".join(part for part in [*basis, *figures] if part))
    if item.facts and "top" in item.facts:
        lines.append(_rows(item.facts["columns"], item.facts["top"]) if "columns" in item.facts else "")
    if item.groups:
        lines.append(f"by {item.groups.by} " + _rows(item.groups.columns, item.groups.top))
        if item.groups.other:
            lines.append(figure("other", item.groups.other))
    if item.series:
        lines += _series_lines(item.series)
    for word, texts in (("not tested", item.not_tested), ("note", item.caveats), ("left out", item.left_out)):
        lines += [f"{word}: {text}" for text in texts or []]
    return "\n".join(line for line in lines if line)


def comparison_lines(found: dict[str, Any] | None) -> list[str]:
    """``compared with … : this 0.81 against 0.85, difference -0.04, …, clear``, then what contributed."""
    if found is None:
        return []
    against = found.get("where") or found.get("against")
    head = f"compared with {found['from']} to {found['to']} ({against})" if "from" in found else "not compared"
    if "not_compared" in found:
        return [f"{head}: {found['not_compared']}"]
    sides = {"value": "", "n": "n ", "total": "total "}
    parts = [
        f"{name} " + " ".join(f"{word}{plain(found[name][key])}" for key, word in sides.items() if key in found[name])
        for name in ("this", "that")
        if name in found
    ]
    shown = ("difference", "pct", "ci95", "per", "verdict", "rate_effect", "mix_effect", "simpson")
    parts += [figure(name, found[name]) for name in shown if name in found]
    notes = [f"note: {text}" for text in found.get("notes", [])]
    return [f"{head}: {', '.join(parts)}", *parts_lines(found), *notes]


def parts_lines(found: dict[str, Any]) -> list[str]:
    """The tables of a comparison, a line each."""
    lines = list[str]()
    for name in ("contributors", "shares", "figures"):
        if name in found:
            more = f"; {found[name]['more']} more" if "more" in found[name] else ""
            lines.append(f"{name} {_rows(found[name]['columns'], found[name]['top'])}{more}")
    return lines


def finding_lines(findings: Sequence[dict[str, Any]] | None) -> list[str]:
    """One line each, the kind first; or that there are none."""
    if findings == []:
        return ["no trend, step, unusual bucket or gap found"]
    return [_finding(found) for found in findings or []]


def _finding(found: dict[str, Any]) -> str:
    """``step at 2026-11-18: 0.901 → 0.812, change -0.089, pct -9.9, n 4123 2240, clear``."""
    kind, rest = found["kind"], {k: v for k, v in found.items() if k not in {"kind", "verdict", "before", "after"}}
    place = f"at {rest.pop('at')}" if "at" in rest else f"from {rest.pop('from')}"
    parts = [f"{plain(found['before'])} → {plain(found['after'])}"] if "before" in found else []
    parts += [figure(name, value) for name, value in rest.items()]
    return f"{kind} {place}: " + ", ".join([*parts, *([found["verdict"]] if "verdict" in found else [])])


def title_of(widget: WidgetBrief) -> str:
    plots = [widget.chart_type, widget.aggregation_function, f"of {widget.field}" if widget.field else None]
    if widget.metric:
        plots.append(f"metric {widget.metric}")
    if widget.time_period:
        plots.append(f"per {widget.time_period}")
    if widget.group_by:
        plots.append(f"by {widget.group_by}")
    number = f"widget {widget.id}" if widget.id is not None else "unsaved widget"
    return f"{number} {named(widget.name)}: {' '.join(str(part) for part in plots if part)}"


def figure(name: str, value: Any) -> str:
    """``name value``; lists joined by spaces, mappings by commas."""
    if (held := as_object(value)) is not None:
        return f"{name}: " + ", ".join(f"{key} {plain(item)}" for key, item in held.items())
    if (items := as_list(value)) is not None:
        return f"{name} {' '.join(plain(item) for item in items)}"
    return f"{name} {plain(value)}"


def plain(value: Any) -> str:
    """A value as JSON writes it; of texts only those from elsewhere in quotes."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    return json.dumps(value)


def _rows(columns: list[str], rows: list[list[Any]]) -> str:
    """``(label, n, pct): "a" 12 60.0; "b" 8 40.0``."""
    shown_rows = [" ".join(plain(cell) for cell in row) for row in rows]
    return f"({', '.join(columns)}): {'; '.join(shown_rows)}"


def _series_lines(series: SeriesShown) -> list[str]:
    head = f"{series.measure} every {series.step} from {series.start}: "
    lines = [head + " ".join("-" if v is None else plain(v) for v in series.value)]
    if series.n:
        lines.append("n " + " ".join("-" if n is None else str(n) for n in series.n))
    for name, bound in (("low", series.low), ("high", series.high)):
        if bound:
            lines.append(f"{name} " + " ".join("-" if v is None else plain(v) for v in bound))
    spark = sparkline(series.value)
    cut = f"  partial: {' '.join(str(i) for i in series.partial)} (from 0)" if series.partial else ""
    return [*lines, spark + cut]


def sparkline(values: Sequence[float | int | None]) -> str:
    """One character per bucket, a dot where there is no data.

    >>> sparkline([0, None, 1]), sparkline([5, 5])
    ('▁·█', '▅▅')
    """
    known = [v for v in values if v is not None]
    if not known:
        return "·" * len(values)
    low, high = min(known), max(known)
    if low == high:
        return "".join("·" if v is None else BARS[4] for v in values)
    return "".join("·" if v is None else BARS[min(7, int((v - low) / (high - low) * 8))] for v in values)
