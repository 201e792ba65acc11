"""Part-day outliers: several unusual hours of a day; single hours and weekly patterns are not reported."""

import numpy as np
import pytest
from benchmarks.verdicts.worlds import NOW, Floats, World, series

from cekura_dashboards.stats.outliers import LEVELS_OF_PARTS, PartDay, find_part_days
from cekura_dashboards.stats.seasonality import fit_seasonality
from cekura_dashboards.stats.timeline import DAY, HOUR, Span

START = NOW.timestamp() - 3 * DAY + 9 * HOUR
HOURS = World("count", HOUR, 720, 40)


def part_days(world: World, *, steps: list[float] | None = None) -> list[PartDay]:
    _, calls = series(world, 11)
    window = Span(NOW.timestamp() - 7 * DAY, NOW.timestamp())
    return find_part_days(fit_seasonality(calls, world.clock), window, world.clock, LEVELS_OF_PARTS, steps or [])


def hours_scaled(factor: float, hours: float, *, every: float = 0.0) -> World:
    def effect(at: Floats, _: World) -> Floats:
        since = at - START if not every else (at - START) % every
        return np.where((since >= 0) & (since < hours * HOUR), factor, 1.0)

    return HOURS.with_effect(effect)


def test_eight_hours_of_fewer_calls_are_detected_with_the_expected_level() -> None:
    [part] = part_days(hours_scaled(0.5, 8))
    assert part.clear
    assert part.score < 0
    assert part.start == pytest.approx(720 - 72 + 9, abs=1)
    assert part.end == pytest.approx(720 - 72 + 17, abs=1)
    assert part.expected == pytest.approx(40, rel=0.1)


def test_single_hours_whole_days_and_weekly_patterns_are_no_part_days() -> None:
    assert part_days(HOURS) == []
    assert part_days(hours_scaled(3, 1)) == []
    assert part_days(hours_scaled(0.5, 8, every=7 * DAY)) == []
    whole_day = HOURS.with_effect(lambda at, _: np.where((at >= START - 9 * HOUR) & (at < START + 15 * HOUR), 0.5, 1.0))
    assert part_days(whole_day) == []


def test_a_part_day_at_a_step_is_omitted() -> None:
    assert part_days(hours_scaled(0.5, 8), steps=[START]) == []
    assert part_days(hours_scaled(0.5, 8), steps=[START - 4 * DAY])
