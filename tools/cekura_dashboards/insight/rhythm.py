"""Rhythm: what is usual for an hour of the day and a day of the week, and how far each bucket is from it."""

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

from msgspec import Struct

from cekura_dashboards.insight.clock import Clock, Place
from cekura_dashboards.insight.course import Course
from cekura_dashboards.insight.levels import (
    FAR,
    HALF,
    ROUNDS,
    Levels,
    added,
    best_weights,
    excess_of,
    running_level,
    spread_of,
    standardised,
)
from cekura_dashboards.insight.timeline import DAY
from cekura_dashboards.values import replace

CYCLES, WEEKS_FOR_WEEKDAYS = 2, 3
"""So many of each are needed to know what is usual for an hour or a weekend, and for each weekday."""
NOTABLE = 2.0
"""The ratio of variances, explained by weekdays and left, from which on they are a rhythm."""
NOON = 12
FEW_OF_A_SLOT = 3
"""With fewer days of an hour none is tested against the others."""


class Days(Struct, frozen=True):
    """Whole days without their rhythm: how far each is from what is usual, as a difference of levels or of their logs.

    ``totals``: the days themselves, as totals or means; ``usual``: what their hours and weekday make usual for them, as
    an effect. ``weights``: 1 / variance, up to a factor. ``weekdays``: whether there were enough of each to know it.
    """

    totals: Levels
    usual: Sequence[float]
    times: Sequence[float]
    apart: Sequence[float]
    weights: Sequence[float]
    chance: bool
    """Whether the variance cannot be less than 1 / weight."""
    weekdays: bool
    weekend: Sequence[bool]
    lost: int
    """Degrees of freedom that the rhythm of weekdays took."""
    known: Sequence[float]
    """How well what is usual for its weekday is known: 1 / the spread of a day that is not among those it is from."""
    sizes: Sequence[float]
    """The median calls per bucket of each day."""

    def __len__(self) -> int:
        return len(self.times)

    def values(self, places: Sequence[int], levels: Sequence[float]) -> float:
        """What is usual for some days on these levels: the total of what is additive, else the mean by calls."""
        usual = [self.totals.level(self.usual[i] + levels[i]) for i in places]
        if self.totals.course.additive:
            return math.fsum(usual)
        weights = [float(self.totals.course.n[i] or 1) for i in places]
        return math.fsum(u * w for u, w in zip(usual, weights, strict=True)) / math.fsum(weights)

    def scores(self, levels: Sequence[float]) -> list[float]:
        """How far each day is from the level that it should be on, in standard deviations.

        Days of values that do not merge have no other error than what is seen between them.
        """
        if self.totals.course.merges:
            scores = self.totals.scores([effect + level for effect, level in zip(self.usual, levels, strict=True)])
        else:
            left = [v - level for v, level in zip(self.apart, levels, strict=True)]
            scores = standardised([math.sqrt(w) * v for v, w in zip(left, self.weights, strict=True)])
        return [score * part for score, part in zip(scores, self.known, strict=True)]


class Fit(Struct, frozen=True):
    """A course beside what is usual.

    ``hours``: the effect of each bucket's hour. ``usual``: of each bucket at its hour, on the level of its day.
    ``scores``: how far each hour is from that, in standard deviations; of days, ``days`` tells. ``excess``: how much
    counts vary beyond Poisson, as a share of the square of their mean.
    """

    course: Course
    hours: Sequence[float]
    usual: Sequence[float]
    scores: Sequence[float]
    levels: Levels
    days: Days
    excess: float

    def value(self, effect: float) -> float:
        """A level in the units of the course."""
        return self.levels.level(effect)

    def apart(self, places: Sequence[int]) -> list[tuple[float, float]]:
        """How far each of some buckets is from the usual of its hour, on the level of all; and how precise that is."""
        alone = [[place] for place in places]
        precise = [self.levels.precision(place, self.hours[place]) for place in places]
        return [*zip(self.levels.joined(alone, self.hours), precise, strict=True)]


