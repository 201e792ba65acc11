"""Alerts replayed over the scores of one agent's calls, in order of time: the calls at which each would have fired.

Source: the guide to alerts of the API, August 2026. An alert looks at the calls of each agent by themselves. The guide
leaves some questions open; each is a parameter of a reading, whose defaults are its plainest sense.
"""

import math
from typing import Literal

from msgspec import Struct

from cekura_dashboards.values import Array, Flags, Places, np

Direction = Literal["both", "increase", "decrease"]
Operator = Literal["gt", "lt", "outside"]
Resets = Literal["never", "inside", "restart"]
CHUNK = 4096
"""Windows whose mean and spread are computed at once, to limit memory."""
ROUNDING = 1e-9
"""Relative to the numbers compared: a smaller difference is rounding and counts as 0."""


class FailureAlert(Struct, frozen=True):
    """Fires for each failed call. Scores are 1 for a pass, less for a failure."""


class TrendAlert(Struct, frozen=True):
    """Fires when the weighted mean of the scores leaves the mean of the ``window`` scores before.

    ``multiplier``: the limit in their standard deviations. ``weight``: of the newest score in the weighted mean.
    """

    window: int
    multiplier: float
    weight: float
    direction: Direction = "both"


class ThresholdAlert(Struct, frozen=True):
    """Fires when ``min_breaches`` of the last ``window`` scores lie above ``low``, below it, or outside low to high."""

    operator: Operator
    low: float
    high: float | None = None
    min_breaches: int = 1
    window: int = 50


AlertSetting = FailureAlert | TrendAlert | ThresholdAlert
PRESETS = {
    "conservative": TrendAlert(100, 3.0, 0.10),
    "balanced": TrendAlert(50, 2.0, 0.30),
    "aggressive": TrendAlert(25, 1.5, 0.50),
}
"""The presets of the guide."""
LEAST_DEVIATIONS = min(preset.multiplier for preset in PRESETS.values())
"""The smallest multiplier in the guide."""


class Reading(Struct, frozen=True, kw_only=True):
    """Choices where the guide is silent.

    ``limits``: of a trend, the distance that is limited. ``scores``: of the weighted mean from the window's mean, in
    standard deviations of scores; ``mean``: the same in standard deviations of a weighted mean, as on a control chart
    (Roberts 1959, Technometrics 1); ``call``: of the new score from the weighted mean before it.
    ``windows``: how many full windows precede the first call that can fire; None: one for a trend, else none.
    ``own``: the window of a trend includes the call itself.
    ``ties``: a score or mean exactly at the limit counts as beyond it.
    ``resets``: ``never``: fires at each call beyond the limits; ``inside``: again only after a call inside them;
    ``restart``: again only after a new window is full, and the weighted mean starts over.
    ``each``: of a threshold, also fires at calls that are not breaches while there are enough breaches.
    ``sample``: the standard deviation is that of a sample, divided by n - 1.
    """

    limits: Literal["scores", "mean", "call"] = "scores"
    windows: int | None = None
    own: bool = False
    ties: bool = False
    resets: Resets = "never"
    each: bool = False
    sample: bool = False


PLAIN = Reading()
VARIANTS: dict[str, Reading] = {
    "limits are those of a mean, not of a score": Reading(limits="mean"),
    "each call is compared with the mean": Reading(limits="call"),
    "three windows come before it can fire": Reading(windows=3),
    "a window must be full before it can fire": Reading(windows=1),
    "the window includes the call": Reading(own=True),
    "a score at the limit counts": Reading(ties=True),
    "it fires once until back inside": Reading(resets="inside"),
    "it starts over after it fired": Reading(resets="restart"),
    "it fires at every call while there are enough": Reading(each=True),
    "the deviation is that of a sample": Reading(sample=True),
}
"""Other readings of the guide, one question at a time, by their names in answers."""


