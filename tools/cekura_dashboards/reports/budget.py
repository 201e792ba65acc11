"""Fits reports into their budget: detail goes first, nothing is cut in the middle, and reports name what is missing.

Several reports share one pool: room that one does not need goes to others. Never omitted: what is plotted, which calls
and window, the headline value with n, every finding with its verdict, the verdict of a comparison. Tables, as aligned
text or as CSV, get the rest.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from itertools import accumulate, takewhile
from typing import Any

from msgspec import Struct

from cekura_dashboards.reports.render import DETAILS, render_report
from cekura_dashboards.reports.report import WidgetReport, WindowShown
from cekura_dashboards.stats.findings import exact
from cekura_dashboards.summaries.model import (
    AnyFacts,
    Cell,
    GroupShown,
    OtherGroups,
    OtherSlices,
    PieFacts,
    SliceShown,
    Table,
    TableFormat,
)
from cekura_dashboards.text import UntrustedText, clean, inert, noun_and_names, plain, untrusted

ONE_WIDGET = 1600
EACH_OF_SEVERAL = 700
WHOLE_ANSWER = 9000
STRUCTURED = 1.5
"""The budget of the structured answer, as a multiple of the text's."""
FEW_GROUPS, FEW_SLICES, FEW_CONTRIBUTORS, FEWER = 7, 6, 3, 2
FEW_POINTS = 8
SHORT_LABEL, SHORT_WHERE, SHORT_NOTE = 24, 120, 160
ALONE = "request the widget alone"
COUNTS = "n per bucket"
FINER = "a finer series"
SEVERAL = 3
"""A note shared by this many widgets is listed once."""
HEADLINES = (
    "overall", "total", "rate", "mean", "total_calls", "success_rate", "min", "max", "p50", "p95", "p99",
    "typical_bucket_p50", "typical_bucket_p95", "typical_bucket_p99", "ci95", "first", "last",
)  # fmt: skip
"""The figures that are never omitted."""


def fit(
    reports: Sequence[WidgetReport], *, head: int = 0, most: int = WHOLE_ANSWER, charted: bool = True
) -> list[WidgetReport]:
    """Fit the reports into one budget, of which ``head`` characters are used.

    ``charted``: a single report gets a chart in its text.
    """
    several = min(EACH_OF_SEVERAL * len(reports), most) - 2 * len(reports)
    pool = (ONE_WIDGET if len(reports) == 1 else several) - head
    fitted_reports = [report.with_chart() for report in reports] if charted and len(reports) == 1 else list(reports)
    sizes = [size_of(report) for report in fitted_reports]
    for step in STEPS:
        for place in sorted(range(len(fitted_reports)), key=lambda i: -sizes[i]):
            if sum(sizes) <= pool:
                return fitted_reports
            shorter = step(fitted_reports[place])
            if shorter is not fitted_reports[place]:
                fitted_reports[place], sizes[place] = shorter, size_of(shorter)
    return fitted_reports


def size_of(report: WidgetReport) -> float:
    """The size of a report: that of its text, or of its structure if that is larger."""
    structure = len(report.model_dump_json(by_alias=True, exclude_none=True))
    return max(len(render_report(report)), structure / STRUCTURED)


class CommonParts(Struct, frozen=True):
    """Common parts of reports: the window and calls of all, and notes, each with its widgets."""

    window: WindowShown | None
    where: str | None
    notes: list[str]


def without_repeats(reports: Sequence[WidgetReport]) -> tuple[list[WidgetReport], CommonParts]:
    """The reports without their common parts, and those parts."""
    windows, wheres = [item.window for item in reports], [item.where for item in reports]
    several = len(reports) > 1
    window = windows[0] if several and all(each == windows[0] for each in windows) else None
    where = wheres[0] if several and all(each == wheres[0] for each in wheres) else None
    changes = {name: None for name, value in (("window", window), ("where", where)) if value is not None}
    reports, notes = _without_repeated_notes([item.model_copy(update=changes) for item in reports])
    return reports, CommonParts(window, where, notes)


def _without_repeated_notes(reports: Sequence[WidgetReport]) -> tuple[list[WidgetReport], list[str]]:
    holders = defaultdict[str, list[WidgetReport]](list)
    for item in reports:
        texts = [*(item.notes or []), *_compared_notes(item)]
        for text in sorted({*texts}, key=texts.index):
            holders[text].append(item)
    repeated = {text: items for text, items in holders.items() if len(items) >= SEVERAL}
    lines = [f"{_who(items, len(reports))}: {text}" for text, items in repeated.items()]
    return [_without(item, repeated) for item in reports], lines


def _compared_notes(item: WidgetReport) -> list[str]:
    return (item.comparison.notes or []) if item.comparison else []


