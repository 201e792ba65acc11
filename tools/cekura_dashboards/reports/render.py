"""Reports, profiles and plain-text charts as text. Pure functions of the typed result."""

from collections.abc import Iterable, Sequence
from typing import Any

from cekura_dashboards.api.models import as_list, as_object
from cekura_dashboards.charts.companions import Evaluated
from cekura_dashboards.reports.edits import edit_lines, measure_line
from cekura_dashboards.reports.report import StatChange, WidgetBrief, WidgetReport, WindowShown
from cekura_dashboards.stats.findings import (
    Comparison,
    Contributor,
    Contributors,
    FigureChange,
    Finding,
    Gap,
    GroupChanges,
    GroupShareChange,
    Number,
    SampleFigures,
    ShareChange,
    Shares,
    Step,
    Trend,
    Unusual,
)
from cekura_dashboards.stats.timeline import later
from cekura_dashboards.summaries.bar import ADDITIVE
from cekura_dashboards.summaries.model import (
    AnyFacts,
    At,
    Groups,
    OneCall,
    OtherSlices,
    PieFacts,
    Profile,
    Series,
    SlotShown,
    StatFacts,
)
from cekura_dashboards.summaries.profile import names_of
from cekura_dashboards.text import counted, named, noun_and_names, plain

DETAILS = "details"
"""Omitted from every report of a large dashboard, with one note in the answer."""
LABELS = {
    "ci95": "95 % interval",
    "mean_of_buckets": "unweighted mean of buckets",
    "typical_bucket_p50": "typical bucket p50",
    "typical_bucket_p95": "typical bucket p95",
    "typical_bucket_p99": "typical bucket p99",
    "nulls": "calls without a value",
}
"""Labels of facts whose field name is unclear."""
BY_THEMSELVES = {"top", "columns", "other", "lead_points", "lead_ci95", "units", "other_figures"}
"""Facts that have their own line."""
NAMES_OF_STEPS = {"1d": "day", "1h": "hour", "1w": "week", "1mo": "month"}
HOURS = 24
FLAT = {"not significant": "not significantly different from flat", "not tested": "not tested, too few days or calls"}
EIGHTHS = "▁▂▃▄▅▆▇█"
LEFT_EIGHTHS = "▏▎▍▌▋▊▉█"
MAX_LINE = 80
CHART_ROWS, MAX_CHART_COLUMNS, MAX_COLUMN_WIDTH = 5, 60, 5
"""The size of a chart over time: lines, maximum columns, maximum columns of a bucket."""
MAX_LABEL, MAX_PIE_BAR = 38, 20
"""The size of a pie: maximum characters of a label, beyond which there is no chart, and of a bar."""
MIN_SHARE_FROM_ZERO = 0.4
"""The axis begins at 0 if the smallest value is below this share of the largest."""


def render_report(item: WidgetReport) -> str:
    """One widget: its title, calls, figures, series and notes."""
    return item.text_by(_rendered)


def _rendered(item: WidgetReport) -> str:
    of_measure = next((line for edits in item.edits or [] if (line := measure_line(edits))), None)
    lines = [of_measure] if of_measure else []
    lines.append(title_of(item.widget))
    if item.where:
        lines.append(f"where {item.where}")
    if item.window:
        lines.append(window_text(item.window))
    if item.error is not None:
        return "\n".join([*lines, f"failed: {item.error}"])
    lines += comparison_lines(item.comparison)
    lines += (
        ["no findings"]
        if item.findings == [] and item.omitted == [DETAILS]
        else finding_lines(item.findings, item.not_tested, item.outage_of)
    )
    lines += [line for edits in item.edits or [] for line in edit_lines(edits)]
    if item.evaluated is not None and item.evaluated.share_changes:
        lines += [
            f"share of calls evaluated, {NOT_QUALITY}: {_finding(change)}" for change in item.evaluated.share_changes
        ]
    basis = [f"unit {item.unit}" if item.unit else "", item.pass_score or ""]
    if item.evaluated is not None:
        basis.append(evaluated_line(item.evaluated))
    elif item.n is not None:
        basis.append(f"n {item.n}")
    lines.append("; ".join(part for part in [*basis, *_figures(item.facts)] if part))
    lines += _tables(item)
    for word, texts in (("not tested", item.not_tested), ("note", item.notes)):
        lines += [f"{word}: {text}" for text in texts or []]
    if item.omitted and item.omitted != [DETAILS]:
        lines.append(f"omitted: {'; '.join(item.omitted)}")
    return "\n".join(line for line in lines if line)


