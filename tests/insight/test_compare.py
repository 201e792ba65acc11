"""Comparisons: intervals that hold the truth, verdicts that do not cry wolf, effects that add up."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.insight import Cell, Side, compare
from cekura_dashboards.insight.effects import effects
from cekura_dashboards.insight.timeline import DAY, HOUR

COMPARISONS = 2000


def week(rng: random.Random, rate: float, calls: float, *, day_effect: float = 0.02, days: int = 7) -> Side:
    """Days whose calls are alike: each has a rate of its own."""
    cells = list[Cell]()
    for day in range(days):
        own = min(0.99, max(0.01, rng.gauss(rate, day_effect)))
        n = max(20, round(rng.gauss(calls, calls / 5)))
        hits = min(n, max(0, round(rng.gauss(n * own, math.sqrt(n * own * (1 - own))))))
        cells.append(Cell(day * DAY, n, hits / n))
    return Side(cells, days * DAY, n=sum(cell.n or 0 for cell in cells))


def test_intervals_hold_the_truth_and_equal_weeks_are_not_called_clear() -> None:
    rng, held, clear = random.Random(11), 0, 0  # noqa: S311 - no secret
    for _ in range(COMPARISONS):
        change, calls = rng.choice([0.0, 0.03, -0.05]), rng.choice([200, 400, 800])
        that = week(rng, 0.8, calls)
        row = compare("mean", week(rng, 0.8 + change, calls), that, ratio=1.0)
        held += row["ci95"][0] <= change <= row["ci95"][1]
        clear += compare("mean", week(rng, 0.8, calls), that, ratio=1.0)["verdict"] == "clear"
    assert 0.93 <= held / COMPARISONS <= 0.97
    assert clear / COMPARISONS <= 0.01


def fortnight(rng: random.Random, rate: float) -> Side:
    """Weekends have fewer calls and a lower rate."""
    days = [week(rng, rate - (0.15 if day % 7 > 4 else 0), 160 if day % 7 > 4 else 400, days=1) for day in range(14)]
    cells = [day.cells[0]._replace(time=(4 + i) * DAY) for i, day in enumerate(days)]
    return Side(cells, 14 * DAY, n=sum(cell.n or 0 for cell in cells))


def test_weekends_that_both_sides_have_widen_no_interval() -> None:
    rng, held, clear, widths = random.Random(12), 0, 0, list[float]()  # noqa: S311 - no secret
    for _ in range(COMPARISONS):
        change = rng.choice([0.0, -0.04])
        row = compare("mean", fortnight(rng, 0.8 + change), fortnight(rng, 0.8), ratio=1.0)
        held += row["ci95"][0] <= change <= row["ci95"][1]
        clear += compare("mean", fortnight(rng, 0.8), fortnight(rng, 0.8), ratio=1.0)["verdict"] == "clear"
        widths.append(row["ci95"][1] - row["ci95"][0])
    assert 0.93 <= held / COMPARISONS <= 0.97
    assert clear / COMPARISONS <= 0.01
    assert sum(widths) / COMPARISONS <= 0.055


def test_weekends_that_only_one_side_has_do() -> None:
    rng, wider = random.Random(13), list[float]()  # noqa: S311 - no secret
    for _ in range(100):
        this, that = fortnight(rng, 0.8), fortnight(rng, 0.8)
        fewer = Side(that.cells[:13], 13 * DAY, n=that.n)
        ends = [compare("mean", this, side, ratio=1.0)["ci95"] for side in (that, fewer)]
        wider.append((ends[1][1] - ends[1][0]) / (ends[0][1] - ends[0][0]))
    assert sum(wider) / len(wider) > 1.3


def test_a_change_far_beyond_the_days_differences_is_clear() -> None:
    rng = random.Random(1)  # noqa: S311 - no secret
    row = compare("mean", week(rng, 0.7, 500), week(rng, 0.9, 500), ratio=1.0)
    assert row["verdict"] == "clear"
    assert row["difference"] == pytest.approx(-0.2, abs=0.03)
    few = compare("mean", week(rng, 0.7, 500, days=3), week(rng, 0.9, 500, days=3), ratio=1.0)
    assert few["verdict"] == "possible"


groups = st.dictionaries(
    st.sampled_from("abcdef"), st.tuples(st.integers(1, 500).map(float), st.floats(0, 100)), min_size=1, max_size=6
)


@given(groups, groups)
def test_rate_and_mix_add_up_to_the_change(
    this: dict[str | None, tuple[float, float]], that: dict[str | None, tuple[float, float]]
) -> None:
    means = [sum(n * v for n, v in side.values()) / sum(n for n, _ in side.values()) for side in (this, that)]
    split = effects(this, that)
    assert sum(rate + mix for rate, mix in split.values()) == pytest.approx(means[0] - means[1], abs=1e-9)
    back = effects(that, this)
    assert all(back[name][0] == pytest.approx(-split[name][0]) for name in split)


def test_a_change_of_mix_alone_is_no_effect_of_rates_and_simpsons_paradox_is_flagged() -> None:
    cells = [Cell(day * DAY, 100, 0.6) for day in range(7)]
    moved = compare(
        "mean", Side(cells, 7 * DAY, {"a": (200, 0.82), "b": (800, 0.42)}),
        Side(cells, 7 * DAY, {"a": (800, 0.8), "b": (200, 0.4)}), ratio=1.0,
    )  # fmt: skip
    assert moved["rate_effect"] == pytest.approx(0.02)
    assert moved["mix_effect"] == pytest.approx(-0.24)
    assert moved["simpson"].startswith("every larger group moved the other way")
    assert moved["contributors"]["columns"] == ["group", "this", "that", "rate_effect", "mix_effect"]


def counts(rng: random.Random, level: float = 300.0, days: int = 14) -> Side:
    cells = [Cell(d * DAY, None, float(round(rng.gauss(level * (0.4 if d % 7 > 4 else 1), 17)))) for d in range(days)]
    return Side(cells, days * DAY)


def test_a_weekly_rhythm_does_not_hide_a_change_nor_make_one() -> None:
    rng = random.Random(4)  # noqa: S311 - no secret
    rows = [compare("total", counts(rng), counts(rng), counted=True) for _ in range(300)]
    assert sum(row["verdict"] == "clear" for row in rows) <= 6
    found = compare("total", counts(rng, 330), counts(rng), counted=True)
    assert found["verdict"] == "clear"


def test_totals_of_windows_of_different_length_are_told_per_day() -> None:
    rng = random.Random(4)  # noqa: S311 - no secret
    row = compare("total", counts(rng, days=7), counts(rng, days=14), counted=True)
    assert row["per"] == "day"
    assert row["this"]["value"] == pytest.approx(row["that"]["value"], rel=0.05)
    assert row["this"]["total"] < row["that"]["total"]


def test_shares_and_figures_are_never_more_than_possible() -> None:
    this = Side([], DAY, parts={"a": 900.0, "b": 100.0})
    that = Side([], DAY, parts={"a": 100.0, "b": 800.0, "c": 100.0})
    row = compare("shares", this, that)
    assert row["shares"]["top"][0] == ["a", 90.0, 10.0, 80.0, "possible"]
    assert {found[4] for found in row["shares"]["top"]} == {"possible"}
    figures = compare("figures", this, that)
    assert figures["figures"]["top"][0] == ["a", 900, 100, 800]
    assert figures["verdict"].startswith("not tested")


@pytest.mark.parametrize("kind", ["mean", "total", "median", "shares", "figures", "extreme"])
def test_a_side_without_data_is_not_compared(kind: str) -> None:
    empty, one = Side([], HOUR), Side([Cell(0, 5, 1.0)], HOUR, parts={"a": 1.0})
    for pair in ((empty, one), (one, empty), (empty, empty)):
        assert "not_compared" in compare(kind, *pair)  # type: ignore[arg-type]  # a kind each
    assert "not_compared" not in compare(kind, one, one)  # type: ignore[arg-type]  # a kind each
