"""What the days before show of a comparison."""

import math
import random
from collections.abc import Callable, Iterator

import pytest

from cekura_dashboards.insight import Cell, Kind, Side, Terms, compare
from cekura_dashboards.insight.likeness import ENOUGH_DAYS, Likeness
from cekura_dashboards.insight.timeline import DAY

WEEKS = 4000
MONTH = 29


def levels(rng: random.Random, days: int, alike: float) -> Iterator[float]:
    """A first-order autoregression of variance 1."""
    level = rng.gauss(0, 1)
    for _ in range(days):
        yield level
        level = alike * level + rng.gauss(0, math.sqrt(1 - alike**2))


def month(seed: int, alike: float, size: float, change: float = 0.0) -> tuple[Side, Side, Side]:
    """A week, the week before it, and three weeks before the first."""
    rng = random.Random(seed)  # noqa: S311 - no secret
    cells = [
        Cell(day * DAY, 1000, 0.8 + size * level + (change if day >= MONTH - 7 else 0.0))
        for day, level in enumerate(levels(rng, MONTH, alike))
    ]
    current, baseline = Side(cells[-7:], 7 * DAY), Side(cells[-14:-7], 7 * DAY)
    return current, baseline, Side(cells[:-7], 0.0)


@pytest.mark.parametrize("alike", [0.3, 0.6, 0.9])
def test_the_variance_of_a_week_grows_as_that_of_drawn_weeks_does(alike: float) -> None:
    rng = random.Random(5)  # noqa: S311 - no secret
    means = [math.fsum(levels(rng, 7, alike)) / 7 for _ in range(WEEKS)]
    drawn = math.fsum(mean * mean for mean in means) / WEEKS
    assert Likeness(alike, [0.0] * 10**5).growth(7) / 7 == pytest.approx(drawn, rel=0.08)


def width(current: Side, baseline: Side, earlier: Side) -> float:
    found = compare("mean", current, baseline, Terms(earlier=earlier), ratio=1.0).ci95
    assert found
    return float(found[1] - found[0])


def test_days_that_follow_each_other_widen_the_interval_and_few_of_them_do_nothing() -> None:
    alone, alike, unlike = list[float](), list[float](), list[float]()
    for seed in range(40):
        current, baseline, earlier = month(seed, 0.8, 0.03)
        alike.append(width(current, baseline, earlier))
        alone.append(width(current, baseline, Side([], 0.0)))
        unlike.append(width(*month(seed, 0.0, 0.03)))
        few = Side(earlier.cells[-(ENOUGH_DAYS - 1) :], 0.0)
        assert width(current, baseline, few) == alone[-1]
    assert math.fsum(alike) > 1.5 * math.fsum(alone)
    assert math.fsum(alike) > 1.3 * math.fsum(unlike)


def test_what_is_looked_for_widens_nothing_a_release_within_the_window_stays_clear() -> None:
    current, baseline, earlier = month(3, 0.0, 0.01)
    released = Side([cell._replace(value=cell.value - 0.15 * (i > 2)) for i, cell in enumerate(current.cells)], 7 * DAY)
    found = compare("mean", released, baseline, Terms(earlier=earlier), ratio=1.0)
    assert found.verdict == "clear"


def test_a_single_day_is_judged_by_how_its_own_days_vary_not_by_what_is_usual() -> None:
    _, baseline, earlier = month(4, 0.0, 0.002)
    days = Side(baseline.cells[-1:], DAY), Side(baseline.cells[-2:-1], DAY)
    before = Side(earlier.cells[:-1], 0.0)
    assert width(*days, before) < 0.6 * width(*days, Side([], 0.0))


@pytest.mark.parametrize("kind", ["total", "median"])
def test_totals_and_percentiles_use_them_too(kind: Kind) -> None:
    for seed in range(5):
        current, baseline, earlier = month(seed, 0.9, 0.03)
        sides = [
            Side([cell._replace(value=1000 * cell.value) for cell in side.cells], 7 * DAY)
            for side in (current, baseline)
        ]
        before = Side([cell._replace(value=1000 * cell.value) for cell in earlier.cells], 0.0)
        alone, known = (compare(kind, sides[0], sides[1], Terms(earlier=held)).ci95 for held in (Side([], 0.0), before))
        assert alone
        assert known
        assert alone != known


HAPPENED: dict[str, Callable[[float], float]] = {
    "a step": lambda day: 0.3 * (day < 10),
    "a fall that was over": lambda day: -0.3 * (5 <= day < 10),
    "an outage": lambda day: -0.9 * (day == 7),
    "a trend": lambda day: 0.01 * (MONTH - day),
    "nothing": lambda day: 0 * day,
}


def after(event: str, side: Side) -> Side:
    """With days moved by a share; values as of a thousand calls."""
    moved = HAPPENED[event]
    return Side([cell._replace(value=1000 * cell.value * (1 + moved(cell.time / DAY))) for cell in side.cells], 7 * DAY)


@pytest.mark.parametrize("kind", ["mean", "total", "median"])
@pytest.mark.parametrize("event", [*HAPPENED][:-1])
def test_what_happened_in_the_month_hardly_widens_the_interval(kind: Kind, event: str) -> None:
    widths = dict[str, float]()
    for name in ("nothing", event):
        for seed in range(20):
            current, baseline, earlier = (after(name, side) for side in month(seed, 0.0, 0.02))
            found = compare(kind, current, baseline, Terms(earlier=earlier)).ci95
            assert found
            widths[name] = widths.get(name, 0.0) + float(found[1] - found[0])
    assert widths[event] < 1.6 * widths["nothing"]


def test_a_day_after_a_release_differs_from_the_day_a_week_before_it() -> None:
    seen = list[str | None]()
    for seed in range(20):
        _, _, earlier = month(seed, 0.0, 0.01)
        days = [
            cell._replace(value=cell.value - 0.15 * (i >= len(earlier.cells) - 5))
            for i, cell in enumerate(earlier.cells)
        ]
        sides = Side(days[-1:], DAY), Side(days[-8:-7], DAY)
        seen.append(compare("mean", *sides, Terms(earlier=Side(days[:-1], 0.0)), ratio=1.0).verdict)
    assert seen.count("possible") >= 19
