"""The driver of a change: a group that changed unlike the others, or a mix shift between groups."""

import math
import random
from collections.abc import Mapping, Sequence

import pytest

from cekura_dashboards.stats.decomposition import Driver, find_driver, has_rest_stayed
from cekura_dashboards.stats.group_model import NO_BUCKETS, GroupedSample
from cekura_dashboards.stats.significance import SampleBucket
from cekura_dashboards.stats.timeline import DAY

ROUNDS = 50
"""``python -m benchmarks.verdicts`` runs 500."""
Rates = Mapping[str, float]
GroupName = str | None


def grouped_sample(cells: Mapping[GroupName, Sequence[SampleBucket]]) -> GroupedSample:
    """A sample with totals per group, from the days of its groups."""
    groups = dict[GroupName, tuple[float, float]]()
    for name, days in cells.items():
        n = math.fsum(cell.n or 0 for cell in days)
        groups[name] = (n, math.fsum((cell.n or 0) * cell.value for cell in days) / n if n else 0.0)
    return GroupedSample(groups, cells)


def even_week(groups: Mapping[str, tuple[float, float]]) -> GroupedSample:
    """A week in which each group is constant."""
    return grouped_sample(
        {name: [SampleBucket(day * DAY, n / 7, value) for day in range(7)] for name, (n, value) in groups.items()}
    )


