"""Samples, estimates and verdicts: the significance of an estimate, its terms, and the distributions.

In a series of looks at the same data the error rate of the series is spent in proportion to time: each look receives a
share, and each test of a look an equal part of that, so that few series ever report a false change. By Bonferroni's
inequality the shares bound the error of the whole series, however correlated the looks are, and however often they are
taken.

Source: the spending function alpha times t of Lan and DeMets (1983), Biometrika 70, with which neither the number of
looks nor their times need be fixed beforehand.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from statistics import NormalDist
from typing import Any, Literal, NamedTuple

from msgspec import Struct, field

from cekura_dashboards.stats.findings import Finding, Number, Verdict, round_for_display
from cekura_dashboards.stats.timeline import UTC_CLOCK, Clock
from cekura_dashboards.values import Array, Places, np, replace

NORMAL = NormalDist()
MAX_DF = 2000.0
"""From here on t and normal differ by less than a tenth of a percent."""
_TINY = 1e-300
_ROUNDS = 300
_MOST_STEPS, _CLOSE = 30, 1e-14
FIRST_TERMS, MOST_TERMS = 32, 1024
"""Terms of a tail's sum that are computed at once: first few, then twice as many each time, until the rest is
negligible. For speed and memory."""


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: float) -> float:
    """The value below which Student's t with ``df`` degrees of freedom lies with this probability (0.5 to 1).

    >>> round(t_quantile(0.975, 10), 3), round(t_quantile(0.995, 1), 2), round(t_quantile(0.975, 1e9), 3)
    (2.228, 63.66, 1.96)
    """
    if df >= MAX_DF:
        return NORMAL.inv_cdf(probability)
    tail = 1 - probability
    if tail >= 0.5:  # noqa: PLR2004 - the middle
        return 0.0
    place = math.log(_start(NORMAL.inv_cdf(probability), df))
    scale = math.lgamma((df + 1) / 2) - math.lgamma(df / 2) - math.log(df * math.pi) / 2
    for _ in range(_MOST_STEPS):
        value = math.exp(place)
        beyond = t_sf(value, df)
        density = math.exp(scale - (df + 1) / 2 * math.log1p(value * value / df))
        step = math.log(beyond / tail) * beyond / (density * value)
        place += step
        if abs(step) < _CLOSE:
            break
    return math.exp(place)


def _start(normal: float, df: float) -> float:
    """A starting value for the quantile, from the normal one.

    Source: the series of Fisher and Cornish (1960), Technometrics 2. Newton's steps on the logarithms of both, whose
    graph is concave, then lead to the quantile from either side.
    """
    first = (normal**3 + normal) / 4
    second = (5 * normal**5 + 16 * normal**3 + 3 * normal) / 96
    return normal + first / df + second / df**2


def t_sf(value: float, df: float) -> float:
    """The survival function of Student's t: the probability above ``value``, which is not negative.

    >>> round(t_sf(2.228, 10), 3), t_sf(0.0, 3)
    (0.025, 0.5)
    """
    if df >= MAX_DF:
        return NORMAL.cdf(-value)
    return _incomplete_beta(df / (df + value * value), df / 2, 0.5) / 2


def f_sf(value: float, between: float, within: float) -> float:
    """The survival function of Fisher's F with these degrees of freedom: the probability above ``value``.

    >>> round(f_sf(3.49, 3, 12), 3), f_sf(0.0, 3, 12)
    (0.05, 1.0)
    """
    if value <= 0:
        return 1.0
    return _incomplete_beta(within / (within + between * value), within / 2, between / 2)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function.

    Source: the continued fraction of Abramowitz and Stegun 26.5.8, evaluated as by Lentz (1976).
    """
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1 / _off_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, _ROUNDS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = fraction
        for term in (even, odd):
            d = 1 / _off_zero(1 + term * d)
            c = _off_zero(1 + term / c)
            fraction *= c * d
        if abs(fraction - before) < 1e-15 * abs(fraction):
            break
    return front * fraction