def replay(scores: Array, alert: AlertSetting, reading: Reading = PLAIN) -> Places:
    """The positions of the calls at which an alert fires. ``scores``: of one agent, in order of time, all finite.

    >>> replay(np.array([1.0, 0, 1, 0]), FailureAlert()).tolist()
    [1, 3]
    >>> replay(np.array([1.0, 9, 1, 9, 9]), ThresholdAlert("gt", 5, min_breaches=2, window=3)).tolist()
    [3, 4]
    >>> replay(np.array([1.0, 2, 1, 2, 9, 9]), TrendAlert(4, 2.0, 0.5)).tolist()
    [4]
    """
    if isinstance(alert, FailureAlert):
        return np.flatnonzero(scores < 1)
    if isinstance(alert, ThresholdAlert):
        return _crossings(_breaches(scores, alert, ties=reading.ties), alert, reading)
    baseline = _Baseline.of(scores, alert, reading)
    if reading.resets == "restart":
        return _restarting(scores, alert, reading, baseline)
    level = weighted_mean(scores, alert.weight)
    outside = baseline.outside(scores, level, alert, reading)
    outside[: _first_eligible(alert, reading)] = False
    return np.flatnonzero(_edges(outside) if reading.resets == "inside" else outside)


def weighted_mean(scores: Array, weight: float) -> Array:
    """The exponentially weighted mean after each score; the first is the first score.

    >>> weighted_mean(np.array([4.0, 8.0]), 0.25).tolist()
    [4.0, 5.0]
    """
    level, levels = float(scores[0]) if len(scores) else 0.0, list[float]()
    for score in scores.tolist():
        level += weight * (score - level)
        levels.append(level)
    return np.array(levels)


def distances(scores: Array, alert: TrendAlert) -> Array:
    """The distance of each call from its window's mean in standard deviations, in the watched direction.

    NaN before the first full window; infinite if the window has no spread. A trend with a multiplier
    below this fires there.
    """
    baseline = _Baseline.of(scores, alert, PLAIN)
    deviation = _signed(weighted_mean(scores, alert.weight) - baseline.mean, alert.direction)
    deviation[deviation <= baseline.margin()] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Array = deviation / baseline.spread
    ratio[(deviation == 0) & ~np.isnan(baseline.mean)] = 0.0
    return ratio


def counts_of_breaches(scores: Array, alert: ThresholdAlert) -> Array:
    """At each breach, the number of breaches among the last calls, including itself; 0 at other calls."""
    breaches = _breaches(scores, alert, ties=False)
    return np.where(breaches, _recent(breaches, alert.window), 0).astype(np.float64)


class _Baseline(Struct, frozen=True):
    """Mean and standard deviation of the window of each call, NaN if it is not full."""

    mean: Array
    spread: Array

    @classmethod
    def of(cls, scores: Array, alert: TrendAlert, reading: Reading) -> "_Baseline":
        count, size = len(scores), alert.window
        mean, spread = np.full(count, np.nan), np.full(count, np.nan)
        if count < size:
            return cls(mean, spread)
        windows = np.lib.stride_tricks.sliding_window_view(scores, size)
        shift = size - 1 if reading.own else size
        for start in range(0, min(len(windows), count - shift), CHUNK):
            part = windows[start : min(start + CHUNK, count - shift)]
            filled = slice(start + shift, start + shift + len(part))
            mean[filled] = part.mean(axis=1)
            spread[filled] = part.std(axis=1, ddof=int(reading.sample and size > 1))
        spread[spread <= ROUNDING * np.abs(mean)] = 0.0
        return cls(mean, spread)

    def outside(self, scores: Array, level: Array, alert: TrendAlert, reading: Reading) -> Flags:
        """The calls beyond the limits. ``level``: the weighted mean after each call."""
        deviation = level - self.mean
        if reading.limits == "call":
            deviation = scores - np.concatenate([level[:1], level[:-1]])
        beyond = _signed(deviation, alert.direction) - self.scale(alert, reading) * self.spread
        with np.errstate(invalid="ignore"):
            flags: Flags = beyond >= -self.margin() if reading.ties else beyond > self.margin()
        return flags

    @staticmethod
    def scale(alert: TrendAlert, reading: Reading) -> float:
        """The limits in standard deviations of scores."""
        return alert.multiplier * (math.sqrt(alert.weight / (2 - alert.weight)) if reading.limits == "mean" else 1.0)

    def margin(self) -> Array:
        margin: Array = ROUNDING * (np.abs(self.mean) + self.spread)
        return margin


