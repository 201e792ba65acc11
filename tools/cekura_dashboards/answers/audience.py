"""Whom an answer is for."""

from dataclasses import dataclass, field

from cekura_dashboards.insight import Clock
from cekura_dashboards.insight.clock import UTC_CLOCK


@dataclass(frozen=True)
class Audience:
    """``points``: the most buckets of a series. ``names``: what to call agents, by id. ``clock``: theirs."""

    points: int
    names: dict[str, str] = field(default_factory=dict[str, str])
    clock: Clock = UTC_CLOCK
