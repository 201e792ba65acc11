"""When a change began, as an interval: all the times that a single change of level leaves possible."""

import math

from cekura_dashboards.stats.arrays import Array, np

LIKELIHOOD_RATIO = 7.35
"""Twice the log of how much less likely a place may be than the likeliest one: 95 % of such sets hold the true one.

Source: Hansen (2000), Econometrica 68, table 1.
"""
MIN_BUCKETS = 4
"""Two levels and their noise cannot be told apart in fewer."""
RELATIVE_TOLERANCE = 1e-12


def onset_interval(
    times: Array, values: Array, weights: Array, step: float, *, at: float | None = None
) -> tuple[float, float]:
    """From the start of the first bucket in which the level can have changed to the end of the last, in seconds.

    ``times``: the starts of buckets of ``step`` seconds, in order, gaps allowed. ``weights``: of each value, up to a
    factor. ``at``: the start of the bucket that a test found; without it the likeliest place counts. The bucket before
    a new level belongs to the interval, as a level may change within a bucket. Too few buckets give all of their time.

    >>> day = np.arange(8.0) * 86400
    >>> start, end = onset_interval(day, np.array([9.0, 10, 9, 10, 5, 6, 5, 6]), np.ones(8), 86400)
    >>> start / 86400, end / 86400
    (3.0, 5.0)
    """
    known = np.isfinite(values) & (weights > RELATIVE_TOLERANCE * float(weights.max(initial=0.0)))
    times, values, weights = times[known], values[known], weights[known]
    count, largest = len(times), float(np.abs(values).max(initial=0.0))
    if count < MIN_BUCKETS:
        return (float(times[0]), float(times[-1]) + step) if count else (-math.inf, math.inf)
    weights = weights / float(weights.max())
    values = values / largest if largest else values
    values = values - float((values * weights).sum() / weights.sum())
    sizes, sums = np.cumsum(weights), np.cumsum(values * weights)
    explained = sums[:-1] ** 2 / sizes[:-1] + (sums[-1] - sums[:-1]) ** 2 / (sizes[-1] - sizes[:-1])
    residual = float((values**2 * weights).sum()) - explained
    found = np.searchsorted(times, at if at is not None else times[int(residual.argmin()) + 1]).item() - 1
    place = min(max(found, 0), count - 2)
    variance = max(float(residual[place]), 0.0) / (count - 2)
    slack = max(LIKELIHOOD_RATIO * variance, RELATIVE_TOLERANCE * float((values**2 * weights).sum()))
    possible = residual <= residual[place] + slack
    first = last = place
    if at is None:
        first, last = np.flatnonzero(possible)[[0, -1]].tolist()
    while first > 0 and possible[first - 1]:
        first -= 1
    while last < count - 2 and possible[last + 1]:
        last += 1
    return float(times[first]), float(times[last + 1]) + step
