"""Where a change happened: the group that moved unlike the others, or calls that shifted between groups."""

import math
import random
from collections.abc import Mapping, Sequence

import pytest

from cekura_dashboards.stats.decomposition import Driver, find_driver, has_rest_stayed
from cekura_dashboards.stats.group_model import NO_BUCKETS, GroupedSample
from cekura_dashboards.stats.significance import SampleBucket
from cekura_dashboards.stats.timeline import DAY

ROUNDS = 100
"""``python -m benchmarks.verdicts`` asks 500."""
Rates = Mapping[str, float]
Named = str | None


def of(cells: Mapping[Named, Sequence[SampleBucket]]) -> GroupedSample:
    """Both forms of a side, from its groups' days."""
    groups = dict[Named, tuple[float, float]]()
    for name, days in cells.items():
        n = math.fsum(cell.n or 0 for cell in days)
        groups[name] = (n, math.fsum((cell.n or 0) * cell.value for cell in days) / n if n else 0.0)
    return GroupedSample(groups, cells)


def plain(groups: Mapping[str, tuple[float, float]]) -> GroupedSample:
    """A week in which each group is alike every day."""
    return of(
        {name: [SampleBucket(day * DAY, n / 7, value) for day in range(7)] for name, (n, value) in groups.items()}
    )


def look(
    current: GroupedSample,
    baseline: GroupedSample,
    earlier: GroupedSample | None = None,
    *,
    ratio: float = 1.0,
    additive: bool = False,
    dimensions: int = 1,
) -> Driver:
    before = earlier.buckets if earlier else NO_BUCKETS
    return find_driver(current, baseline, additive=additive, ratio=ratio, dimensions=dimensions, earlier=before)


