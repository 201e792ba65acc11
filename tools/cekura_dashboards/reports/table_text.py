"""Tables as aligned text and as CSV, cut to the room of an answer."""

import json
from collections.abc import Callable, Sequence
from itertools import accumulate, takewhile

from cekura_dashboards.reports.budget import STRUCTURED, WHOLE_ANSWER, fit, size_of
from cekura_dashboards.reports.report import WidgetReport
from cekura_dashboards.summaries.model import Cell, Table, TableFormat
from cekura_dashboards.text import UntrustedText, inert, plain

MOST_ROWS = 1000
"""More never fit into an answer: the shortest rows have nine characters."""
FOR_REPORTS = WHOLE_ANSWER // 2
"""Of the room of an answer with tables: what its reports may use."""
FOR_HEAD = 120
"""What the line above a table may use."""
FORMULA = frozenset("=+-@\t\r＝＋－＠")  # noqa: RUF001 - the full-width forms
"""First characters of a cell that a spreadsheet runs as a formula. Source: OWASP, CSV Injection."""
END = "\r\n"


def fit_tables(
    reports: Sequence[WidgetReport], how: TableFormat, first_row: int, *, head: int = 0
) -> list[WidgetReport]:
    """Fit the reports and, into the rest of the answer, the rows of their tables from ``first_row`` on.

    What a short table does not need, another gets. ``head``: characters of the answer that are used.
    """
    bare = [report.model_copy(update={"table": None, "series": None}) for report in reports]
    fitted = fit(bare, head=head, most=FOR_REPORTS, charted=False)
    room = WHOLE_ANSWER - head - sum(map(size_of, fitted))
    tables = {place: report.table for place, report in enumerate(reports) if report.table is not None}
    ordered = sorted(tables, key=lambda place: (tables[place].total_rows, place))
    for done, place in enumerate(ordered):
        table, size = _cut(tables[place], how, first_row, room / (len(ordered) - done))
        fitted[place] = fitted[place].model_copy(update={"table": table})
        room -= size
    return fitted


def without_table(report: WidgetReport) -> WidgetReport:
    """For a drawing, which has series of its own."""
    return report.model_copy(update={"table": None})


def _cut(table: Table, how: TableFormat, first_row: int, room: float) -> tuple[Table, float]:
    """As many rows as fit, and the room that they take."""
    page = table.model_copy(
        update={"format": how, "first_row": first_row, "rows": table.rows[first_row - 1 : first_row - 1 + MOST_ROWS]}
    )
    head, *lines = _lines(page)
    columns = max(len(head), len(json.dumps(page.columns)) / STRUCTURED)
    sizes = [
        max(len(line) + len(END), (len(json.dumps(row, ensure_ascii=False, separators=(",", ":"))) + 1) / STRUCTURED)
        for line, row in zip(lines, page.rows, strict=True)
    ]
    totals = [*takewhile(lambda total: total <= room, accumulate(sizes, initial=columns + FOR_HEAD))]
    rows = page.rows[: max(0, len(totals) - 1)]
    return page.model_copy(update={"rows": rows}), totals[-1] if totals else 0.0


def table_blocks(report: WidgetReport) -> list[str]:
    """The table of a report: a line that says which rows these are, then the rows; empty without a table."""
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
    rows = "".join(line + END for line in _lines(table)) if is_csv else "\n".join(_lines(table))
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
    head = [name.replace('"', "") for name in columns]  # names are quoted in text, and cells anyway
    return [",".join(_csv_cell(cell) for cell in row) for row in [head, *rows]]


def _csv_cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return repr(cell)
    text = inert(cell[:]) if isinstance(cell, UntrustedText) else cell
    guarded = "'" + text if text[:1] in FORMULA and text else text
    return '"' + guarded.replace('"', '""') + '"'