def _tables(item: WidgetReport) -> list[str]:
    """Slices, changes, groups and the series."""
    lines = _pie_lines(item.facts, charted=item.is_charted) if isinstance(item.facts, PieFacts) else []
    lines += _change_lines(item.change, charted=item.is_charted) if item.change else []
    lines += _group_lines(item.groups) if item.groups else []
    lines += [_group_change_line(item.group_changes)] if item.group_changes else []
    lines += profile_lines(item.profile) if item.profile else []
    if item.series is None:
        return lines
    last = later(item.series.start, item.series.step, len(item.series.value) - 1)
    drawn = column_chart(item.series, last[:10]) if item.is_charted else []
    return lines + _series_lines(item.series, drawn)


def window_text(window: WindowShown) -> str:
    return f"{window.start} to {window.end} ({window.source})"


def title_of(widget: WidgetBrief) -> str:
    """``widget 203 "Success rate": bar avg of success per day``; of a widget that could not be read, its id."""
    number = f"widget {widget.id}" if widget.id is not None else "unsaved widget"
    if widget.chart_type is None:
        return number
    plots = [widget.chart_type, widget.aggregation_function, f"of {widget.field}" if widget.field else None]
    if widget.metric:
        plots.append(f"metric {widget.metric}")
    if widget.time_period:
        plots.append(f"per {widget.time_period}")
    if widget.group_by:
        plots.append(f"by {widget.group_by}")
    return f"{number} {named(widget.name)}: {' '.join(str(part) for part in plots if part)}"


def _figures(facts: AnyFacts | None) -> list[str]:
    """``name value`` for each known figure."""
    if facts is None:
        return []
    named_figures = [(name, value) for name, value in facts if value is not None and name not in BY_THEMSELVES]
    if isinstance(facts, StatFacts):
        named_figures += (facts.other_figures or {}).items()
        units = {name: unit for name, unit in (facts.units or {}).items() if unit != "unknown"}
        return [
            figure(name, value) + (f" {units[name]}" if name in units and units[name] != "calls" else "")
            for name, value in named_figures
        ]
    return [figure(LABELS.get(name, name), value) for name, value in named_figures]


def _pie_lines(facts: PieFacts, *, charted: bool) -> list[str]:
    drawn = pie_chart(facts) if charted else []
    lines = [f"({', '.join(facts.columns or [])}):", *drawn] if drawn else []
    if facts.top and not drawn:
        lines = [_rows(facts.columns or [], facts.top)]
    if facts.other and not drawn:
        lines[-1] += f"; {_rest_label(facts.other)} {plain(facts.other.n)} {plain(facts.other.pct)}"
    if facts.lead_points is not None and facts.lead_ci95 is not None:
        low, high = facts.lead_ci95
        lines.append(
            f"the first leads the second by {plain(facts.lead_points)} points "
            f"(95 % interval {plain(low)} to {plain(high)})"
        )
    return lines


def _group_lines(groups: Groups) -> list[str]:
    line = f"by {groups.by} {_rows(groups.columns, groups.top)}"
    return [f"{line}; {counted(groups.other.groups, 'other group')} {groups.other.n}" if groups.other else line]


def _group_change_line(group_changes: GroupChanges) -> str:
    shares = shares_text(group_changes.evaluated_shares)
    if not group_changes.top:
        tested = f"{group_changes.not_significant} tested"
        return f"groups, {group_changes.against}: no group stands out ({tested}){shares}"
    sizes = any(row.n for row in group_changes.top)
    columns = ["group", "baseline", "current", "relative %", *(["n baseline", "n current"] if sizes else []), "verdict"]
    rows = "; ".join(
        " ".join([plain(row.group), *map(_or_dash, [row.baseline, row.current, row.pct, *(row.n or [])]), row.verdict])
        for row in group_changes.top
    )
    rest = f"; {group_changes.more} more significant" if group_changes.more else ""
    rest += f"; {group_changes.not_significant} not significant" if group_changes.not_significant else ""
    if any(row.verdict == "not tested" for row in group_changes.top):
        rest += "; not tested: too few calls on one side"
    rest += f"; possible at most: {group_changes.limited_by}" if group_changes.limited_by else ""
    return f"groups, {group_changes.against} ({', '.join(columns)}): {rows}{rest}{shares}"