def _off_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def two_sided(confidence: float, tests: int = 1) -> float:
    """The probability of the quantile for a two-sided interval of this confidence, corrected for the number of tests.

    Source: Bonferroni's inequality.

    >>> round(two_sided(0.95), 3), round(two_sided(0.99, 10), 4)
    (0.975, 0.9995)
    """
    return 1 - (1 - confidence) / (2 * max(1, tests))


MIN_EXCESS = 1e-6
"""Below this a negative binomial counts as Poisson: differences of its log gamma functions would be rounding errors."""


def count_score(count: float, mean: float, excess: float) -> float:
    """The exact tail probability of a count, as a normal score that is not negative.

    ``excess``: the variance beyond the mean, as a share of the mean's square: 0 for Poisson, else negative binomial.

    >>> round(count_score(20, 10, 0.0), 2), round(count_score(0, 10, 0.0), 2), round(count_score(20, 10, 0.5), 2)
    (2.7, 3.91, 1.21)
    """
    return float(count_scores(np.array([count]), np.array([mean]), excess)[0])


def count_scores(counts: Array, means: Array, excess: float) -> Array:
    """``count_score`` of many counts with the same excess."""
    values, means = np.rint(counts), np.maximum(means, _TINY)
    if excess <= MIN_EXCESS:
        logs = values * np.log(means) - means - _log_gammas(values + 1)
        return _scores_of_tails(values, means, logs, lambda k, places: means[places] / k)
    shape = 1 / excess
    odds = means / (means + shape)
    ways = _log_gammas(values + shape) - math.lgamma(shape) - _log_gammas(values + 1)
    logs = ways + shape * np.log1p(-odds) + values * np.log(odds)
    return _scores_of_tails(values, means, logs, lambda k, places: odds[places] * (k - 1 + shape) / k)


def share_score(hits: float, n: float, share: float) -> float:
    """The exact binomial tail probability of so many hits out of n, as a normal score that is not negative.

    >>> round(share_score(9, 10, 0.5), 2), round(share_score(20, 40, 0.85), 1)
    (2.3, 5.1)
    """
    return float(share_scores(np.array([hits]), np.array([n]), np.array([share]))[0])


def share_scores(hits: Array, n: Array, shares: Array) -> Array:
    """``share_score`` of many numbers of hits."""
    sizes = np.rint(n)
    values, odds = np.minimum(sizes, np.rint(hits)), shares / (1 - shares)
    ways = _log_gammas(sizes + 1) - _log_gammas(values + 1) - _log_gammas(sizes - values + 1)
    logs = ways + values * np.log(shares) + (sizes - values) * np.log1p(-shares)
    return _scores_of_tails(
        values, sizes * shares, logs, lambda k, places: np.maximum(sizes[places] - k + 1, 0.0) / k * odds[places]
    )


def binomial_score(hits: float, misses: float, share: float) -> float:
    """The probability of so many hits, or of more or fewer on their side, as a normal score that is not negative.

    The mid-p value, Lancaster (1961), Journal of the American Statistical Association 56. Numbers need not be whole.

    >>> round(binomial_score(0, 6, 0.5), 2), round(binomial_score(9, 1, 0.5), 2), binomial_score(3, 3, 0.5)
    (2.42, 2.52, 0.0)
    """
    fewer = _incomplete_beta(1 - share, misses + 1, hits) if hits > 0 else 0.0
    up_to = _incomplete_beta(1 - share, misses, hits + 1) if misses > 0 else 1.0
    more = _incomplete_beta(share, hits + 1, misses) if misses > 0 else 0.0
    from_here = _incomplete_beta(share, hits, misses + 1) if hits > 0 else 1.0
    return _score(min((fewer + up_to) / 2, (more + from_here) / 2))


