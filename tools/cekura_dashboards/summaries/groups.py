"""Groups: the largest by name, the rest together."""

from cekura_dashboards.stats.numbers import Number, exact, round_for_display
from cekura_dashboards.summaries.model import Groups, GroupShown, OtherGroups

MAX_GROUPS = 15


def largest_groups(by: str, rows: list[tuple[str | None, int | None, float | None]], columns: list[str]) -> Groups:
    """``rows``: (group, n, value). The largest 15 by n come first; equal ones by name."""
    ordered = sorted(rows, key=lambda row: (-(row[1] or 0), -(abs(row[2] or 0)), str(row[0])))
    rest = ordered[MAX_GROUPS:]
    return Groups(
        by=by,
        columns=columns,
        top=[GroupShown(name, n, _shown(value)) for name, n, value in ordered[:MAX_GROUPS]],
        other=OtherGroups(groups=len(rest), n=sum(n or 0 for _, n, _ in rest)) if rest else None,
    )


def _shown(value: float | None) -> Number | None:
    """Whole values, such as counts, exact."""
    if value is None:
        return None
    return exact(value) if float(value).is_integer() else round_for_display(value)
