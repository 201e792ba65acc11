"""Arithmetic that every summary shares. Rounding happens once, at the end, through ``round_for_display``."""

import math
from collections.abc import Sequence

LARGEST_PERCENT = 1e12
Number = float | int


def round_for_display(value: float, digits: int = 4) -> Number:
    """Round to significant digits; whole numbers come back as int, counts below 10^15 exact.

    >>> round_for_display(0.87123), round_for_display(1234.56), round_for_display(12.0), round_for_display(0)
    (0.8712, 1235, 12, 0)
    """
    if isinstance(value, int):
        return value
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() else rounded


def exact(value: float) -> Number:
    """A count: whole numbers whole, whatever their size.

    >>> exact(1234567.0), exact(0.5)
    (1234567, 0.5)
    """
    return int(value) if float(value).is_integer() else round_for_display(value)


def percent_of(change: float, base: float) -> float | None:
    """A change in percent of what it starts from; None from nothing, or from next to nothing.

    >>> percent_of(-1.0, 4.0), percent_of(1.0, 0.0), percent_of(1e15, 1e-300)
    (-25.0, None, None)
    """
    if not base:
        return None
    percent = 100 * change / abs(base)
    return percent if abs(percent) <= LARGEST_PERCENT else None


def relative(change: float, base: float) -> Number | None:
    """As ``percent_of``, rounded for display."""
    pct = percent_of(change, base)
    return None if pct is None else round_for_display(pct, 3)


def wilson_interval(rate: float, n: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Score interval of a proportion; (0, 1) for n = 0.

    Source: Wilson (1927), Journal of the American Statistical Association 22.

    >>> [round(x, 4) for x in wilson_interval(0.5, 100)]
    [0.4038, 0.5962]
    """
    if n <= 0:
        return (0.0, 1.0)
    z_squared = z * z
    centre = (rate + z_squared / (2 * n)) / (1 + z_squared / n)
    half = z * math.sqrt(rate * (1 - rate) / n + z_squared / (4 * n * n)) / (1 + z_squared / n)
    return (max(0.0, centre - half), min(1.0, centre + half))


def weighted_mean(values: Sequence[float], weights: Sequence[float]) -> float | None:
    """None when the weights add up to nothing.

    >>> weighted_mean([1.0, 3.0], [1, 3]), weighted_mean([], [])
    (2.5, None)
    """
    total = math.fsum(weights)
    return math.fsum(v * w for v, w in zip(values, weights, strict=True)) / total if total > 0 else None


SCALES = {"ratio": 1.0, "percent": 100.0}
"""What a rate of one is written as in a unit of rates."""


def sum_of_squares(values: Sequence[float], mean: float | None = None) -> float:
    """The sum of squared differences from the mean; in floats, as the fractions of ``statistics`` take far longer.

    >>> sum_of_squares([1.0, 2.0, 3.0]), sum_of_squares([5.0])
    (2.0, 0.0)
    """
    middle = math.fsum(values) / len(values) if mean is None else mean
    return math.fsum((value - middle) ** 2 for value in values)


def difference_interval(first: float, second: float, total: float, z: float = 1.959963984540054) -> tuple[float, float]:
    """Interval for the difference of two shares of one whole, in points of percent.

    Source: variance of a difference of multinomial proportions, Goodman (1965), Technometrics 7.

    >>> [round(x, 1) for x in difference_interval(5120, 2210, 10234)]
    [26.9, 30.0]
    """
    a, b = first / total, second / total
    half = z * math.sqrt(max(0.0, a + b - (a - b) ** 2) / total)
    return (100 * (a - b - half), 100 * (a - b + half))
