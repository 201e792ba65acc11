"""One of two sides that are compared, as buckets."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct, field

GroupValues = Mapping[str | None, tuple[float, float]]
"""Name to calls and value."""


class SampleBucket(NamedTuple):
    """One bucket: the calls in it, and their mean, total, or whatever the measure is."""

    time: float
    n: float | None
    value: float
    sum_of_squares: float | None = None
    """The sum of the squared values, where single calls are known."""


def call_weights(cells: Sequence[SampleBucket]) -> list[float]:
    """The calls of each bucket, or 1 for all where some are not known."""
    return [1.0 if any(c.n is None for c in cells) else float(c.n or 0) for c in cells]


class Sample(Struct, frozen=True):
    """One of two sides. ``seconds``: how long its window is. ``groups`` map a name to its calls and value.

    ``parts``: labels with their counts, or figures by name. ``n``: its calls. ``over_time``: the buckets of a part,
    where they are known: of a label its share of the calls.
    """

    buckets: Sequence[SampleBucket]
    seconds: float
    groups: GroupValues = field(default_factory=dict[str | None, tuple[float, float]])
    parts: Mapping[str | None, float] = field(default_factory=dict[str | None, float])
    n: float | None = None
    over_time: Mapping[str | None, Sequence[SampleBucket]] = field(
        default_factory=dict[str | None, Sequence[SampleBucket]]
    )

    def part(self, name: str | None) -> "Sample":
        """One part as a side of its own."""
        return Sample(self.over_time.get(name, ()), self.seconds)


EMPTY_SAMPLE = Sample([], 0.0)
"""A side of which nothing is known."""
