"""Whom an answer is for."""

from msgspec import Struct, field

from cekura_dashboards.stats.timeline import UTC_CLOCK, Clock

FINE_SERIES, COARSE_SERIES = 31, 12
"""Buckets of a series by default: every day of a month; fewer where several charts share the room."""


class ReportOptions(Struct, frozen=True):
    """``points``: the most buckets of a series; ``coarse``: of one that stands in where there is no room for it.

    ``names``: what to call agents, by id. ``clock``: theirs.
    """

    points: int
    coarse: int = 0
    names: dict[str, str] = field(default_factory=dict[str, str])
    clock: Clock = UTC_CLOCK
