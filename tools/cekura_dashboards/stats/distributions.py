"""Quantiles and tail probabilities: normal, Student's t, Fisher's F, binomial, Poisson and negative binomial."""

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

NORMAL = NormalDist()
MAX_DF = 2000.0
"""From here on t and normal differ by less than a tenth of a percent."""
_TINY = 1e-300
_ROUNDS = 300
_MOST_STEPS, _CLOSE = 30, 1e-14


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
    """A quantile near enough to begin with, from the normal one.

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


def count_score(count: float, mean: float, excess: float) -> float:
    """The exact tail probability of a count, as a normal score that is not negative.

    ``excess``: the variance beyond the mean, as a share of its square: 0 for Poisson, else negative binomial.

    >>> round(count_score(20, 10, 0.0), 2), round(count_score(0, 10, 0.0), 2), round(count_score(20, 10, 0.5), 2)
    (2.7, 3.91, 1.21)
    """
    mean = max(mean, _TINY)
    shape = 1 / excess if excess > 0 else math.inf

    def probability(k: int) -> float:
        if shape == math.inf:
            return math.exp(k * math.log(mean) - mean - math.lgamma(k + 1))
        odds = mean / (mean + shape)
        ways = math.lgamma(k + shape) - math.lgamma(shape) - math.lgamma(k + 1)
        return math.exp(ways + shape * math.log1p(-odds) + k * math.log(odds))

    def ratio(k: int) -> float:
        """How much likelier k is than k - 1."""
        return mean / k if shape == math.inf else mean / (mean + shape) * (k - 1 + shape) / k

    return _score(_tail_probability(round(count), mean, probability, ratio))


def share_score(hits: float, n: float, share: float) -> float:
    """The exact binomial tail probability of so many hits out of n, as a normal score that is not negative.

    >>> round(share_score(9, 10, 0.5), 2), round(share_score(20, 40, 0.85), 1)
    (2.3, 5.1)
    """
    size = round(n)

    def probability(k: int) -> float:
        ways = math.lgamma(size + 1) - math.lgamma(k + 1) - math.lgamma(size - k + 1)
        return math.exp(ways + k * math.log(share) + (size - k) * math.log1p(-share))

    def ratio(k: int) -> float:
        """How much likelier k is than k - 1."""
        return (size - k + 1) / k * share / (1 - share) if k <= size else 0.0

    return _score(_tail_probability(min(size, round(hits)), size * share, probability, ratio))


def _tail_probability(
    value: int, mean: float, probability: Callable[[int], float], ratio: Callable[[int], float]
) -> float:
    """The probability of a value at least so far from the mean, on its side."""
    part = probability(value)
    whole, k, step = part, value, 1 if value > mean else -1
    while part > whole * _CLOSE and (step > 0 or k > 0):
        part *= ratio(k + 1) if step > 0 else 1 / ratio(k)
        k, whole = k + step, whole + part
    return whole


def _score(probability: float) -> float:
    return max(0.0, -NORMAL.inv_cdf(min(1.0 - 1e-16, max(probability, _TINY))))