def _who(items: Sequence[WidgetReport], count: int) -> str:
    return (
        "all widgets"
        if len(items) == count
        else noun_and_names("widget", (item.widget.id for item in items), limit=count)
    )


def _without(item: WidgetReport, repeated: Collection[str]) -> WidgetReport:
    changes: dict[str, Any] = {"notes": [text for text in item.notes or [] if text not in repeated] or None}
    if item.comparison and item.comparison.notes:
        rest = [text for text in item.comparison.notes if text not in repeated]
        changes["comparison"] = item.comparison.model_copy(update={"notes": rest or None})
    return item.model_copy(update=changes)


def _leave_out(item: WidgetReport, what: str, **changes: Any) -> WidgetReport:
    """The report with a note on what it omits and how to get it."""
    earlier = [text for text in item.omitted or [] if text != ALONE]
    left_out = [*earlier, *([what] if what not in earlier else []), ALONE]
    return item.model_copy(update={**changes, "omitted": left_out})


def _without_chart(item: WidgetReport) -> WidgetReport:
    return item.with_chart(drawn=False) if item.is_charted else item


def _without_counts(item: WidgetReport) -> WidgetReport:
    if item.series is None or (item.series.n is None and item.series.low is None):
        return item
    without = item.series.model_copy(update={"n": None, "low": None, "high": None})
    return _leave_out(item, COUNTS, series=without)


def _coarser_series(item: WidgetReport) -> WidgetReport:
    if item.series is None or item.coarser is None or len(item.coarser.value) >= len(item.series.value):
        return item
    coarser = item.coarser
    if item.series.n is None:
        coarser = coarser.model_copy(update={"n": None, "low": None, "high": None})
    return _leave_out(item, FINER, series=coarser)


def _without_long_series(item: WidgetReport) -> WidgetReport:
    return _without_series(item) if item.series and len(item.series.value) > FEW_POINTS else item


def _without_series(item: WidgetReport) -> WidgetReport:
    if item.series is None:
        return item
    left_out = [text for text in item.omitted or [] if text not in {COUNTS, FINER}]
    return _leave_out(item.model_copy(update={"omitted": left_out}), "series", series=None)


def _short_notes(item: WidgetReport) -> WidgetReport:
    notes = item.notes or []
    short = [clean(text, limit=SHORT_NOTE) for text in notes[:FEWER]]
    return item if short == notes else _leave_out(item, "some notes", notes=short or None)


def _short_groups(item: WidgetReport) -> WidgetReport:
    return _groups_to(item, FEW_GROUPS)


def _fewer_groups(item: WidgetReport) -> WidgetReport:
    return _groups_to(item, FEWER)


def _groups_to(item: WidgetReport, most: int) -> WidgetReport:
    groups = item.groups
    if groups is None or len(groups.top) <= most:
        return item
    tail = groups.top[most:]
    others = groups.other or OtherGroups(groups=0, n=0)
    other = OtherGroups(groups=others.groups + len(tail), n=others.n + sum(row.n or 0 for row in tail))
    top = [GroupShown(_cut(row.group), row.n, row.value) for row in groups.top[:most]]
    shorter = groups.model_copy(update={"top": top, "other": other})
    return _leave_out(item, "smaller groups", groups=shorter)


def _fewer_changes(item: WidgetReport) -> WidgetReport:
    """The two most significant of the changed groups."""
    group_changes = item.group_changes
    if group_changes is None or len(group_changes.top) <= FEWER:
        return item
    return _leave_out(
        item, "changed groups", group_changes=group_changes.model_copy(update={"top": group_changes.top[:FEWER]})
    )


def _short_profile(item: WidgetReport) -> WidgetReport:
    """A profile without the calls of each slot and without separate weekends."""
    profile = item.profile
    if profile is None or not (profile.n or profile.weekend):
        return item
    return _leave_out(item, COUNTS, profile=profile.model_copy(update={"n": None, "weekend": None}))


def _bare_profile(item: WidgetReport) -> WidgetReport:
    """A profile without its values: only the slots that stand out."""
    profile = item.profile
    if profile is None or not profile.value:
        return item
    bare = profile.model_copy(update={"value": [], "slots": None, "weekdays": None, "n": None, "weekend": None})
    return _leave_out(item, "values of the profile", profile=bare)


def _short_slices(item: WidgetReport) -> WidgetReport:
    return _slices_to(item, FEW_SLICES)


def _fewer_slices(item: WidgetReport) -> WidgetReport:
    return _slices_to(item, FEWER)