def hypergeometric_score(hits: int, size: int, all_hits: int, whole: int) -> float:
    """The same for hits among ``size`` of ``whole``, of which ``all_hits`` are hits: Fisher's exact test.

    >>> round(hypergeometric_score(0, 6, 6, 12), 2), hypergeometric_score(3, 6, 6, 12)
    (3.27, 0.0)
    """

    def log_ways(n: int, k: int) -> float:
        return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

    least, most = max(0, size + all_hits - whole), min(size, all_hits)
    log_all = log_ways(whole, size)
    hits = min(most, max(least, hits))
    weights = [
        math.exp(log_ways(all_hits, k) + log_ways(whole - all_hits, size - k) - log_all) for k in range(least, most + 1)
    ]
    place = hits - least
    tails = math.fsum(weights[:place]), math.fsum(weights[place + 1 :])
    return _score(min(tails) + weights[place] / 2)


def _log_gammas(values: Array) -> Array:
    return np.array([*map(math.lgamma, values.tolist())])


def _scores_of_tails(values: Array, means: Array, logs: Array, ratios: Callable[[Array, Places], Array]) -> Array:
    """The probability of each value, or one further from the mean on its side, as a normal score.

    ``logs``: the logarithm of each value's own probability. ``ratios``: the probability of each k, values x positions,
    relative to k - 1, for the values at these positions.
    """
    whole = np.exp(logs)
    part, reached, size = whole.copy(), values.copy(), FIRST_TERMS
    places = np.flatnonzero(part > 0)
    while len(places):
        above = (values > means)[places, None]
        steps = np.arange(1.0, size + 1)
        k = reached[places, None] + np.where(above, steps, 1 - steps)
        ratio = ratios(np.maximum(k, 1.0), places[:, None])
        factors = np.where(above, ratio, np.where(k > 0, 1 / np.maximum(ratio, _TINY), 0.0))
        terms = part[places, None] * factors.cumprod(axis=1)
        whole[places] += terms.sum(axis=1)
        part[places], reached[places] = terms[:, -1], reached[places] + np.where(above[:, 0], size, -size)
        places, size = places[part[places] > whole[places] * _CLOSE], min(2 * size, MOST_TERMS)
    return np.maximum(0.0, [-NORMAL.inv_cdf(tail) for tail in np.clip(whole, _TINY, 1.0 - 1e-16).tolist()])


def _score(probability: float) -> float:
    return max(0.0, -NORMAL.inv_cdf(min(1.0 - 1e-16, max(probability, _TINY))))


