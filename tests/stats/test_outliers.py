"""Several hours that differ from the rest of their day are found, and neither one hour nor a weekly habit is."""

import numpy as np
import pytest
from benchmarks.verdicts.worlds import NOW, Floats, World, series

from cekura_dashboards.stats.outliers import LEVELS_OF_PARTS, PartDay, find_part_days
from cekura_dashboards.stats.seasonality import fit_seasonality
from cekura_dashboards.stats.timeline import DAY, HOUR, Span

START = NOW.timestamp() - 3 * DAY + 9 * HOUR
HOURS = World("count", HOUR, 720, 40)


def parts(world: World, *, steps: list[float] | None = None) -> list[PartDay]:
    _, calls = series(world, 11)
    window = Span(NOW.timestamp() - 7 * DAY, NOW.timestamp())
    return find_part_days(fit_seasonality(calls, world.clock), window, world.clock, LEVELS_OF_PARTS, steps or [])


def times(factor: float, hours: float, *, every: float = 0.0) -> World:
    def effect(at: Floats, _: World) -> Floats:
        since = at - START if not every else (at - START) % every
        return np.where((since >= 0) & (since < hours * HOUR), factor, 1.0)

    return HOURS.with_effect(effect)


def test_eight_hours_of_fewer_calls_are_one_part_with_what_the_rest_of_the_day_expects() -> None:
    [part] = parts(times(0.5, 8))
    assert part.clear
    assert part.score < 0
    assert part.start == pytest.approx(720 - 72 + 9, abs=1)
    assert part.end == pytest.approx(720 - 72 + 17, abs=1)
    assert part.expected == pytest.approx(40, rel=0.1)


def test_neither_nothing_nor_one_hour_nor_a_whole_day_nor_a_weekly_habit_is_a_part() -> None:
    assert parts(HOURS) == []
    assert parts(times(3, 1)) == []
    assert parts(times(0.5, 8, every=7 * DAY)) == []
    whole_day = HOURS.with_effect(lambda at, _: np.where((at >= START - 9 * HOUR) & (at < START + 15 * HOUR), 0.5, 1.0))
    assert parts(whole_day) == []


def test_a_part_beside_a_step_is_the_step() -> None:
    assert parts(times(0.5, 8), steps=[START]) == []
    assert parts(times(0.5, 8), steps=[START - 4 * DAY])