def shares_text(changes: Sequence[GroupShareChange] | None) -> str:
    """``; share of calls evaluated, …: "Booking (33)" 96.8 % → 30.1 %``; empty without changes."""
    rows = [f"{plain(row.group)} {plain(row.baseline_pct)} % → {plain(row.current_pct)} %" for row in changes or []]
    return f"; share of calls evaluated, {NOT_QUALITY}: {', '.join(rows)}" if rows else ""


def _or_dash(value: Number | None) -> str:
    """A figure, or ``-`` for None."""
    return "-" if value is None else plain(value)


def _change_lines(change: StatChange, *, charted: bool) -> list[str]:
    head = f"baseline {change.start} to {change.end}:"
    return [head, *figure_table(change.figures)] if charted else [f"{head} {_figure_changes(change.figures)}"]


def _figure_changes(rows: Iterable[FigureChange]) -> str:
    return "; ".join(
        f"{row.figure} {plain(row.current)}, baseline {plain(row.baseline)}, difference {_difference(row)}, "
        f"{_row_verdict(row)}"
        for row in rows
    )


def _difference(row: FigureChange) -> str:
    return plain(row.difference) + (f" per {row.per}" if row.per else "")


def verdict_words(verdict: str, possible_among: int | None) -> str:
    """``clear, possible among 7 tests``: clear alone, but possible when corrected for all tests of an answer."""
    return verdict + (f", possible among {possible_among} tests" if possible_among else "")


def _row_verdict(row: FigureChange | ShareChange) -> str:
    verdict = verdict_words(row.verdict, row.possible_among)
    untested = row.not_tested if isinstance(row, FigureChange) else None
    reason = untested or row.explained_by
    return f"{verdict} ({reason})" if reason else verdict


def comparison_lines(comparison: Comparison | None) -> list[str]:
    """``compared with …: current 0.81, baseline 0.85, difference -0.04, …, clear``, then the contributors."""
    if comparison is None:
        return []
    against = f"where {comparison.where}" if comparison.where else comparison.against
    head = f"compared with {comparison.start} to {comparison.end} ({against})" if comparison.start else "not compared"
    notes = [f"note: {text}" for text in comparison.notes or []]
    if comparison.not_compared:
        return [f"{head}: {comparison.not_compared}"]
    parts = [
        f"{name} {_side(side)}"
        for name, side in (("current", comparison.current), ("baseline", comparison.baseline))
        if side is not None
    ]
    if comparison.difference is not None:
        relative = f" ({plain(comparison.pct)} % relative)" if comparison.pct is not None else ""
        parts.append(f"difference {plain(comparison.difference)}{relative}")
    if comparison.ci95:
        parts.append(f"95 % interval {plain(comparison.ci95[0])} to {plain(comparison.ci95[1])}")
    if comparison.per:
        parts.append(f"per {comparison.per}, as the windows differ in length")
    if comparison.verdict:
        reason = comparison.not_tested or comparison.limited_by or comparison.explained_by
        verdict = verdict_words(comparison.verdict, comparison.possible_among)
        parts.append(f"{verdict}: {reason}" if reason else verdict)
    elif comparison.limited_by:
        parts.append(comparison.limited_by)
    tables = parts_lines(comparison)
    if not parts and tables:
        return [f"{head}: {tables[0]}", *tables[1:], *notes]
    return [f"{head}: {', '.join(parts)}", *tables, *notes]


def _side(side: SampleFigures) -> str:
    figures = [(side.value, ""), (side.n, "n "), (side.total, "total ")]
    return " ".join(f"{word}{plain(value)}" for value, word in figures if value is not None)


def parts_lines(comparison: Comparison) -> list[str]:
    """The tables of a comparison, a line each."""
    lines = contributor_lines(comparison.contributors) if comparison.contributors else []
    if comparison.shares:
        lines += share_lines(comparison.shares)
    if comparison.figures:
        lines.append(_figure_changes(comparison.figures))
    return lines