def _slices_to(item: WidgetReport, most: int) -> WidgetReport:
    """Fewer slices of a pie, and labels cut."""
    facts = item.facts
    if not isinstance(facts, PieFacts) or not facts.top:
        return item
    tail = facts.top[most:]
    top = [SliceShown(_cut(row.label), row.n, row.pct) for row in facts.top[:most]]
    if not tail and top == facts.top:
        return item
    others = facts.other or OtherSlices(categories=0, n=0, pct=0.0)
    other = OtherSlices(
        categories=others.categories + len(tail),
        n=exact(others.n + sum(row.n for row in tail)),
        pct=round(others.pct + sum(row.pct for row in tail), 1),
    )
    short = facts.model_copy(update={"top": top, "other": other if other.categories else None})
    return _leave_out(item, "smaller slices and long labels", facts=short)


def _cut(label: str | None) -> str | None:
    return label if label is None or not isinstance(label, UntrustedText) else UntrustedText(label, limit=SHORT_LABEL)


def _short_comparison(item: WidgetReport) -> WidgetReport:
    return _contributors_to(item, FEW_CONTRIBUTORS)


def _bare_comparison(item: WidgetReport) -> WidgetReport:
    return _contributors_to(item, 0)


def _contributors_to(item: WidgetReport, most: int) -> WidgetReport:
    """Fewer contributors and changed shares; the verdict stays."""
    comparison = item.comparison
    if comparison is None:
        return item
    changes = dict[str, Any]()
    if comparison.contributors and len(comparison.contributors.top) > most:
        top = comparison.contributors.top
        more = (comparison.contributors.more or 0) + len(top) - most
        changes["contributors"] = (
            comparison.contributors.model_copy(update={"top": top[:most], "more": more}) if most else None
        )
    least = max(1, most)
    if comparison.shares and len(comparison.shares.top) > least:
        more = (comparison.shares.more or 0) + len(comparison.shares.top) - least
        changes["shares"] = comparison.shares.model_copy(update={"top": comparison.shares.top[:least], "more": more})
    if not changes:
        return item
    return _leave_out(item, "smaller contributors", comparison=comparison.model_copy(update=changes))


def _headline_only(item: WidgetReport) -> WidgetReport:
    """The headline figures and the findings."""
    facts = item.facts
    headline: AnyFacts | None = None
    if isinstance(facts, PieFacts):
        headline = facts.model_copy(update={"lead_points": None, "lead_ci95": None})
    elif facts is not None:
        names = [name for name in HEADLINES if getattr(facts, name, None) is not None]
        headline = facts.model_copy(update={name: None for name, _ in facts if name not in names})
    error = clean(item.error, limit=200) if item.error else None
    return _leave_out(
        item.model_copy(update={"omitted": None}), DETAILS,
        facts=headline, groups=None, group_changes=None, notes=None, not_tested=None, error=error,
    )  # fmt: skip


def _short_names(item: WidgetReport) -> WidgetReport:
    """The last resort, for dashboards of dozens of widgets."""
    name = untrusted(item.widget.name, limit=SHORT_LABEL)
    where = item.where
    if where and len(where) > SHORT_WHERE:
        where = clean(where, limit=SHORT_WHERE)
    facts = _slices_to(item, 1).facts
    if isinstance(facts, PieFacts):
        facts = facts.model_copy(update={"other": None})
    error = item.error and clean(item.error, limit=80)
    return item.model_copy(
        update={
            "widget": item.widget.model_copy(update={"name": name}), "where": where, "facts": facts, "error": error,
            "omitted": [DETAILS] if not error else None,
        }
    )  # fmt: skip


def _without_all_calls(item: WidgetReport) -> WidgetReport:
    """Only n, without the number of all calls, unless the share of calls evaluated changed."""
    if item.evaluated is None or item.evaluated.share_changes:
        return item
    return item.model_copy(update={"evaluated": None})


STEPS: tuple[Callable[[WidgetReport], WidgetReport], ...] = (
    _without_chart, _without_counts, _short_profile, _coarser_series, _without_long_series, _short_notes, _short_groups,
    _short_slices, _short_comparison, _without_series, _fewer_groups, _fewer_changes, _fewer_slices, _bare_comparison,
    _bare_profile, _headline_only, _short_names, _without_all_calls,
)  # fmt: skip


MOST_ROWS = 1000
"""The maximum that can fit into an answer: the shortest rows have nine characters."""
FOR_REPORTS = WHOLE_ANSWER // 2
"""The share of an answer with tables that its reports may use."""
FOR_HEAD = 120
"""Characters reserved for the line above a table."""
FORMULA = frozenset("=+-@\t\r＝＋－＠")  # noqa: RUF001 - the full-width forms
"""First characters of a cell that a spreadsheet runs as a formula. Source: OWASP, CSV Injection."""
CSV_LINE_END = "\r\n"


