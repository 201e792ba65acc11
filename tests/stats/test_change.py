"""Changes of any size are ranked."""

import numpy as np
import pytest

from cekura_dashboards.stats.change import changes_from_findings, onset_interval
from cekura_dashboards.stats.findings import Step
from cekura_dashboards.stats.time_series import floats
from cekura_dashboards.stats.timeline import DAY


@pytest.mark.parametrize(("before", "after"), [(1e308, 5e-324), (5e-324, 1e308), (-1e308, -1e-308), (0, 1e308)])
def test_the_size_of_a_step_is_capped_for_extreme_values(before: float, after: float) -> None:
    step = Step(kind="step", at="2026-11-12", before=before, after=after, change=after, verdict="clear")
    [change] = changes_from_findings([step], 0.0)
    assert change.size == 3.0


@pytest.mark.parametrize(("days", "size"), [(14, 2.0), (14, 4.0), (29, 2.0)])
def test_the_onset_interval_covers_the_onset_and_narrows_with_step_size(days: int, size: float) -> None:
    rng, hits, lengths = np.random.default_rng(5), 0, list[float]()
    for _ in range(200):
        onset = float(rng.uniform(3, days - 3))
        after = np.clip(np.arange(days) + 1 - onset, 0, 1)
        start, end = onset_interval(
            np.arange(float(days)) * DAY, rng.normal(size=days) + size * after, np.ones(days), DAY
        )
        hits += start <= onset * DAY <= end
        lengths.append((end - start) / DAY)
    assert hits >= 0.93 * 200
    assert sum(lengths) / 200 < (4 if size == 4 else 10)


def test_the_onset_interval_contains_the_detected_step() -> None:
    values = floats([0, 0.1, 0, 0.1, 5, 5.1, 5, 5.1, 5, 5.1, 9, 9.1, 9, 9.1, 9, 9.1])
    start, end = onset_interval(np.arange(16.0) * DAY, values, np.ones(16), DAY, at=10 * DAY)
    assert start <= 10 * DAY <= end


@pytest.mark.parametrize(
    "values", [[], [1.0], [1.0, 2.0, 3.0], [5.0] * 9, [1e308, -1e308] * 5, [np.nan] * 9, [5e-324, 0.0] * 5]
)
def test_degenerate_values_give_an_onset_interval_without_warnings(values: list[float]) -> None:
    count = len(values)
    start, end = onset_interval(np.arange(float(count)) * DAY, floats(values), np.ones(count), DAY)
    assert start < end


def test_the_onset_interval_of_a_step_includes_an_adjacent_gap() -> None:
    times = floats([*range(7), *range(14, 21)]) * DAY
    start, end = onset_interval(times, floats([1.0, 1.1] * 3 + [1.0] + [3.0, 3.1] * 3 + [3.0]), np.ones(14), DAY)
    assert (start / DAY, end / DAY) == (6, 15)