def share_lines(shares: Shares) -> list[str]:
    rows = [[row.label, row.current_pct, row.baseline_pct, row.points, _row_verdict(row)] for row in shares.top]
    line = "shares " + _rows(["label", "current %", "baseline %", "points", "verdict"], rows)
    return [line + _more(shares.more)]


def contributor_lines(contributors: Contributors) -> list[str]:
    """The parts of the change, then a table of the groups that contributed most."""
    lines = list[str]()
    if contributors.rate_effect is not None and contributors.mix_effect is not None:
        lines.append(
            f"of the change, rate effect {plain(contributors.rate_effect)} and mix effect "
            f"{plain(contributors.mix_effect)}"
        )
    if contributors.simpsons_paradox:
        lines.append("Simpson's paradox: every larger group moved against the total, as the mix of calls changed")
    columns = ["group", "current", "baseline", "n current", "n baseline", "rate effect", "mix effect", "change"]
    rows = [_cells(row) for row in contributors.top]
    columns_used = [i for i in range(len(columns)) if i < 3 or any(row[i] is not None for row in rows)]  # noqa: PLR2004 - group and both sides
    texts = [
        [plain(row[0]), *(_or_dash(row[i]) for i in columns_used[1:]), *([row[-1]] if row[-1] else [])] for row in rows
    ]
    table = "; ".join(" ".join(cells) for cells in texts)
    return [*lines, f"contributors ({', '.join(columns[i] for i in columns_used)}): {table}{_more(contributors.more)}"]


def _cells(row: Contributor) -> list[Any]:
    new, old = row.n or (None, None)
    only = {"new": "(no calls in the baseline)", "gone": "(no current calls)"}.get(row.status or "")
    return [row.group, row.current, row.baseline, new, old, row.rate_effect, row.mix_effect, row.change, only]


def _more(count: int | None) -> str:
    return f"; {count} more" if count else ""


KINDS = {"trend": "trend", "steps": "step", "outliers": "outlier", "outages": "outage"}
"""Names of kinds of findings, by the first words of notes on what was not tested."""


def finding_lines(
    findings: Sequence[Finding] | None, not_tested: Sequence[str] | None = None, outage_of: int | None = None
) -> list[str]:
    """A line for each finding, the kind first; without findings, one line with the tested kinds.

    ``outage_of``: the widget that reports the outage.
    """
    if findings == []:
        untested = {kind for text in not_tested or [] for kind in text.partition(":")[0].split(", ")}
        untested |= set() if outage_of is None else {"outages"}
        *kinds, last = [word for kind, word in KINDS.items() if kind not in untested] or [""]
        return [f"no {', '.join(kinds)}{' or ' if kinds else ''}{last}"] if last else []
    return [_finding(finding) for finding in findings or []]


def _finding(finding: Finding) -> str:
    """``step at 2026-11-18: 0.901 → 0.812, change -0.089 (-9.9 % relative), n 4123 and 2240, clear``."""
    parts = list[str]()
    match finding:
        case Step():
            head = f"{finding.kind} at {finding.at}" + (
                " (before this window, ongoing)" if finding.before_window else ""
            )
            parts.append(f"{plain(finding.before)} → {plain(finding.after)}")
            parts.append(_moved(finding.change, finding.pct))
            if finding.n:
                parts.append(f"n {plain(finding.n[0])} and {plain(finding.n[1])}")
        case Trend():
            head = f"trend from {finding.start}"
            parts += [f"{plain(finding.per_day)} per day", _moved(finding.change, finding.pct)]
        case Unusual():
            head = f"outlier from {finding.start}"
            parts.append(counted(finding.buckets, "bucket"))
            parts.append(f"{plain(finding.value)}, expected {plain(finding.expected)}")
            parts += [f"n {finding.n}"] if finding.n is not None else []
        case Gap(still=True):
            head = f"outage since {finding.start}"
            parts.append(f"no calls, expected {plain(finding.expected_calls)} by now, ongoing")
            parts += _other_widgets(finding)
        case _:
            head = f"outage from {finding.start} to {finding.end}"
            parts.append(f"no calls, expected {plain(finding.expected_calls)}")
            parts += _other_widgets(finding)
    more = f" (and {finding.more} more)" if isinstance(finding, Unusual | Gap) and finding.more else ""
    limited_by = None if isinstance(finding, Gap) else finding.limited_by
    verdict = f"{finding.verdict}: {limited_by}" if limited_by else finding.verdict
    return f"{head}: {', '.join([*parts, verdict])}{more}"