def fitted(whole: Course, clock: Clock) -> Fit:
    """What is usual in a course, of which at least one bucket is known; the others are left out."""
    course = whole.known()
    places = [clock.place(time + course.step / 2) for time in course.times]
    model = Levels(course)
    days, slots = [place.day for place in places], _slots(places, clock, course.step)
    hours, within = [0.0] * len(course), [0.0] * len(course)
    kept, scores = [True] * len(course), [0.0] * len(course)
    seen = Counter(slots)
    shaky = [1 / math.sqrt(1 + 1 / seen[slot]) if seen[slot] >= FEW_OF_A_SLOT else 0.0 for slot in slots]
    shaky = shaky or [1.0] * len(course)
    for turn in range(ROUNDS if course.step < DAY else 0):
        within = model.effects(hours, days, kept)
        if slots:
            kinds = [kind for _, kind in slots]
            within = [level - usual for level, usual in zip(within, _means(within, kinds), strict=True)]
            hours = model.centred(model.effects(within, slots, kept))
            within = model.effects(hours, days, kept)
        scores = model.scores([a + b for a, b in zip(hours, within, strict=True)])
        scores = [score * part for score, part in zip(scores, shaky, strict=True)]
        near = [abs(score) <= FAR for score in scores]
        if near == kept and turn:
            break
        kept = near
    usual = [model.level(a + b) for a, b in zip(hours, within, strict=True)]
    return Fit(
        course=course,
        hours=hours,
        usual=usual,
        scores=scores,
        levels=model,
        days=_days(model, hours, kept, places, clock, _edges(whole, clock)),
        excess=excess_of(model.values, usual) if course.scale == "count" else 0.0,
    )


def _means(values: Sequence[float], keys: Sequence[Hashable]) -> list[float]:
    """For each value the mean of all with its key."""
    held = defaultdict[Hashable, list[float]](list)
    for key, value in zip(keys, values, strict=True):
        held[key].append(value)
    means = {key: math.fsum(members) / len(members) for key, members in held.items()}
    return [means[key] for key in keys]


def _slots(places: Sequence[Place], clock: Clock, step: float) -> list[tuple[int, int]]:
    """The hour, and weekend or not, of each bucket; nothing where there are too few days to know an hour."""
    if step >= DAY:
        return []
    held = defaultdict[int, set[int]](set)
    for place in places:
        held[clock.kind(place.weekday)].add(place.day)
    if sum(map(len, held.values())) < CYCLES:
        return []
    apart = all(len(days) >= CYCLES for days in held.values())
    return [(place.hour, clock.kind(place.weekday) if apart else 0) for place in places]


def _edges(course: Course, clock: Clock) -> set[int]:
    """The first and the last day, if less than half of them is in the course."""
    if course.step >= DAY:
        return set()
    first, last = (clock.place(course.times[i] + course.step / 2) for i in (0, -1))
    cut = {first.day} if first.hour > NOON else set[int]()
    return cut | ({last.day} if last.hour < NOON - 1 else set[int]())


def _days(
    model: Levels, hours: Sequence[float], kept: Sequence[bool], places: Sequence[Place], clock: Clock, cut: set[int]
) -> Days:
    """Days without what is usual for their weekday, and without hours that are far off; ``cut`` ones are left out."""
    course, held = model.course, defaultdict[int, list[int]](list)
    for i, place in enumerate(places):
        if place.day not in cut:
            held[place.day].append(i)
    whole = [[i for i in items if kept[i]] or items for _, items in sorted(held.items())]
    plain = level = model.joined(whole, hours)
    weekdays = [places[items[0]].weekday for items in whole]
    usual_levels, counts = [model.level(hour) for hour in hours], [float(n or 0) for n in course.n]
    sizes = _sizes(model, whole, usual_levels)
    weeks = (places[whole[-1][0]].day - places[whole[0][0]].day + 1) / 7 if whole else 0
    known, lost = weeks >= WEEKS_FOR_WEEKDAYS - 1 / 7, 1
    kinds = weekdays if known else [clock.kind(weekday) for weekday in weekdays]
    if weeks >= CYCLES - 1 / 7:
        level, lost = _without(level, kinds)
    others = Counter(kinds)
    totals, usual = _totals(model, whole, usual_levels, counts)
    effects = [u + p - v for u, p, v in zip(usual, plain, level, strict=True)]
    return Days(
        totals=totals,
        usual=effects,
        times=[course.times[items[0]] for items in whole],
        apart=level,
        weights=_weights(model, level, sizes),
        chance=_chance(model) is not None,
        weekdays=known,
        weekend=[clock.kind(weekday) > 0 for weekday in weekdays],
        lost=lost,
        known=[1 / math.sqrt(1 + 1 / max(1, others[kind] - 2)) if lost > 1 else 1.0 for kind in kinds],
        sizes=[statistics.median([counts[i] for i in items]) for items in whole],
    )


