"""What a summary is made of: plain data, rounded once, absent where nothing is known."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

Number = float | int
At = list[Any]
"""``[when, value]``, or ``[value, when, call id]`` for a single call."""


class Point(NamedTuple):
    """One call of a line. ``value`` None is missing."""

    time: float
    value: float | None
    id: int | str | None = None
    group: str | None = None


class Bucket(NamedTuple):
    """One bar. ``n`` None: the API did not say how many calls it rests on."""

    time: float
    value: float | None
    n: int | None
    group: str | None = None


class Slice(NamedTuple):
    """One piece of a pie; ``pct`` as the API sent it."""

    label: str | None
    value: float
    pct: float | None = None
    group: str | None = None


@dataclass(frozen=True, kw_only=True)
class Series:
    """Aligned buckets, columnar. ``partial`` holds the positions that the window or now cuts; null is no data."""

    measure: str
    start: str
    step: str
    value: list[Number | None]
    n: list[int | None] | None = None
    partial: list[int] = field(default_factory=list[int])
    """Positions in ``value``."""


@dataclass(frozen=True, kw_only=True)
class Groups:
    """``top`` holds ``[group, n, value]``, the largest first."""

    by: str
    columns: list[str]
    top: list[list[Any]]
    other: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The facts of one widget over one window."""

    kind: str
    unit: str
    n: int | None
    facts: dict[str, Any]
    series: Series | None = None
    groups: Groups | None = None
    findings: list[dict[str, Any]] | None = None
    """None: nothing was tested. Empty: tested, and nothing found."""
    not_tested: list[str] = field(default_factory=list[str])
    caveats: list[str] = field(default_factory=list[str])
