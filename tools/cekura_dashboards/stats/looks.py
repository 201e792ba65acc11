"""A series of looks at the same data: what each may call ``clear``, so that few series ever tell a false one.

The error rate of a series is spent in proportion to time, each look receiving its share, and each test of a look an
equal part of that. By Bonferroni's inequality the shares bound the error of the whole series, however alike the looks
are, and however often or seldom they are taken.

Source: the spending function alpha times t of Lan and DeMets (1983), Biometrika 70, with which neither the number of
looks nor their times need be fixed beforehand.
"""

from datetime import timedelta

ERROR_RATE = 0.05
"""The most series of ``LOOKS`` looks that may tell any false ``clear``."""
LOOKS = 90
"""A quarter of daily looks. A choice."""
SPACING = timedelta(days=1)
"""From this time on after the look before, a look receives a whole share: 1 / LOOKS of the error rate. A choice."""

LASTING = timedelta(days=4, hours=18)
"""For so long, so on six days, looks must find a new level beyond chance.

P-values that are right once in a hundred times need not be so once in a thousand: where days are alike, or a model has
several steps, they are far too small. Measured: without this, of 100 series of 90 looks at days alike by 0.6, 13 to 35
tell a false ``clear``, and on three days 4 to 12; with it at most 2 do, and none in most other shapes
(``benchmarks.verdicts``).
"""


def share_of_look(since_last: timedelta | None) -> float:
    """The error rate that a look may spend. ``since_last``: the time since the look before; None for the first.

    Looks in quick succession share what the time between them allows. A longer pause gives no more than one share, so
    that any 90 looks in a row spend at most the error rate.

    >>> [round(90 * share_of_look(pause), 4) for pause in (None, timedelta(days=7), timedelta(hours=6), timedelta(0))]
    [0.05, 0.05, 0.0125, 0.0]
    """
    part = 1.0 if since_last is None else min(1.0, max(0.0, since_last / SPACING))
    return part * ERROR_RATE / LOOKS


def is_beyond_chance(p_value: float, tests: int, share: float) -> bool:
    """Whether a change is so sure that a look may use up its share for it. ``tests``: of this look.

    >>> is_beyond_chance(1e-4, 4, 0.05 / 90), is_beyond_chance(1e-4, 40, 0.05 / 90)
    (True, False)
    """
    return p_value * max(1, tests) <= share


def has_lasted(age: timedelta) -> bool:
    """Whether looks have found a change beyond chance for so long that it is clear over them.

    >>> has_lasted(timedelta(days=4)), has_lasted(timedelta(days=5, minutes=-10))
    (False, True)
    """
    return age >= LASTING