def _totals(
    model: Levels, whole: Sequence[Sequence[int]], levels: Sequence[float], counts: Sequence[float]
) -> tuple[Levels, list[float]]:
    """The days as totals or means, and what their hours make usual for each, as an effect.

    ``levels``: what is usual for each bucket; ``counts``: its calls, 0 where they are not known.
    """
    course, sizes = model.course, model.sizes
    summed = [size * value for size, value in zip(sizes, model.values, strict=True)]
    usually = [size * level for size, level in zip(sizes, levels, strict=True)]
    weights = [1.0 if course.additive else added(sizes, items) for items in whole]
    values: list[float | None] = [added(summed, items) / n for items, n in zip(whole, weights, strict=True)]
    usual = [added(usually, items) / n for items, n in zip(whole, weights, strict=True)]
    if model.multiplied:
        usual = [math.log(max(level, 1e-300)) for level in usual]
    known = not any(n is None for n in course.n)
    calls = [added(counts, items) if known else None for items in whole]
    days = replace(course, times=[0.0] * len(whole), values=values, n=calls, step=DAY)
    return Levels(days, base=1.0 if model.multiplied else 0.0), usual


def _sizes(model: Levels, whole: Sequence[Sequence[int]], levels: Sequence[float]) -> list[float]:
    """The calls that each day rests on, or for counts should."""
    if model.course.additive:
        return [max(HALF, added(levels, items)) for items in whole]
    calls = [float(n or 1) for n in model.course.n]
    return [added(calls, items) for items in whole]


def _weights(model: Levels, level: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """1 / variance of each day: what chance makes of its calls, and what days differ by themselves."""
    if not level:
        return []
    own, left = _chance(model), [v - m for v, m in zip(level, running_level(level, 7), strict=True)]
    if own is None:
        return best_weights(left, sizes)
    chance = [own / size for size in sizes]
    more = max(0.0, spread_of(left) ** 2 - statistics.median(chance))
    return [1 / (more + part) for part in chance]


def _chance(model: Levels) -> float | None:
    """The variance of one call in a day's level; None where that is not known."""
    if model.course.scale == "count":
        return 1.0
    if model.course.scale == "rate" and any(n for n in model.course.n):
        share = min(0.99, max(0.01, model.base / model.course.unit))
        return share * (1 - share) * model.course.unit**2
    return None


def _without(level: Sequence[float], kinds: Sequence[int]) -> tuple[list[float], int]:
    """Each day as if all weekdays were alike, where that explains enough; and how many levels that took.

    Source: one half of a step of median polish, Tukey (1977), about a running level, with winsorised means.
    """
    around = running_level(level, 7)
    apart = [value - usual for value, usual in zip(level, around, strict=True)]
    held = defaultdict[int, list[float]](list)
    for kind, value in zip(kinds, apart, strict=True):
        held[kind].append(value)
    if len(held) < 2 or min(map(len, held.values())) < CYCLES:  # noqa: PLR2004 - of two kinds
        return list(level), 1
    usual = {kind: _centre(values) for kind, values in held.items()}
    middle = statistics.fmean(usual[kind] for kind in kinds)
    rest = [value - usual[kind] for kind, value in zip(kinds, apart, strict=True)]
    limit = FAR * spread_of(rest)
    before, after = (math.fsum(min(abs(value), limit) ** 2 for value in part) for part in (apart, rest))
    free = len(level) - len(held)
    if after > 0 and (before - after) / (len(held) - 1) < NOTABLE * after / max(1, free):
        return list(level), 1
    return [value - usual[kind] + middle for kind, value in zip(kinds, level, strict=True)], len(held)


def _centre(values: Sequence[float]) -> float:
    """The mean of a few values without the highest and the lowest, where there are four."""
    if len(values) < 4:  # noqa: PLR2004 - see above
        return statistics.median(values)
    return statistics.fmean(sorted(values)[1:-1])