def _signed(deviation: Array, direction: Direction) -> Array:
    """The distance in the watched direction."""
    return deviation if direction == "increase" else -deviation if direction == "decrease" else np.abs(deviation)


def _first_eligible(alert: TrendAlert, reading: Reading) -> int:
    """The position of the first call that can fire; with one window, the first with a full one."""
    windows = 1 if reading.windows is None else reading.windows
    return max(1, windows) * alert.window - int(reading.own)


def _edges(flags: Flags) -> Flags:
    """The positions where flags become set."""
    edges: Flags = flags & ~np.concatenate([[False], flags[:-1]])
    return edges


def _restarting(scores: Array, alert: TrendAlert, reading: Reading, baseline: _Baseline) -> Places:
    """The firings if the alert starts over after each."""
    scale, eligible = baseline.scale(alert, reading), _first_eligible(alert, reading)
    limits, margins = (scale * baseline.spread).tolist(), baseline.margin().tolist()
    sign = -1 if alert.direction == "decrease" else 1
    start, level, places = 0, 0.0, list[int]()
    for place, (score, mean) in enumerate(zip(scores.tolist(), baseline.mean.tolist(), strict=True)):
        before = score if place == start else level
        level = before + alert.weight * (score - before)
        if place < start + eligible:
            continue
        deviation = sign * (score - before if reading.limits == "call" else level - mean)
        beyond = (abs(deviation) if alert.direction == "both" else deviation) - limits[place]
        if beyond >= -margins[place] if reading.ties else beyond > margins[place]:
            places.append(place)
            start = place + 1
    return np.array(places, np.intp)


def _breaches(scores: Array, alert: ThresholdAlert, *, ties: bool) -> Flags:
    low, high = alert.low, alert.high
    above, below = (np.greater_equal, np.less_equal) if ties else (np.greater, np.less)
    if alert.operator == "gt":
        flags: Flags = above(scores, low)
    elif alert.operator == "lt":
        flags = below(scores, low)
    else:
        flags = below(scores, low) | above(scores, low if high is None else high)
    return flags


def _recent(breaches: Flags, window: int) -> Places:
    """The number of breaches among the last scores up to each."""
    total = np.concatenate([[0], np.cumsum(breaches)])
    count = np.arange(1, len(breaches) + 1)
    recent: Places = total[count] - total[np.maximum(count - window, 0)]
    return recent


def _crossings(breaches: Flags, alert: ThresholdAlert, reading: Reading) -> Places:
    first = (reading.windows or 0) * alert.window
    if reading.resets == "restart":
        return _crossings_anew(breaches, alert, reading)
    enough = _recent(breaches, alert.window) >= alert.min_breaches
    enough[: max(0, first - 1)] = False
    fires = enough if reading.each else enough & breaches
    return np.flatnonzero(_edges(enough) & fires if reading.resets == "inside" else fires)


def _crossings_anew(breaches: Flags, alert: ThresholdAlert, reading: Reading) -> Places:
    """The firings if breaches are counted anew after each."""
    total, start, places = [0, *np.cumsum(breaches).tolist()], 0, list[int]()
    first = (reading.windows or 0) * alert.window
    for place, is_breach in enumerate(breaches.tolist()):
        recent = total[place + 1] - total[max(place + 1 - alert.window, start)]
        if recent >= alert.min_breaches and (is_breach or reading.each) and place + 1 - start >= first:
            places.append(place)
            start = place + 1
    return np.array(places, np.intp)