def week(
    rng: random.Random, calls: int, rates: Rates, shares: Sequence[float] = (), *, day_effect: float = 0.0
) -> GroupedSample:
    """Calls that fall into groups at random, each with its rate of success, which all share a day's own effect."""
    cells: dict[Named, list[SampleBucket]] = {name: [] for name in rates}
    for day in range(7):
        own, held = rng.gauss(0, day_effect), dict.fromkeys(rates, 0)
        for name in rng.choices([*rates], shares or None, k=calls // 7):
            held[name] += 1
        for name, n in held.items():
            rate = min(0.99, max(0.01, rates[name] + own))
            hits = sum(rng.random() < rate for _ in range(n))
            cells[name].append(SampleBucket(day * DAY, n, hits / n if n else 0.0))
    return of(cells)


def durations(
    rng: random.Random, calls: int, means: Rates, *, spread: float, day_effect: float = 0.05
) -> GroupedSample:
    """Means of calls whose lengths, or scores, vary by ``spread`` as a share of their mean."""
    cells: dict[Named, list[SampleBucket]] = {name: [] for name in means}
    for day in range(7):
        own = math.exp(rng.gauss(0, day_effect))
        for name, mean in means.items():
            n = max(1, round(rng.gauss(calls / 7 / len(means), math.sqrt(calls / 7 / len(means)))))
            cells[name].append(SampleBucket(day * DAY, n, mean * own * (1 + rng.gauss(0, spread) / math.sqrt(n))))
    return of(cells)


def test_the_group_that_moved_is_named_with_its_share_of_the_change() -> None:
    found = look(
        plain({"a": (500, 0.6), "b": (300, 0.9), "c": (200, 0.8)}),
        plain({"a": (500, 0.9), "b": (300, 0.9), "c": (200, 0.8)}),
    )
    assert (found.groups, found.outlying_group, found.verdict, found.mixed) == (["a"], "a", "clear", False)
    assert found.share == pytest.approx(1.0)


def test_a_group_that_is_new_and_worse_is_a_shift_of_calls() -> None:
    found = look(plain({"old": (200, 0.91), "new": (800, 0.71)}), plain({"old": (1000, 0.9)}))
    assert (set(found.groups), found.verdict, found.mixed) == ({"old", "new"}, "clear", True)
    assert found.share == pytest.approx(1.0, abs=0.1)


def test_groups_that_move_alike_are_within_noise_whatever_the_shift_of_calls_is() -> None:
    found = look(plain({"a": (500, 0.7), "b": (500, 0.6)}), plain({"a": (520, 0.9), "b": (480, 0.8)}))
    assert (found.verdict, found.mixed) == ("not significant", False)


NOTHING: list[tuple[str, float, float]] = [
    ("rates", 0.0, 0.0),
    ("days that differ", 0.02, 0.0),
    ("all fell", 0.0, -0.1),
]


@pytest.mark.no_cover
@pytest.mark.parametrize(("name", "day_effect", "fall"), NOTHING, ids=[case[0] for case in NOTHING])
def test_where_nothing_or_everything_moved_hardly_a_driver_is_named(name: str, day_effect: float, fall: float) -> None:
    rng, rates = random.Random(name), {"a": 0.85, "b": 0.75, "c": 0.6}  # noqa: S311 - no secret
    lower = {group: rate + fall for group, rate in rates.items()}
    found = [
        look(week(rng, 2100, lower, day_effect=day_effect), week(rng, 2100, rates, day_effect=day_effect))
        for _ in range(ROUNDS)
    ]
    assert sum(one.verdict != "not significant" for one in found) / ROUNDS <= 0.05


@pytest.mark.no_cover
@pytest.mark.parametrize("spread", [0.9, 0.15], ids=["durations", "scores"])
def test_durations_and_scores_are_judged_by_their_own_spread(spread: float) -> None:
    rng, means = random.Random(31), {"a": 180.0, "b": 120.0, "c": 240.0, "d": 60.0}  # noqa: S311 - no secret
    moved = {**means, "b": means["b"] * (1 + 0.4 * spread)}
    quiet = [look(*(durations(rng, 3000, means, spread=spread) for _ in "ab"), ratio=0.0) for _ in range(ROUNDS)]
    found = [
        look(durations(rng, 3000, moved, spread=spread), durations(rng, 3000, means, spread=spread), ratio=0.0)
        for _ in range(ROUNDS)
    ]
    assert sum(one.verdict != "not significant" for one in quiet) / ROUNDS <= 0.05
    assert sum(one.outlying_group == "b" and one.verdict != "not significant" for one in found) / ROUNDS >= 0.8


def test_a_shift_of_calls_between_unlike_groups_is_mostly_found() -> None:
    rng, rates = random.Random(22), {"a": 0.9, "b": 0.6}  # noqa: S311 - no secret
    found = [look(week(rng, 2100, rates, [0.5, 0.5]), week(rng, 2100, rates, [0.7, 0.3])) for _ in range(100)]
    assert sum(one.mixed and one.verdict == "clear" for one in found) / 100 >= 0.9


def test_the_more_was_looked_at_the_more_it_takes() -> None:
    sides = plain({"a": (490.0, 0.70), "b": (490.0, 0.8)}), plain({"a": (490.0, 0.8), "b": (490.0, 0.8)})
    said = [look(*sides, dimensions=dimensions).verdict for dimensions in (1, 100)]
    assert said == ["possible", "not significant"]


def counted(groups: Mapping[str, float]) -> GroupedSample:
    cells: dict[Named, list[SampleBucket]] = {
        name: [SampleBucket(day * DAY, total / 7, total / 7) for day in range(7)] for name, total in groups.items()
    }
    return GroupedSample({name: (total, total) for name, total in groups.items()}, cells)


def test_counts_are_compared_by_how_each_group_grew() -> None:
    found = look(counted({"a": 200, "b": 400}), counted({"a": 100, "b": 400}), additive=True, ratio=0.0)
    assert (found.groups, found.verdict, found.mixed) == (["a"], "clear", False)


@pytest.mark.parametrize("side", [{}, {"a": (10.0, 0.5)}])
def test_a_side_without_groups_or_with_one_says_nothing(side: Mapping[str, tuple[float, float]]) -> None:
    assert look(plain(side), plain(side)).verdict == "not significant"
    assert look(plain(side), plain({})).verdict == "not significant"


def planted(
    rng: random.Random, rates: Rates, calls: Mapping[str, Sequence[float]], moved: Mapping[int, float], group: str,
    before: float = 0.0,
) -> tuple[GroupedSample, GroupedSample, GroupedSample]:  # fmt: skip
    """Two weeks, current and baseline, and the two before: calls by weekday, and what a group's rate changes by.

    ``moved``: on days of the current week; ``before``: in the weeks before both.
    """
    weeks = list[dict[Named, list[SampleBucket]]]()
    for start in (0, 7, 14, 21):
        cells = dict[Named, list[SampleBucket]]()
        for name, rate in rates.items():
            sizes = [max(0, round(rng.gauss(n, math.sqrt(n)))) for n in calls[name]]
            changes = [moved.get(day, 0.0) if start == 21 else before if start < 14 else 0.0 for day in range(7)]
            chances = [rate + change * (name == group) for change in changes]
            hits = [sum(rng.random() < chance for _ in range(n)) for n, chance in zip(sizes, chances, strict=True)]
            cells[name] = [
                SampleBucket((start + day) * DAY, n, hit / n)
                for day, (n, hit) in enumerate(zip(sizes, hits, strict=True))
                if n
            ]
        weeks.append(cells)
    return of(weeks[3]), of(weeks[2]), of({name: weeks[0][name] + weeks[1][name] for name in rates})


def with_a_bad_day(side: GroupedSample, group: str) -> GroupedSample:
    """The side with one day on which most calls of a group failed."""
    days = [*side.buckets[group]]
    days[5] = days[5]._replace(value=days[5].value / 4)
    return of({**side.buckets, group: days})


FOUR_ALIKE = {name: [42.0] * 7 for name in "abcd"}


def test_a_group_that_fell_is_found_where_groups_have_their_calls_on_different_days() -> None:
    rng, rates = random.Random(41), {"a": 0.85, "b": 0.85}  # noqa: S311 - no secret
    weeks = {"a": [119.0] * 5 + [5.0] * 2, "b": [25.0] * 5 + [230.0] * 2}
    drivers = [look(*planted(rng, rates, weeks, dict.fromkeys(range(7), -0.12), "b")) for _ in range(30)]
    assert sum(one.outlying_group == "b" and one.verdict != "not significant" for one in drivers) >= 26
    assert sum(one.groups == ["b"] and one.verdict == "clear" for one in drivers) >= 20


def test_one_bad_day_of_one_group_is_found_and_dated() -> None:
    rng, rates = random.Random(43), dict.fromkeys("abcd", 0.85)  # noqa: S311 - no secret
    drivers = [look(*planted(rng, rates, FOUR_ALIKE, {6: -0.4}, "b")) for _ in range(30)]
    outliers = [one.outlier for one in drivers if one.verdict != "not significant" and one.outlier]
    assert sum(one.group == "b" and one.time == 27 * DAY for one in outliers) >= 24


def test_the_days_before_tell_more_of_a_groups_level_than_its_week_does() -> None:
    rng, rates = random.Random(47), dict.fromkeys("abcd", 0.85)  # noqa: S311 - no secret
    months = [planted(rng, rates, FOUR_ALIKE, dict.fromkeys(range(7), -0.12), "b") for _ in range(40)]
    bad_days = [(current, baseline, with_a_bad_day(earlier, "b")) for current, baseline, earlier in months]
    clear = [
        sum(look(*sides).verdict == "clear" for sides in drawn)
        for drawn in (months, bad_days, [month[:2] for month in months])
    ]
    assert min(clear[:2]) >= 26, "a bad day before the baseline does not hide the fall either"
    assert min(clear[:2]) >= clear[2] + 8


def test_a_group_that_changed_before_the_baseline_did_not_move_since() -> None:
    rng, rates = random.Random(53), dict.fromkeys("abcd", 0.85)  # noqa: S311 - no secret
    drivers = [look(*planted(rng, rates, FOUR_ALIKE, {}, "b", before=0.08)) for _ in range(40)]
    assert sum(one.verdict != "not significant" for one in drivers) <= 6
    assert sum(one.verdict == "clear" for one in drivers) <= 2


def test_groups_whose_own_weekdays_differ_on_both_sides_did_not_move() -> None:
    week = {"a": [0.9] * 5 + [0.6] * 2, "b": [0.7] * 5 + [0.9] * 2}
    earlier, baseline, current = [
        of({name: [SampleBucket(start + day * DAY, 100, rates[day % 7]) for day in range(days)]
            for name, rates in week.items()})
        for start, days in ((0, 14), (14 * DAY, 7), (21 * DAY, 7))
    ]  # fmt: skip
    moved = dict(current.buckets) | {"b": [cell._replace(value=cell.value - 0.1) for cell in current.buckets["b"]]}
    assert look(current, baseline).verdict == look(current, baseline, earlier).verdict == "not significant"
    verdicts = [look(of(moved), baseline, *more).verdict for more in ((), (earlier,))]
    assert verdicts == ["possible", "clear"]


def test_a_release_that_takes_over_all_calls_is_the_clearest_shift_of_calls() -> None:
    driver = look(plain({"2.4.0": (1000, 0.8)}), plain({"2.3.1": (1000, 0.9)}))
    assert (driver.verdict, driver.mixed, set(driver.groups)) == ("clear", True, {"2.3.1", "2.4.0"})
    same = look(plain({"2.4.0": (1000, 0.9)}), plain({"2.3.1": (1000, 0.905)}))
    assert same.verdict == "not significant"


def test_groups_that_moved_together_are_all_named() -> None:
    after = {"a": (300.0, 0.7), "b": (300.0, 0.7), "c": (300.0, 0.9), "d": (300.0, 0.9), "e": (300.0, 0.9)}
    driver = look(plain(after), plain({name: (n, 0.9) for name, (n, _) in after.items()}))
    assert (set(driver.groups), driver.verdict) == ({"a", "b"}, "clear")


def test_a_group_is_narrowed_down_only_where_its_other_calls_did_not_move() -> None:
    before = plain({"old": (600.0, 0.9), "new": (400.0, 0.9)})
    alone, together = (
        plain({"old": (600.0, 0.89), "new": (400.0, 0.6)}),
        plain({"old": (600.0, 0.8), "new": (400.0, 0.6)}),
    )
    narrowed = [has_rest_stayed(side, before, ["new"], additive=False, ratio=1.0) for side in (alone, together)]
    assert narrowed == [True, False]
    calls = counted({"old": 600, "new": 400})
    counts = [
        has_rest_stayed(counted({"old": old, "new": 800}), calls, ["new"], additive=True, ratio=0.0)
        for old in (610, 1100)
    ]
    assert counts == [True, False]


def test_a_group_beside_others_that_always_fail_is_compared_in_points() -> None:
    before = {"finished": (900.0, 0.95), "greeting": (60.0, 0.0), "payment": (60.0, 0.0)}
    driver = look(plain({**before, "finished": (900.0, 0.85)}), plain(before))
    assert (driver.groups, driver.verdict) == (["finished"], "clear")