def driver_of(
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


def week(rng: random.Random, calls: int, rates: Rates, shares: Sequence[float] = ()) -> GroupedSample:
    """Calls assigned to groups at random, each group with its success rate."""
    cells: dict[GroupName, list[SampleBucket]] = {name: [] for name in rates}
    for day in range(7):
        held = dict.fromkeys(rates, 0)
        for name in rng.choices([*rates], shares or None, k=calls // 7):
            held[name] += 1
        for name, n in held.items():
            hits = sum(rng.random() < rates[name] for _ in range(n))
            cells[name].append(SampleBucket(day * DAY, n, hits / n if n else 0.0))
    return grouped_sample(cells)


def durations(
    rng: random.Random, calls: int, means: Rates, *, spread: float, day_effect: float = 0.05
) -> GroupedSample:
    """Means of calls whose durations or scores have ``spread`` as their coefficient of variation."""
    cells: dict[GroupName, list[SampleBucket]] = {name: [] for name in means}
    for day in range(7):
        own = math.exp(rng.gauss(0, day_effect))
        for name, mean in means.items():
            n = max(1, round(rng.gauss(calls / 7 / len(means), math.sqrt(calls / 7 / len(means)))))
            cells[name].append(SampleBucket(day * DAY, n, mean * own * (1 + rng.gauss(0, spread) / math.sqrt(n))))
    return grouped_sample(cells)


def test_the_changed_group_is_named_with_its_share_of_the_change() -> None:
    result = driver_of(
        even_week({"a": (500, 0.6), "b": (300, 0.9), "c": (200, 0.8)}),
        even_week({"a": (500, 0.9), "b": (300, 0.9), "c": (200, 0.8)}),
    )
    assert (result.groups, result.outlying_group, result.verdict, result.mixed) == (["a"], "a", "clear", False)
    assert result.share == pytest.approx(1.0)


def test_a_new_and_worse_group_is_a_mix_shift() -> None:
    result = driver_of(even_week({"old": (200, 0.91), "new": (800, 0.71)}), even_week({"old": (1000, 0.9)}))
    assert (set(result.groups), result.verdict, result.mixed) == ({"old", "new"}, "clear", True)
    assert result.share == pytest.approx(1.0, abs=0.1)


def test_groups_that_change_equally_have_no_driver() -> None:
    result = driver_of(even_week({"a": (500, 0.7), "b": (500, 0.6)}), even_week({"a": (520, 0.9), "b": (480, 0.8)}))
    assert (result.verdict, result.mixed) == ("not significant", False)


@pytest.mark.no_cover
@pytest.mark.parametrize("spread", [0.9, 0.15], ids=["durations", "scores"])
def test_durations_and_scores_are_judged_by_their_own_variance(spread: float) -> None:
    rng, means = random.Random(31), {"a": 180.0, "b": 120.0, "c": 240.0, "d": 60.0}  # noqa: S311 - no secret
    moved = {**means, "b": means["b"] * (1 + 0.4 * spread)}
    quiet = [driver_of(*(durations(rng, 3000, means, spread=spread) for _ in "ab"), ratio=0.0) for _ in range(ROUNDS)]
    results = [
        driver_of(durations(rng, 3000, moved, spread=spread), durations(rng, 3000, means, spread=spread), ratio=0.0)
        for _ in range(ROUNDS)
    ]
    assert sum(one.verdict != "not significant" for one in quiet) / ROUNDS <= 0.05
    assert sum(one.outlying_group == "b" and one.verdict != "not significant" for one in results) / ROUNDS >= 0.8


def test_a_mix_shift_between_unequal_groups_is_usually_clear() -> None:
    rng, rates = random.Random(22), {"a": 0.9, "b": 0.6}  # noqa: S311 - no secret
    results = [driver_of(week(rng, 2100, rates, [0.5, 0.5]), week(rng, 2100, rates, [0.7, 0.3])) for _ in range(100)]
    assert sum(one.mixed and one.verdict == "clear" for one in results) / 100 >= 0.9


def test_more_tested_dimensions_need_stronger_evidence() -> None:
    sides = even_week({"a": (490.0, 0.70), "b": (490.0, 0.8)}), even_week({"a": (490.0, 0.8), "b": (490.0, 0.8)})
    verdicts = [driver_of(*sides, dimensions=dimensions).verdict for dimensions in (1, 100)]
    assert verdicts == ["possible", "not significant"]


def grouped_counts(groups: Mapping[str, float]) -> GroupedSample:
    cells: dict[GroupName, list[SampleBucket]] = {
        name: [SampleBucket(day * DAY, total / 7, total / 7) for day in range(7)] for name, total in groups.items()
    }
    return GroupedSample({name: (total, total) for name, total in groups.items()}, cells)


def test_counts_are_compared_by_growth_per_group() -> None:
    result = driver_of(
        grouped_counts({"a": 200, "b": 400}), grouped_counts({"a": 100, "b": 400}), additive=True, ratio=0.0
    )
    assert (result.groups, result.verdict, result.mixed) == (["a"], "clear", False)


@pytest.mark.parametrize("side", [{}, {"a": (10.0, 0.5)}])
def test_fewer_than_two_groups_have_no_driver(side: Mapping[str, tuple[float, float]]) -> None:
    assert driver_of(even_week(side), even_week(side)).verdict == "not significant"
    assert driver_of(even_week(side), even_week({})).verdict == "not significant"


def weeks_with_change(
    rng: random.Random, rates: Rates, calls: Mapping[str, Sequence[float]], moved: Mapping[int, float], group: str,
    before: float = 0.0,
) -> tuple[GroupedSample, GroupedSample, GroupedSample]:  # fmt: skip
    """Two weeks, current and baseline, and the two before: calls by weekday, and what a group's rate changes by.

    ``moved``: on days of the current week; ``before``: in the weeks before both.
    """
    weeks = list[dict[GroupName, list[SampleBucket]]]()
    for start in (0, 7, 14, 21):
        cells = dict[GroupName, list[SampleBucket]]()
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
    return (
        grouped_sample(weeks[3]),
        grouped_sample(weeks[2]),
        grouped_sample({name: weeks[0][name] + weeks[1][name] for name in rates}),
    )


def with_a_bad_day(side: GroupedSample, group: str) -> GroupedSample:
    """The sample with one day on which most calls of a group failed."""
    days = [*side.buckets[group]]
    days[5] = days[5]._replace(value=days[5].value / 4)
    return grouped_sample({**side.buckets, group: days})


FOUR_EQUAL_GROUPS = {name: [42.0] * 7 for name in "abcd"}


def test_a_driver_is_detected_among_groups_with_different_weekdays() -> None:
    rng, rates = random.Random(41), {"a": 0.85, "b": 0.85}  # noqa: S311 - no secret
    weeks = {"a": [119.0] * 5 + [5.0] * 2, "b": [25.0] * 5 + [230.0] * 2}
    drivers = [driver_of(*weeks_with_change(rng, rates, weeks, dict.fromkeys(range(7), -0.12), "b")) for _ in range(30)]
    assert sum(one.outlying_group == "b" and one.verdict != "not significant" for one in drivers) >= 26
    assert sum(one.groups == ["b"] and one.verdict == "clear" for one in drivers) >= 20


def test_one_bad_day_of_one_group_is_detected_and_dated() -> None:
    rng, rates = random.Random(43), dict.fromkeys("abcd", 0.85)  # noqa: S311 - no secret
    drivers = [driver_of(*weeks_with_change(rng, rates, FOUR_EQUAL_GROUPS, {6: -0.4}, "b")) for _ in range(30)]
    outliers = [one.outlier for one in drivers if one.verdict != "not significant" and one.outlier]
    assert sum(one.group == "b" and one.time == 27 * DAY for one in outliers) >= 24


def test_earlier_days_make_a_driver_clear_more_often() -> None:
    rng, rates = random.Random(47), dict.fromkeys("abcd", 0.85)  # noqa: S311 - no secret
    months = [weeks_with_change(rng, rates, FOUR_EQUAL_GROUPS, dict.fromkeys(range(7), -0.12), "b") for _ in range(40)]
    bad_days = [(current, baseline, with_a_bad_day(earlier, "b")) for current, baseline, earlier in months]
    clear = [
        sum(driver_of(*sides).verdict == "clear" for sides in drawn)
        for drawn in (months, bad_days, [month[:2] for month in months])
    ]
    assert min(clear[:2]) >= 26, "nor does a bad day before the baseline hide the fall"
    assert min(clear[:2]) >= clear[2] + 8


def test_a_change_before_the_baseline_names_no_driver() -> None:
    rng, rates = random.Random(53), dict.fromkeys("abcd", 0.85)  # noqa: S311 - no secret
    drivers = [driver_of(*weeks_with_change(rng, rates, FOUR_EQUAL_GROUPS, {}, "b", before=0.08)) for _ in range(40)]
    assert sum(one.verdict != "not significant" for one in drivers) <= 6
    assert sum(one.verdict == "clear" for one in drivers) <= 2


def test_weekday_patterns_of_groups_name_no_driver() -> None:
    week = {"a": [0.9] * 5 + [0.6] * 2, "b": [0.7] * 5 + [0.9] * 2}
    earlier, baseline, current = [
        grouped_sample({name: [SampleBucket(start + day * DAY, 100, rates[day % 7]) for day in range(days)]
            for name, rates in week.items()})
        for start, days in ((0, 14), (14 * DAY, 7), (21 * DAY, 7))
    ]  # fmt: skip
    moved = dict(current.buckets) | {"b": [cell._replace(value=cell.value - 0.1) for cell in current.buckets["b"]]}
    assert driver_of(current, baseline).verdict == driver_of(current, baseline, earlier).verdict == "not significant"
    verdicts = [driver_of(grouped_sample(moved), baseline, *more).verdict for more in ((), (earlier,))]
    assert verdicts == ["possible", "clear"]


def test_a_release_that_replaces_another_is_a_clear_mix_shift() -> None:
    driver = driver_of(even_week({"2.4.0": (1000, 0.8)}), even_week({"2.3.1": (1000, 0.9)}))
    assert (driver.verdict, driver.mixed, set(driver.groups)) == ("clear", True, {"2.3.1", "2.4.0"})
    same = driver_of(even_week({"2.4.0": (1000, 0.9)}), even_week({"2.3.1": (1000, 0.905)}))
    assert same.verdict == "not significant"


def test_all_groups_that_changed_together_are_named() -> None:
    after = {"a": (300.0, 0.7), "b": (300.0, 0.7), "c": (300.0, 0.9), "d": (300.0, 0.9), "e": (300.0, 0.9)}
    driver = driver_of(even_week(after), even_week({name: (n, 0.9) for name, (n, _) in after.items()}))
    assert (set(driver.groups), driver.verdict) == ({"a", "b"}, "clear")


def test_a_group_is_narrowed_down_only_if_the_rest_is_unchanged() -> None:
    before = even_week({"old": (600.0, 0.9), "new": (400.0, 0.9)})
    alone, together = (
        even_week({"old": (600.0, 0.89), "new": (400.0, 0.6)}),
        even_week({"old": (600.0, 0.8), "new": (400.0, 0.6)}),
    )
    narrowed = [has_rest_stayed(side, before, ["new"], additive=False, ratio=1.0) for side in (alone, together)]
    assert narrowed == [True, False]
    calls = grouped_counts({"old": 600, "new": 400})
    counts = [
        has_rest_stayed(grouped_counts({"old": old, "new": 800}), calls, ["new"], additive=True, ratio=0.0)
        for old in (610, 1100)
    ]
    assert counts == [True, False]


def test_groups_with_zero_rates_are_compared_in_points() -> None:
    before = {"finished": (900.0, 0.95), "greeting": (60.0, 0.0), "payment": (60.0, 0.0)}
    driver = driver_of(even_week({**before, "finished": (900.0, 0.85)}), even_week(before))
    assert (driver.groups, driver.verdict) == (["finished"], "clear")
