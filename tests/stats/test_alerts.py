"""Replayed alerts fire where a reference implementation of the guide fires, call by call."""

from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from cekura_dashboards.stats.alerts import (
    PRESETS,
    VARIANTS,
    AlertSetting,
    Direction,
    FailureAlert,
    Operator,
    Reading,
    ThresholdAlert,
    TrendAlert,
    counts_of_breaches,
    distances,
    replay,
)
from support import scaled_examples

Floats = npt.NDArray[np.float64]
SEQUENCES = 2000
"""A thousand in CI, half as many elsewhere."""


def sequence(rng: np.random.Generator) -> Floats:
    """Typical scores of metrics: passes, ratings, latencies; some drift, step, repeat, or are constant."""
    n = int(rng.integers(1, 250))
    kinds: list[Floats] = [
        (rng.random(n) < rng.random()).astype(float),
        rng.integers(1, 6, n).astype(float),
        np.exp(rng.normal(6.8, 0.35, n)).round(),
        rng.normal(71, 12, n).round(1),
        np.full(n, rng.choice([0.0, 0.1, 1.0, 3.0])),
        -np.abs(rng.normal(0, 1, n)),
    ]
    scores = kinds[int(rng.integers(len(kinds)))]
    at = int(rng.integers(n))
    if rng.random() < 0.4:
        scores[at:] += rng.normal(0, 3) * (scores.std() or 1.0)
    if rng.random() < 0.2:
        scores[at : at + 60] = scores[at]
    return scores


def reference_firings(scores: Floats, alert: AlertSetting, reading: Reading) -> list[int]:
    """Positions of firing calls, each computed from all calls before it. Differences below 1e-9 count as none."""
    places, since, inside = list[int](), 0, True
    windows = window_moments(scores, alert, reading) if isinstance(alert, TrendAlert) else {}
    for i in range(len(scores)):
        scores_so_far = scores[since : i + 1] if reading.resets == "restart" else scores[: i + 1]
        if isinstance(alert, TrendAlert):
            beyond = i in windows and has_drifted(scores_so_far, *windows[i], alert, reading)
        else:
            beyond = (
                scores_so_far[-1] < 1 if isinstance(alert, FailureAlert) else has_crossed(scores_so_far, alert, reading)
            )
        if beyond and fires_now(scores_so_far, alert, reading) and (inside or reading.resets != "inside"):
            places.append(i)
            since = i + 1
        inside = not beyond or isinstance(alert, FailureAlert)
    return places


def window_moments(scores: Floats, alert: TrendAlert, reading: Reading) -> dict[int, tuple[float, float]]:
    """Mean and standard deviation of the window of each call that has one."""
    first = alert.window - (1 if reading.own else 0)
    calls = range(first, len(scores))
    if not calls:
        return {}
    tables = np.array([scores[i - first : i - first + alert.window] for i in calls])
    spreads = tables.std(axis=1, ddof=1 if reading.sample else 0)
    return dict(zip(calls, zip(tables.mean(axis=1).tolist(), spreads.tolist(), strict=True), strict=True))


def has_crossed(scores_so_far: Floats, alert: ThresholdAlert, reading: Reading) -> bool:
    last, high = scores_so_far[-alert.window :], alert.high or 0.0
    breaches = np.zeros(len(last), bool)
    if alert.operator in {"lt", "outside"}:
        breaches |= (last < alert.low) | (reading.ties & (last == alert.low))
    if alert.operator in {"gt", "outside"}:
        edge = high if alert.operator == "outside" else alert.low
        breaches |= (last > edge) | (reading.ties & (last == edge))
    full = len(scores_so_far) >= (reading.windows or 0) * alert.window
    return bool(full and breaches.sum() >= alert.min_breaches)


def has_drifted(scores_so_far: Floats, mean: float, spread: float, alert: TrendAlert, reading: Reading) -> bool:
    """``seen``: the calls since the alert began, up to now."""
    calls = len(scores_so_far) if reading.own else len(scores_so_far) - 1
    if calls < alert.window * (reading.windows or 1):
        return False
    now = float(scores_so_far[-1])
    distance = weighted(scores_so_far, alert.weight, now) - mean
    if reading.limits == "call":
        distance = now - weighted(scores_so_far[:-1], alert.weight, now)
    limit = alert.multiplier * spread
    if reading.limits == "mean":
        limit *= np.sqrt(alert.weight / (2 - alert.weight))
    distance = {"both": abs(distance), "increase": distance, "decrease": -distance}[alert.direction]
    tolerance = 1e-9 * (abs(mean) + spread)
    return bool(distance >= limit - tolerance if reading.ties else distance > limit + tolerance)


