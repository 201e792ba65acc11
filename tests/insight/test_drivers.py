"""Where a change happened: the group that moved unlike the others, or calls that shifted between groups."""

import math
import random

import pytest

from cekura_dashboards.insight import Driver, Side, driver
from cekura_dashboards.insight.timeline import DAY

Groups = dict[str | None, tuple[float, float]]
ROUNDS = 1000


def look(this: Groups, that: Groups, *, ratio: float = 1.0, additive: bool = False, dimensions: int = 1) -> Driver:
    sides = Side([], 7 * DAY, this), Side([], 7 * DAY, that)
    return driver(*sides, additive=additive, ratio=ratio, widening=1.0, dimensions=dimensions)


def drawn(rng: random.Random, rates: dict[str, float], calls: int, shares: list[float] | None = None) -> Groups:
    """Calls that fall into groups at random, each with its rate of success."""
    names = list(rates)
    held = dict.fromkeys(names, 0)
    for name in rng.choices(names, shares, k=calls):
        held[name] += 1
    hits = {
        n: min(c, max(0, round(rng.gauss(c * rates[n], math.sqrt(c * rates[n] * (1 - rates[n]))))))
        for n, c in held.items()
    }
    return {name: (float(held[name]), hits[name] / held[name]) for name in names}


def test_the_group_that_moved_is_named_with_its_share_of_the_change() -> None:
    found = look(
        {"a": (500, 0.6), "b": (300, 0.9), "c": (200, 0.8)}, {"a": (500, 0.9), "b": (300, 0.9), "c": (200, 0.8)}
    )
    assert (found.groups, found.differs, found.verdict, found.mixed) == (["a"], "a", "clear", False)
    assert found.share == pytest.approx(1.0)


def test_a_group_that_is_new_and_worse_is_a_shift_of_calls() -> None:
    found = look({"old": (200, 0.91), "new": (800, 0.71)}, {"old": (1000, 0.9)})
    assert (set(found.groups), found.verdict, found.mixed) == ({"old", "new"}, "clear", True)
    assert found.share == pytest.approx(1.0, abs=0.1)


def test_groups_that_move_alike_are_within_noise_whatever_the_shift_of_calls_is() -> None:
    found = look({"a": (500, 0.7), "b": (500, 0.6)}, {"a": (520, 0.9), "b": (480, 0.8)})
    assert (found.verdict, found.mixed) == ("within noise", False)


def test_where_nothing_moved_hardly_anything_is_clear() -> None:
    rng = random.Random(21)  # noqa: S311 - no secret
    rates = {"a": 0.9, "b": 0.75, "c": 0.6}
    found = [look(drawn(rng, rates, 900), drawn(rng, rates, 900)) for _ in range(ROUNDS)]
    assert sum(one.verdict == "clear" for one in found) / ROUNDS <= 0.02
    assert sum(one.verdict == "possible" for one in found) / ROUNDS <= 0.08


def test_a_shift_of_calls_between_unlike_groups_is_mostly_found() -> None:
    rng, rates = random.Random(22), {"a": 0.9, "b": 0.6}  # noqa: S311 - no secret
    found = [look(drawn(rng, rates, 900, [0.5, 0.5]), drawn(rng, rates, 900, [0.7, 0.3])) for _ in range(ROUNDS)]
    assert sum(one.mixed and one.verdict == "clear" for one in found) / ROUNDS >= 0.9


def test_the_more_was_looked_at_the_more_it_takes() -> None:
    this: Groups = {"a": (400.0, 0.70), "b": (400.0, 0.8)}
    that: Groups = {"a": (400.0, 0.8), "b": (400.0, 0.8)}
    said = [look(this, that, dimensions=dimensions).verdict for dimensions in (1, 10)]
    assert said == ["possible", "within noise"]


def test_counts_are_compared_by_how_each_group_grew() -> None:
    found = look({"a": (200, 200), "b": (400, 400)}, {"a": (100, 100), "b": (400, 400)}, additive=True, ratio=0.0)
    assert (found.groups, found.verdict, found.mixed) == (["a"], "clear", False)


@pytest.mark.parametrize("side", [{}, {"a": (10.0, 0.5)}])
def test_a_side_without_groups_or_with_one_says_nothing(side: Groups) -> None:
    assert look(side, side).verdict == "within noise"
    assert look(side, {}).verdict == "within noise"