def _other_widgets(gap: Gap) -> list[str]:
    return [f"also {noun_and_names('widget', gap.widgets, limit=len(gap.widgets))}"] if gap.widgets else []


def _moved(change: float, pct: float | None) -> str:
    return f"change {plain(change)}" + (f" ({plain(pct)} % relative)" if pct is not None else "")


def figure(name: str, value: Any) -> str:
    """``name value``; lists joined by spaces, mappings by commas."""
    if (mapping := as_object(value)) is not None:
        return f"{name}: " + ", ".join(f"{key} {plain(item)}" for key, item in mapping.items())
    if isinstance(value, At | OneCall):
        value = list(value)
    if (items := as_list(value)) is not None:
        return f"{name} {' '.join(plain(item) for item in items)}"
    return f"{name} {plain(value)}"


def _rows(columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """``(label, n, pct): "a" 12 60.0; "b" 8 40.0``."""
    shown_rows = [" ".join(plain(cell) for cell in row) for row in rows]
    return f"({', '.join(columns)}): {'; '.join(shown_rows)}"


def _series_lines(series: Series, drawn: Sequence[str]) -> list[str]:
    """The values, counts and bounds. ``drawn``: a chart that replaces the sparkline."""
    head = f"{series.measure} every {series.step} from {series.start}: "
    lines = [head + " ".join("-" if v is None else plain(v) for v in series.value)]
    if series.n:
        lines.append("n " + " ".join("-" if n is None else str(n) for n in series.n))
    for name, bound in (("low", series.low), ("high", series.high)):
        if bound:
            lines.append(f"{name} " + " ".join("-" if v is None else plain(v) for v in bound))
    last = [_incomplete(series)] if series.partial else []
    if drawn:
        return [*lines, *drawn, *last]
    return [*lines, "  ".join([sparkline(series.value), *last])]


def _incomplete(series: Series) -> str:
    """``first and last day incomplete``."""
    name = NAMES_OF_STEPS.get(series.step, "bucket")
    places, last = series.partial or [], len(series.value) - 1
    if last == 0:
        return f"the {name} is incomplete"
    words = [{0: "first", last: "last"}.get(place, f"number {place + 1}") for place in places]
    return f"{' and '.join(words)} {name} incomplete"


def sparkline(values: Sequence[float | int | None]) -> str:
    """One character per bucket, a dot where there is no data.

    >>> sparkline([0, None, 1]), sparkline([5, 5])
    ('▁·█', '▅▅')
    """
    observed = [v for v in values if v is not None]
    if not observed:
        return "·" * len(values)
    low, high = min(observed), max(observed)
    if low == high:
        return "".join("·" if v is None else EIGHTHS[4] for v in values)
    return "".join("·" if v is None else EIGHTHS[min(7, int((v - low) / (high - low) * 8))] for v in values)


def profile_lines(profile: Profile) -> list[str]:
    """``by hour_of_day in Europe/Berlin: not flat, clear``, then the values."""
    lines = [f"by {profile.by} in {profile.time_zone}: {FLAT.get(profile.verdict, f'not flat, {profile.verdict}')}"]
    extremes = [
        ("highest", profile.highest), ("lowest", profile.lowest), ("highest on weekdays", profile.highest_on_weekdays),
    ]  # fmt: skip
    lines.append("; ".join(f"{name} {_slot(slot)}" for name, slot in extremes if slot))
    for word, names in (("above the others", profile.above), ("below the others", profile.below)):
        if names:
            lines.append(f"significantly {word}: {', '.join(names)}")
    names = names_of(profile.by)
    for lead, values in (
        ("", profile.value), ("n ", profile.n), ("on weekdays ", profile.weekdays), ("on weekends ", profile.weekend),
    ):  # fmt: skip
        lines += _values(lead, names, values) if values else []
    return [line for line in lines if line]


def _slot(slot: SlotShown) -> str:
    return f"{slot.slot} {slot.value!r}" + (f" n {slot.n!r}" if slot.n is not None else "")


def _values(lead: str, slots: Sequence[str], values: Sequence[Number | None]) -> list[str]:
    """The values from the first slot on; a week of hours has a line for each day."""
    texts = ["-" if value is None else repr(value) for value in values]
    step = min(len(values), HOURS)
    return [
        f"{lead}{slots[start]} to {slots[start + step - 1]}: {' '.join(texts[start : start + step])}"
        for start in range(0, len(values), step)
    ]


def column_chart(series: Series, last: str) -> list[str]:
    r"""A column for each bucket, a dot where there is no data, and axes. ``last``: the day of the last bucket.

    >>> days = Series(measure="count", start="2026-11-01", step="1d", value=[4, None, 8])
    >>> print("\n".join(column_chart(days, "2026-11-03")))
    8 ┤           █████
      │           █████
      │ ▄▄▄▄▄     █████
      │ █████     █████
    0 ┤ █████·····█████
        2026-11-01 2026-11-03
    """
    observed = [value for value in series.value if value is not None]
    if len(observed) < 2:  # noqa: PLR2004 - one bucket is no chart
        return []
    high, low = max(observed), min(observed)
    base: Number = 0 if series.measure in ADDITIVE or 0 <= low < MIN_SHARE_FROM_ZERO * high else low
    base = min(base, low)
    span = (high - base) or 1
    levels = [
        None if value is None else _level((value - base) / span, at_least=bool(value or base)) for value in series.value
    ]
    names = {CHART_ROWS - 1: plain(high), 0: plain(base)}
    margin = max(map(len, names.values()))
    width = min(MAX_COLUMN_WIDTH, min(MAX_CHART_COLUMNS, MAX_LINE - margin - 3) // len(levels))
    if width < 1:
        return []
    lines = [
        f"{names.get(row, ''):>{margin}} {'┤' if row in names else '│'} "
        + "".join(_cell(level, row) * width for level in levels).rstrip()
        for row in reversed(range(CHART_ROWS))
    ]
    gap = max(1, len(levels) * width - len(series.start) - len(last))
    return [*lines, " " * (margin + 3) + series.start + " " * gap + last]


def _level(share: float, *, at_least: bool) -> int:
    """A height in eighths of a line; ``at_least``: at least one."""
    return max(1 if at_least else 0, round(share * 8 * CHART_ROWS))


def _cell(level: int | None, row: int) -> str:
    if level is None:
        return " " if row else "·"
    rest = level - 8 * row
    return " " if rest <= 0 else EIGHTHS[min(rest, 8) - 1]


def pie_chart(facts: PieFacts) -> list[str]:
    """The slices of a pie as aligned bars; empty if a label is too long."""
    rows = [(plain(row.label), plain(row.n), row.pct) for row in facts.top or []]
    if facts.other:
        rows.append((_rest_label(facts.other), plain(facts.other.n), facts.other.pct))
    most = max((pct for _, _, pct in rows), default=0)
    longest = max((len(label) for label, _, _ in rows), default=0)
    if not most or longest > MAX_LABEL:
        return []
    widest = max(len(n) for _, n, _ in rows)
    return [
        f"{label:<{longest}}  {n:>{widest}}  {plain(pct):>5}  {_pie_bar(pct / most)}".rstrip() for label, n, pct in rows
    ]


def _rest_label(rest: OtherSlices) -> str:
    return f"{rest.categories} other categor{'ies' if rest.categories != 1 else 'y'}"


def _pie_bar(share: float) -> str:
    eighths = round(share * 8 * MAX_PIE_BAR)
    return "█" * (eighths // 8) + (LEFT_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")


def figure_table(changes: Sequence[FigureChange]) -> list[str]:
    """The figures of a stat, each with its baseline, aligned."""
    rows = [("", "current", "baseline", "difference", "")]
    for row in changes:
        figures = plain(row.current), plain(row.baseline), _difference(row)
        rows.append((plain(row.figure), *figures, _row_verdict(row)))
    name, now, before, moved, _ = (max(map(len, cells)) for cells in zip(*rows, strict=True))
    return [f"{r[0]:<{name}}  {r[1]:>{now}}  {r[2]:>{before}}  {r[3]:>{moved}}  {r[4]}".rstrip() for r in rows]


NOT_QUALITY = "by sampling or trigger; not a change of quality"


def evaluated_line(evaluated: Evaluated) -> str:
    return f"evaluated {evaluated.n} of {evaluated.all_calls} calls, {plain(evaluated.pct)} %"