def weighted(scores: Floats, weight: float, otherwise: float) -> float:
    """Exponentially weighted mean; the first score gets the remaining weight."""
    if not len(scores):
        return otherwise
    weights = weight * (1 - weight) ** np.arange(len(scores))[::-1]
    weights[0] /= weight
    return float(weights @ scores)


def fires_now(scores_so_far: Floats, alert: AlertSetting, reading: Reading) -> bool:
    """Whether this call fires: a threshold fires at a breach, unless the reading fires at every call."""
    if not isinstance(alert, ThresholdAlert) or reading.each:
        return True
    return has_crossed(
        scores_so_far[-1:], ThresholdAlert(alert.operator, alert.low, alert.high), Reading(ties=reading.ties)
    )


def alerts(scores: Floats, rng: np.random.Generator, place: int) -> Iterator[AlertSetting]:
    """The presets, and one other setting in turn."""
    yield from PRESETS.values()
    low, high = sorted(rng.choice(scores, 2).tolist())
    window = int(rng.integers(2, 60))
    if place % 4 == 0:
        direction = DIRECTIONS[int(rng.integers(3))]
        yield TrendAlert(window, float(rng.choice([0.5, 1.0, 2.5])), float(rng.choice([0.05, 0.4, 1.0])), direction)
    elif place % 4 == 1:
        yield FailureAlert()
    else:
        yield ThresholdAlert(OPERATORS[int(rng.integers(3))], low, high, int(rng.integers(1, window + 1)), window)


DIRECTIONS: list[Direction] = ["both", "increase", "decrease"]
OPERATORS: list[Operator] = ["gt", "lt", "outside"]
READINGS = [Reading(), *VARIANTS.values(), Reading(ties=True, resets="restart", own=True, limits="call", sample=True)]


@pytest.mark.no_cover
def test_replayed_alerts_fire_where_the_reference_does() -> None:
    rng, fired, compared = np.random.default_rng(7), 0, 0
    for place in range(scaled_examples(SEQUENCES)):
        scores = sequence(rng)
        for number, alert in enumerate(alerts(scores, rng, place)):
            readings = (
                [READINGS[0], READINGS[1 + (place + number) % (len(READINGS) - 1)]] if place % 8 == 0 else READINGS[:1]
            )
            for reading in readings:
                expected = reference_firings(scores, alert, reading)
                assert replay(scores, alert, reading).tolist() == expected, (place, alert, reading)
                fired, compared = fired + len(expected), compared + 1
    assert fired > 6 * compared > 0


@pytest.mark.parametrize(
    ("alert", "reading"), [*product([*PRESETS.values(), ThresholdAlert("lt", 0.5, min_breaches=3)], READINGS)]
)
def test_alerts_never_fire_without_calls_or_on_constant_scores(alert: AlertSetting, reading: Reading) -> None:
    assert replay(np.array([]), alert, reading).tolist() == []
    assert replay(np.ones(400), alert, replace_ties(reading)).tolist() == []


def replace_ties(reading: Reading) -> Reading:
    return Reading(limits=reading.limits, windows=reading.windows, own=reading.own, resets=reading.resets)


def test_trends_fire_by_distance_and_thresholds_by_breach_count() -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        scores = sequence(rng)
        for multiplier in (0.5, 2.0):
            alert = TrendAlert(20, multiplier, 0.3, "decrease")
            far = np.flatnonzero(np.nan_to_num(distances(scores, alert), nan=-1) > multiplier + 1e-6)
            near = np.flatnonzero(np.nan_to_num(distances(scores, alert), nan=-1) > multiplier - 1e-6)
            assert {*far} <= {*replay(scores, alert)} <= {*near}
        ceiling = ThresholdAlert("gt", float(np.median(scores)), min_breaches=4, window=12)
        assert np.flatnonzero(counts_of_breaches(scores, ceiling) >= 4).tolist() == replay(scores, ceiling).tolist()
