"""Quantiles of the normal and of Student's t distribution."""

import math
from functools import lru_cache
from statistics import NormalDist

NORMAL = NormalDist()
MOST_DF = 2000.0
"""From here on t and normal differ by less than a tenth of a percent."""
_TINY = 1e-300
_ROUNDS = 300


@lru_cache(maxsize=4096)
def t_quantile(probability: float, df: float) -> float:
    """The value below which Student's t with ``df`` degrees of freedom lies with this probability (0.5 to 1).

    >>> round(t_quantile(0.975, 10), 3), round(t_quantile(0.995, 1), 2), round(t_quantile(0.975, 1e9), 3)
    (2.228, 63.66, 1.96)
    """
    if df >= MOST_DF:
        return NORMAL.inv_cdf(probability)
    low, high = 0.0, 2.0
    while t_cdf(high, df) < probability and high < 1e12:  # noqa: PLR2004 - beyond any use
        low, high = high, high * 4
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, df) < probability else (low, middle)
    return (low + high) / 2


def t_cdf(value: float, df: float) -> float:
    """How likely Student's t is to lie below ``value``, which is not negative.

    >>> round(t_cdf(2.228, 10), 3), t_cdf(0.0, 3)
    (0.975, 0.5)
    """
    return 1 - _incomplete_beta(df / (df + value * value), df / 2, 0.5) / 2


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
    """The probability to ask a quantile for: an interval of this confidence, corrected for how many were tested.

    Source: Bonferroni's inequality.

    >>> round(two_sided(0.95), 3), round(two_sided(0.99, 10), 4)
    (0.975, 0.9995)
    """
    return 1 - (1 - confidence) / (2 * max(1, tests))