def fit_tables(
    reports: Sequence[WidgetReport], how: TableFormat, first_row: int, *, head: int = 0
) -> list[WidgetReport]:
    """Fit the reports, and the rows of their tables from ``first_row`` on into the rest of the answer.

    Room that a short table does not need goes to others. ``head``: characters of the answer already used.
    """
    bare = [report.model_copy(update={"table": None, "series": None}) for report in reports]
    fitted = fit(bare, head=head, most=FOR_REPORTS, charted=False)
    room = WHOLE_ANSWER - head - sum(map(size_of, fitted))
    tables = {place: report.table for place, report in enumerate(reports) if report.table is not None}
    ordered = sorted(tables, key=lambda place: (tables[place].total_rows, place))
    for done, place in enumerate(ordered):
        table, size = _cut_table(tables[place], how, first_row, room / (len(ordered) - done))
        fitted[place] = fitted[place].model_copy(update={"table": table})
        room -= size
    return fitted


def without_table(report: WidgetReport) -> WidgetReport:
    """The report for a drawing, which has its own series."""
    return report.model_copy(update={"table": None})


def _cut_table(table: Table, how: TableFormat, first_row: int, room: float) -> tuple[Table, float]:
    """As many rows as fit, and their size."""
    page = table.model_copy(
        update={"format": how, "first_row": first_row, "rows": table.rows[first_row - 1 : first_row - 1 + MOST_ROWS]}
    )
    head, *lines = _lines(page)
    columns = max(len(head), len(json.dumps(page.columns)) / STRUCTURED)
    sizes = [
        max(
            len(line) + len(CSV_LINE_END),
            (len(json.dumps(row, ensure_ascii=False, separators=(",", ":"))) + 1) / STRUCTURED,
        )
        for line, row in zip(lines, page.rows, strict=True)
    ]
    totals = [*takewhile(lambda total: total <= room, accumulate(sizes, initial=columns + FOR_HEAD))]
    rows = page.rows[: max(0, len(totals) - 1)]
    return page.model_copy(update={"rows": rows}), totals[-1] if totals else 0.0


def table_blocks(report: WidgetReport) -> list[str]:
    """The table of a report: a line with the range of rows, then the rows; empty without a table."""
    table = report.table
    if table is None:
        return []
    name = "table" if report.widget.id is None else f"table of widget {report.widget.id}"
    if not table.rows:
        return [f"{name}: {_none_of(table)}"]
    last = table.first_row + len(table.rows) - 1
    is_whole = len(table.rows) == table.total_rows
    which = f"{last} rows" if is_whole else f"rows {table.first_row} to {last} of {table.total_rows}"
    more = f"; from_row {last + 1} continues" if last < table.total_rows else ""
    is_csv = table.format == "csv"
    rows = "".join(line + CSV_LINE_END for line in _lines(table)) if is_csv else "\n".join(_lines(table))
    return [f"{name}, {which}{more}:\n{rows}"]


def _none_of(table: Table) -> str:
    if not table.total_rows:
        return "no rows"
    if table.first_row > table.total_rows:
        return f"no row {table.first_row}, as there are {table.total_rows}"
    return f"{table.total_rows} rows, none of which fits here: request the widget alone"


def _lines(table: Table) -> list[str]:
    """The columns, then the rows."""
    return csv_lines(table.columns, table.rows) if table.format == "csv" else _aligned(table)


def _aligned(table: Table) -> list[str]:
    """Texts flush left, numbers flush right; a missing number is a dash."""
    is_text = [not any(isinstance(row[i], int | float) for row in table.rows) for i in range(len(table.columns))]
    rows = [
        [("" if text else "-") if cell is None else plain(cell) for cell, text in zip(row, is_text, strict=True)]
        for row in table.rows
    ]
    widths = [max(map(len, cells)) for cells in zip(table.columns, *rows, strict=True)]
    sides: list[Callable[[str, int], str]] = [str.ljust if text else str.rjust for text in is_text]
    return [
        "  ".join(side(cell, width) for side, cell, width in zip(sides, row, widths, strict=True)).rstrip()
        for row in [table.columns, *rows]
    ]


def csv_lines(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    r"""The records of RFC 4180, each without its line break: texts quoted, numbers bare, a missing value empty.

    A text that a spreadsheet would run as a formula starts with an apostrophe.

    >>> print("; ".join(csv_lines(["group", "n"], [["=1+1", 0], ["a, b", None]])))
    "group","n"; "'=1+1",0; "a, b",
    """
    head = [name.replace('"', "") for name in columns]  # names are quoted in text, and cells in any case
    return [",".join(_csv_cell(cell) for cell in row) for row in [head, *rows]]


def _csv_cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return repr(cell)
    text = inert(cell[:]) if isinstance(cell, UntrustedText) else cell
    guarded = "'" + text if text[:1] in FORMULA and text else text
    return '"' + guarded.replace('"', '""') + '"'
