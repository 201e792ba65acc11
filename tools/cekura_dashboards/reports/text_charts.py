"""Charts in plain text, at most 80 columns wide, for people whose chat shows nothing else."""

from collections.abc import Sequence

from cekura_dashboards.stats.findings import FigureChange
from cekura_dashboards.stats.numbers import Number
from cekura_dashboards.summaries.buckets import ADDITIVE
from cekura_dashboards.summaries.model import PieFacts, Series
from cekura_dashboards.text import plain

EIGHTHS = "▁▂▃▄▅▆▇█"
LEFT_EIGHTHS = "▏▎▍▌▋▊▉█"
MAX_LINE = 80
CHART_ROWS, MAX_CHART_COLUMNS, MAX_COLUMN_WIDTH = 5, 60, 5
"""Of a chart over time: lines, the most columns, and those of one bucket at most."""
MAX_LABEL, MAX_PIE_BAR = 38, 20
"""Of a pie: characters of a label, beyond which there is no chart, and of the longest bar."""
MIN_SHARE_FROM_ZERO = 0.4
"""Values begin at 0 where the smallest is below this share of the largest."""


def column_chart(series: Series, last: str) -> list[str]:
    r"""A column for each bucket, a dot where there is no data, and axes. ``last``: the day of the last bucket.

    >>> days = Series(measure="count", start="2026-11-01", step="1d", value=[4, None, 8])
    >>> print("\n".join(columns(days, "2026-11-03")))
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
    """A height in eighths of a line; what is not nothing is seen."""
    return max(1 if at_least else 0, round(share * 8 * CHART_ROWS))


def _cell(level: int | None, row: int) -> str:
    if level is None:
        return " " if row else "·"
    rest = level - 8 * row
    return " " if rest <= 0 else EIGHTHS[min(rest, 8) - 1]


def pie_chart(facts: PieFacts) -> list[str]:
    """The slices of a pie as aligned bars; nothing where labels are too long for that."""
    rows = [(plain(row.label), plain(row.n), row.pct) for row in facts.top or []]
    if facts.other:
        rows.append((f"other {facts.other.categories} categories", plain(facts.other.n), facts.other.pct))
    most = max((pct for _, _, pct in rows), default=0)
    longest = max((len(label) for label, _, _ in rows), default=0)
    if not most or longest > MAX_LABEL:
        return []
    widest = max(len(n) for _, n, _ in rows)
    return [
        f"{label:<{longest}}  {n:>{widest}}  {plain(pct):>5}  {_pie_bar(pct / most)}".rstrip() for label, n, pct in rows
    ]


def _pie_bar(share: float) -> str:
    eighths = round(share * 8 * MAX_PIE_BAR)
    return "█" * (eighths // 8) + (LEFT_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")


def figure_table(changes: Sequence[FigureChange]) -> list[str]:
    """The figures of a stat, each beside that of the period before, aligned."""
    rows = [("", "now", "before", "difference", "")]
    rows += [(plain(o.figure), plain(o.current), plain(o.baseline), plain(o.difference), o.verdict) for o in changes]
    name, now, before, moved, _ = (max(map(len, cells)) for cells in zip(*rows, strict=True))
    return [f"{r[0]:<{name}}  {r[1]:>{now}}  {r[2]:>{before}}  {r[3]:>{moved}}  {r[4]}".rstrip() for r in rows]