def wilson_interval(rate: float, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Score interval of a proportion; (0, 1) for n = 0.

    Source: Wilson (1927), Journal of the American Statistical Association 22.

    >>> [round(x, 4) for x in wilson_interval(0.5, 100)]
    [0.4038, 0.5962]
    >>> wilson_interval(0, 97)[0], wilson_interval(1, 97)[1]
    (0.0, 1.0)
    """
    if n <= 0:
        return (0.0, 1.0)
    z_squared = z * z
    centre = (rate + z_squared / (2 * n)) / (1 + z_squared / n)
    half = z * math.sqrt(rate * (1 - rate) / n + z_squared / (4 * n * n)) / (1 + z_squared / n)
    return (max(0.0, centre - half) if rate > 0 else 0.0, min(1.0, centre + half) if rate < 1 else 1.0)


def weighted_mean(values: Sequence[float], weights: Sequence[float]) -> float | None:
    """The mean; None if the weights add up to 0.

    >>> weighted_mean([1.0, 3.0], [1, 3]), weighted_mean([], [])
    (2.5, None)
    """
    total = math.fsum(weights)
    return math.fsum(v * w for v, w in zip(values, weights, strict=True)) / total if total > 0 else None


def sum_of_squares(values: Sequence[float], mean: float | None = None) -> float:
    """The sum of squared differences from the mean, in floats: the fractions of ``statistics`` are far slower.

    >>> sum_of_squares([1.0, 2.0, 3.0]), sum_of_squares([5.0])
    (2.0, 0.0)
    """
    middle = math.fsum(values) / len(values) if mean is None else mean
    return math.fsum((value - middle) ** 2 for value in values)


def difference_interval(first: float, second: float, total: float, z: float = 1.959963984540054) -> tuple[float, float]:
    """Interval for the difference of two shares of one whole, in percentage points.

    Source: variance of a difference of multinomial proportions, Goodman (1965), Technometrics 7.

    >>> [round(x, 1) for x in difference_interval(5120, 2210, 10234)]
    [26.9, 30.0]
    """
    a, b = first / total, second / total
    half = z * math.sqrt(max(0.0, a + b - (a - b) ** 2) / total)
    return (100 * (a - b - half), 100 * (a - b + half))


GroupValues = Mapping[str | None, tuple[float, float]]
"""Name to calls and value."""


class SampleBucket(NamedTuple):
    """One bucket: its calls, and the value of the measure."""

    time: float
    n: float | None
    value: float
    sum_of_squares: float | None = None
    """The sum of the squared values, if single calls are known."""


def call_weights(cells: Sequence[SampleBucket]) -> list[float]:
    """The calls of each bucket, or 1 for all if some are unknown."""
    return [1.0] * len(cells) if any(c.n is None for c in cells) else [float(c.n or 0) for c in cells]


class Sample(Struct, frozen=True):
    """One side of a comparison. ``seconds``: the length of its window. ``groups`` map a name to its calls and value.

    ``parts``: labels with their counts, or figures by name. ``n``: its calls. ``over_time``: the buckets of a part, if
    known; for a label, its share of the calls. ``whole``: the percentile of all its calls, if known.
    """

    buckets: Sequence[SampleBucket]
    seconds: float
    groups: GroupValues = field(default_factory=dict[str | None, tuple[float, float]])
    parts: Mapping[str | None, float] = field(default_factory=dict[str | None, float])
    n: float | None = None
    over_time: Mapping[str | None, Sequence[SampleBucket]] = field(
        default_factory=dict[str | None, Sequence[SampleBucket]]
    )
    whole: float | None = None

    def part(self, name: str | None) -> "Sample":
        """One part as its own side."""
        return Sample(self.over_time.get(name, ()), self.seconds)


EMPTY_SAMPLE = Sample([], 0.0)
"""A side without data."""


class Estimate(NamedTuple):
    """A difference with its standard error, and the degrees of freedom of that error."""

    difference: float
    standard_error: float
    df: float

    @property
    def p_value(self) -> float:
        """The two-sided p-value by Student's t; 1 if the error is unknown."""
        if self.standard_error <= 0 or self.df <= 0:
            return 1.0
        return min(1.0, 2 * t_sf(abs(self.difference) / self.standard_error, self.df))


class VerdictTerms(Struct, frozen=True):
    """The terms of a verdict: the correction for multiple tests, and its upper limit.

    ``parts``: the number of parts of a chart, for which both intervals are corrected; they are corrected for nothing
    else, so that a change has the same verdict whatever else is compared. ``strongest_verdict``: the upper limit.
    ``earlier_days``: known whole days before the current ones. ``changes``: findings in the same values over time;
    ``changes_of_parts``: in the figures or labels. ``memo``: a cache of estimates from these days; None: no cache.
    """

    parts: int = 1
    strongest_verdict: Literal["clear", "possible"] = "clear"
    clock: Clock = UTC_CLOCK
    earlier_days: Sample = EMPTY_SAMPLE
    changes: Sequence[Finding] = ()
    changes_of_parts: Mapping[str | None, Sequence[Finding]] = {}
    memo: dict[Hashable, Any] | None = None

    def for_part(self, name: str | None, parts: int) -> "VerdictTerms":
        """The terms of one part out of this many."""
        changes = self.changes_of_parts.get(name, ())
        return replace(self, parts=parts, earlier_days=self.earlier_days.part(name), changes=changes)

    def at_most_possible(self) -> "VerdictTerms":
        return replace(self, strongest_verdict="possible")

    def verdict(self, estimate: Estimate) -> Verdict:
        """``clear`` if the 99 % interval, corrected for parts, excludes no change; ``possible`` if the 95 % one does.

        >>> estimate = Estimate(0.1, 0.01, 12)
        >>> VerdictTerms().verdict(estimate), VerdictTerms().verdict(Estimate(0.1, 0.2, 12))
        ('clear', 'not significant')
        >>> VerdictTerms(strongest_verdict="possible").verdict(estimate)
        'possible'
        """
        if estimate.standard_error <= 0 or estimate.df <= 0:
            return "not significant" if estimate.difference == 0 else "possible"
        size = abs(estimate.difference) / estimate.standard_error
        if size > t_quantile(two_sided(0.99, self.parts), estimate.df) and self.strongest_verdict == "clear":
            return "clear"
        return "possible" if size > self.bound(estimate) else "not significant"

    def bound(self, estimate: Estimate) -> float:
        """The half-width of the 95 % interval in standard errors; estimates beyond it are at least ``possible``."""
        return t_quantile(two_sided(0.95, self.parts), estimate.df)

    def interval(self, estimate: Estimate) -> list[Number] | None:
        """The 95 % interval of a difference, which excludes 0 if the verdict is ``clear`` or ``possible``.

        >>> estimate = Estimate(-0.1, 0.04, 12)
        >>> VerdictTerms(strongest_verdict="possible").interval(estimate)
        [-0.187, -0.0128]
        >>> VerdictTerms(strongest_verdict="possible", parts=8).interval(estimate)
        [-0.232, 0.0323]
        """
        if estimate.standard_error <= 0 or estimate.df <= 0:
            return None
        half = self.bound(estimate) * estimate.standard_error
        return [round_for_display(estimate.difference - half, 3), round_for_display(estimate.difference + half, 3)]


def benjamini_hochberg(p_values: Sequence[float], level: float, tests: int) -> float:
    """The largest p-value that is significant at a false discovery rate of ``level``; 0 if none is.

    ``tests``: the number of tests, including those without a finding.

    Source: Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57.

    >>> benjamini_hochberg([0.001, 0.02, 0.5], 0.05, 10), benjamini_hochberg([0.02], 0.05, 10)
    (0.001, 0.0)
    """
    ordered = sorted(p_values)
    accepted = [p_value for place, p_value in enumerate(ordered, start=1) if p_value <= level * place / max(tests, 1)]
    return max(accepted, default=0.0)


ERROR_RATE_OF_LOOKS = 0.05
"""The maximum share of series of ``LOOKS`` looks that may report any false ``clear``."""
LOOKS = 90
"""A quarter of daily looks. A choice."""
LOOK_SPACING = timedelta(days=1)
"""The time after the previous look from which a look receives a whole share, 1 / LOOKS of the error rate. A choice."""

LASTING = timedelta(days=5, hours=18)
"""How long, that is on seven days, looks must find a new level significant.

P-values that are valid near 0.01 need not be so near 0.001: with autocorrelated days, or several steps in a model, they
are far too small. Measured: without this, of 100 series of 90 looks at days with an autocorrelation of 0.6, 13 to 35
report a false ``clear``, and with three days 4 to 12. With six days 4 to 8 of 100 series of counts still do, with seven
2 to 4, and none in most other shapes (``benchmarks.verdicts``).
"""


def share_of_look(since_last: timedelta | None) -> float:
    """The error rate that a look may spend. ``since_last``: the time since the previous look; None for the first.

    Looks in quick succession share what the time between them allows. A longer pause gives only one share, so
    that any 90 looks in a row spend at most the error rate.

    >>> [round(90 * share_of_look(pause), 4) for pause in (None, timedelta(days=7), timedelta(hours=6), timedelta(0))]
    [0.05, 0.05, 0.0125, 0.0]
    """
    part = 1.0 if since_last is None else min(1.0, max(0.0, since_last / LOOK_SPACING))
    return part * ERROR_RATE_OF_LOOKS / LOOKS


def is_significant_in_look(p_value: float, tests: int, share: float) -> bool:
    """Whether a change is significant at the share of a look. ``tests``: the number of tests in this look.

    >>> is_significant_in_look(1e-4, 4, 0.05 / 90), is_significant_in_look(1e-4, 40, 0.05 / 90)
    (True, False)
    """
    return p_value * max(1, tests) <= share


def has_lasted(age: timedelta) -> bool:
    """Whether looks have found a change significant for long enough to be clear over the series.

    >>> has_lasted(timedelta(days=5)), has_lasted(timedelta(days=6, minutes=-10))
    (False, True)
    """
    return age >= LASTING
