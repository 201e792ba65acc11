"""A model of calls by group and time bucket, for testing the change of a single group.

Each group has a level, each bucket has an effect that all groups share, and the two sides of a comparison differ; all
of these are fitted together, so groups may have their calls on different days. Effects add on the scale of log odds for
rates and of logarithms otherwise, with variance p(1 - p), the square of the mean, or the mean; McCullagh and Nelder
(1989), chapters 4, 6 and 9. The effects of buckets are random, so that if days differ little, calls of different days
are compared too: recovery of interblock information, Yates (1940).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from cekura_dashboards.stats.significance import GroupValues, SampleBucket
from cekura_dashboards.stats.time_series import sums_by
from cekura_dashboards.stats.timeline import DAY, HOUR
from cekura_dashboards.values import Array, Flags, Places, np

BucketsByGroup = Mapping[str | None, Sequence[SampleBucket]]
NO_BUCKETS: BucketsByGroup = {}
GroupedMeasure = Literal["rate", "mean", "signed", "count", "sum"]
"""Rates, positive means, other means, numbers of calls, or other totals."""
MIN_CALLS_OF_GROUP = 30
"""The minimum calls of a group on each side for its rate to be compared. A choice, by the usual rule of thumb."""
MAX_GROUPS_TESTED = 50
"""The number of groups tested, the largest; the others form one group to compare with. A choice, to bound the time."""
MAX_BUCKETS_OF_SIDE, BLOCKS_OF_SIDE = 31, 24
"""More hourly buckets than the first number are merged into at most the second. A choice, for the same reason."""
PRIOR_DF_OF_GROUP = 8.0
"""The weight of the variance of all groups in that of one, in degrees of freedom, if variances do not follow from the
level. Measured: with 4, a growth of one group's durations by 30 % is found in 5 of 100 cases fewer; without it, heavy
tails and scores of 1 or 5 name a group too often."""
_ROUNDS, _CLOSE, TINY = 12, 1e-3, 1e-12
_PRESENT, _FLAT = 1e-9, 1e12
"""Penalties, as shares of the information, of free effects, and of effects that are left out."""
_FARTHEST: dict[GroupedMeasure, float] = {"rate": 9.0, "signed": math.inf}
"""The maximum of an effect, because log odds of rates of 0 and 1 diverge; 60 for logarithms."""


class GroupedSample(Struct, frozen=True):
    """One side of a dimension: each group's calls and value, in total and by time bucket."""

    groups: GroupValues
    buckets: BucketsByGroup


class GroupTable(NamedTuple):
    """Groups by buckets of both sides, in order of time if the baseline comes first.

    ``names``: of the groups, of which the first ``tested`` are tested. ``n``: calls, 1 for totals; ``values``: rates
    from 0 to 1, means or totals; both groups x buckets. ``times``: of the buckets; ``current``: whether each is on the
    current side; ``earlier``: whether it precedes both sides. ``slots``: buckets x weekdays or hours, 1 for the slot of
    the bucket.
    """

    names: Sequence[str | None]
    tested: int
    n: Array
    values: Array
    times: Array
    slots: Array
    current: Flags
    earlier: Flags
    measure: GroupedMeasure

    @property
    def has_known_variance(self) -> bool:
        """Whether independent calls have a dispersion of 1."""
        return self.measure in {"rate", "count"}

    def expected(self, effects: Array) -> tuple[Array, Array, Array]:
        """The expected values at these effects, the information of each about its effect, and its derivative."""
        if self.measure == "rate":
            rates = 1 / (1 + np.exp(-effects))
            return rates, self.n * rates * (1 - rates), rates * (1 - rates)
        if self.measure == "signed":
            return effects, self.n, np.ones(effects.shape)
        values = np.exp(effects)
        return values, (self.n if self.measure == "mean" else values), values

    def first_effects(self) -> Array:
        """Starting values for the effects, from the values themselves."""
        mean = float((self.n * self.values).sum() / self.n.sum())
        if self.measure == "rate":
            rates = np.clip((self.n * self.values + mean) / (self.n + 1), 0.001, 0.999)
            return np.log(rates / (1 - rates))
        if self.measure == "signed":
            return self.values
        return np.log(np.maximum((10 * np.where(self.n > 0, self.values, mean) + mean) / 11, max(mean, TINY) / 1000))


def group_table(
    current: GroupedSample,
    baseline: GroupedSample,
    *,
    additive: bool,
    ratio: float,
    earlier: BucketsByGroup = NO_BUCKETS,
) -> GroupTable | None:
    """The groups with enough calls on both sides; the others, except those on one side only, form one untested group.

    ``additive``: for counts and sums. ``ratio``: what a rate of 100 % is written as, 0 for other measures. ``earlier``:
    days before both sides, ignored if the buckets are hours. None without two groups to compare.
    """
    sides = (baseline, current)
    sizes = [{name: n for name, (n, _) in side.groups.items()} for side in sides]
    calls = {name: [size.get(name, 0.0) for size in sizes] for name in (sizes[1] | sizes[0])}
    large = [name for name, both in calls.items() if min(both) >= MIN_CALLS_OF_GROUP]
    large = sorted(large, key=lambda name: (-sum(calls[name]), str(name)))[:MAX_GROUPS_TESTED]
    others = {name for name, both in calls.items() if min(both) > 0 or max(both) < MIN_CALLS_OF_GROUP} - {*large}
    rows_of_groups = dict.fromkeys(others, len(large)) | {name: row for row, name in enumerate(large)}
    cells = [_cells(buckets, rows_of_groups) for buckets in (earlier, baseline.buckets, current.buckets)]
    counted = additive and all(np.array_equal(part[:, 2], part[:, 3]) for part in cells)
    grids = [_grid(part, len(large) + 1, additive=additive) for part in cells]
    grids = grids[any(grid.hourly for grid in grids) :]
    n, sums = np.concatenate([grid.n for grid in grids], 1), np.concatenate([grid.sums for grid in grids], 1)
    part = np.repeat(np.arange(-len(grids), 0), [grid.times.size for grid in grids])
    is_current, is_earlier = part == -1, part == -3  # noqa: PLR2004 - the first of three
    used = np.arange(len(large) + 1) < len(large)
    is_baseline = ~is_current & ~is_earlier
    used[-1] = min(float(n[-1, is_current].sum()), float(n[-1, is_baseline].sum())) >= MIN_CALLS_OF_GROUP
    n, sums = n[used], sums[used]
    if len(n) < 2 or not large or not is_current.any() or not is_baseline.any():  # noqa: PLR2004 - one to compare with
        return None
    measure: GroupedMeasure = "rate" if ratio else "mean"
    if additive:
        measure, n, values = ("count" if counted else "sum"), np.ones(n.shape), sums
    else:
        values = np.divide(sums, n, out=np.zeros(n.shape), where=n > 0) / (ratio or 1.0)
    if ratio:
        values = np.clip(values, 0.0, 1.0)
    elif min(float(sums[:, side].sum(1).min()) for side in (is_current, is_baseline)) <= 0:
        measure = "signed"
    slots = np.concatenate([grid.slots for grid in grids])
    names = [*large, None][: len(n)]
    times = np.concatenate([grid.times for grid in grids])
    by_slot = (slots[:, None] == np.unique(slots)[None]).astype(np.float64)
    return GroupTable(names, len(large), n, values, times, by_slot, is_current, is_earlier, measure)


class _Grid(NamedTuple):
    n: Array
    sums: Array
    times: Array
    slots: Array
    hourly: bool


def _cells(buckets: BucketsByGroup, rows_of_groups: Mapping[str | None, int]) -> Array:
    """One row for each bucket of a group: the group's row, time, calls, value."""
    cells = [
        (rows_of_groups[name], bucket.time, bucket.n or 0.0, bucket.value)
        for name, members in buckets.items()
        if name in rows_of_groups
        for bucket in members
    ]
    return np.array(cells, np.float64).reshape(-1, 4)


def _grid(cells: Array, groups: int, *, additive: bool) -> _Grid:
    """Calls and sums of one side, groups x buckets; each bucket's weekday, or hour of day where buckets are hours."""
    times, starts = cells[:, 1], np.unique(cells[:, 1])
    hourly = starts.size > 1 and float(np.diff(starts).min()) < DAY / 2
    if hourly and starts.size > MAX_BUCKETS_OF_SIDE:
        width = HOUR * math.ceil((starts[-1] - starts[0] + HOUR) / HOUR / BLOCKS_OF_SIDE)
        times = starts[0] + (times - starts[0]) // width * width
        starts = np.unique(times)
    places = cells[:, 0].astype(np.intp) * starts.size + np.searchsorted(starts, times)
    values = cells[:, 3] if additive else cells[:, 2] * cells[:, 3]
    n, sums = (sums_by(places, of, groups * starts.size).reshape(groups, -1) for of in (cells[:, 2], values))
    slots = starts // HOUR % 24 if hourly else np.rint(starts / DAY) % 7
    return _Grid(n, sums, starts, slots, hourly)


class Terms(NamedTuple):
    """Terms besides levels and buckets: ``columns``, terms x groups x buckets, each with a penalty.

    A penalty of 0 makes the effect of a term free; for a random effect it is the dispersion divided by its variance.
    """

    columns: Array
    penalties: Array

    @classmethod
    def free(cls, columns: Array) -> "Terms":
        """Without a penalty."""
        return cls(columns, np.zeros(len(columns)))

    def followed_by(self, others: "Terms") -> "Terms":
        """All terms, the others last."""
        columns = np.concatenate([self.columns, others.columns])
        return Terms(columns, np.concatenate([self.penalties, others.penalties]))


class Fit(NamedTuple):
    """A model fitted to a table.

    ``effects`` and ``weights``, the information of each cell, are groups x buckets, as are ``scores``, the derivatives
    of the likelihood by effects, ``squares`` of residuals in standard errors and ``df``, the degrees of freedom left in
    each. ``covariance``: of the scores of each group, groups x buckets x buckets. ``information``: of the effects of
    buckets, on the average. ``coefficient``: of the last term.
    """

    effects: Array
    weights: Array
    scores: Array
    covariance: Array
    squares: Array
    df: Array
    information: float
    coefficient: float


def fit(table: GroupTable, slots: Array, terms: Terms, precision: Array, effects: Array, penalty: float) -> Fit:
    """Iteratively weighted least squares, from these effects on.

    ``slots``: each group has one level for each of its columns. ``terms``: what is fitted besides.
    ``precision``: weights of the groups, groups x 1. ``penalty``: on the effects of buckets.
    """
    groups, buckets = table.n.shape
    columns = np.empty((groups, buckets, 1 + buckets + len(terms.columns)))
    columns[:, :, 0], columns[:, :, 1 : buckets + 1] = table.current, np.eye(buckets)
    columns[:, :, buckets + 1 :] = np.moveaxis(terms.columns, 0, 2)
    farthest, has_calls = _FARTHEST.get(table.measure, 60.0), table.n > 0
    rounds = 0
    while True:
        values, weights, slopes = table.expected(effects)
        weights = weights * precision
        working = effects + np.where(has_calls, table.values - values, 0) / slopes
        swept, centred = _sweep(columns, weights, slots), _sweep(working[:, :, None], weights, slots)
        weighted = (swept * weights[:, :, None]).reshape(-1, columns.shape[2])
        information, whole = weighted.T @ swept.reshape(weighted.shape), float(weights.sum())
        penalties = np.full(columns.shape[2], _PRESENT * whole)
        penalties[1 : buckets + 1] = max(penalty, 1e-6 * whole / buckets)
        penalties[buckets + 1 :] += terms.penalties
        inverse = np.linalg.inv(information + np.diag(penalties))
        coefficients = inverse @ (weighted.T @ centred.ravel())
        changed = np.clip(working - centred[:, :, 0] + swept @ coefficients, -farthest, farthest)
        move = float(np.abs((changed - effects) * np.sqrt(weights)).max())
        effects, rounds = changed, rounds + 1
        if move < _CLOSE or rounds == _ROUNDS:
            break
    values, weights, slopes = table.expected(effects)
    weights = weights * precision
    residuals = np.where(has_calls, table.values - values, 0) / slopes
    by_level = np.maximum(weights @ slots, TINY) @ slots.T
    covariance = -(slots @ slots.T) * weights[:, :, None] * (weights / by_level)[:, None, :]
    diagonal: Places = np.arange(buckets, dtype=np.intp)
    covariance[:, diagonal, diagonal] += weights
    across = swept * weights[:, :, None]
    covariance -= across @ inverse @ across.transpose(0, 2, 1)
    has_weight = weights > TINY
    left = np.where(has_weight, covariance[:, diagonal, diagonal] / np.where(has_weight, weights, 1), 0)
    scores = weights * residuals
    mean_information = float(np.trace(information[1 : buckets + 1, 1 : buckets + 1])) / buckets
    return Fit(
        effects, weights, scores, covariance, scores * residuals, left, mean_information, float(coefficients[-1])
    )


def _sweep(columns: Array, weights: Array, slots: Array) -> Array:
    """Columns, groups x buckets x columns, less their weighted mean of each level."""
    sums = slots.T @ (weights[:, :, None] * columns)
    means = sums / np.maximum(weights @ slots, TINY)[:, :, None]
    return columns - (slots @ means if slots.shape[1] > 1 else means)  # of one level, it is that of all buckets


class Model(NamedTuple):
    """The fits with some terms in the model.

    ``fixed``: with free effects of buckets, ``mixed``: with random ones. ``dispersion``: of the fixed fit, without a
    lower limit, with its degrees of freedom ``df``, or ``df_of_groups`` for the variance of each group.
    ``df_between``: of the effects of buckets.
    """

    fixed: Fit
    mixed: Fit
    dispersion: float
    df: float
    df_between: float
    df_of_groups: Array


def model(table: GroupTable, slots: Array, terms: Terms, effects: Array) -> Model:
    """The model with these terms, from these effects on."""
    precision = np.ones((len(table.n), 1))
    fixed = fit(table, slots, terms, precision, effects, 0.0)
    squares, df = float(fixed.squares.sum()), float(fixed.df.sum())
    df_of_groups = np.full(len(table.n), df)
    if not table.has_known_variance and df > 0 and squares > 0:
        # each group's variance is shrunk towards that of all (empirical Bayes, as in Smyth 2004)
        own = fixed.df.sum(1)
        df_of_groups = PRIOR_DF_OF_GROUP + own
        variances = (PRIOR_DF_OF_GROUP * squares / df + fixed.squares.sum(1)) / df_of_groups
        precision = (squares / df / variances)[:, None]
        fixed = fit(table, slots, terms, precision, fixed.effects, 0.0)
        squares, df = float(fixed.squares.sum()), float(fixed.df.sum())
    dispersion = squares / max(df, 1.0)
    least = dispersion_of(table, dispersion)
    alike = fit(table, slots, terms, precision, fixed.effects, _FLAT * float(fixed.weights.sum()))
    df_between = float(alike.df.sum()) - df
    if df_between < 0.5 or not least:  # noqa: PLR2004 - none
        return Model(fixed, fixed, dispersion, df, max(df_between, 0.0), df_of_groups)
    # the variance between buckets by the method of moments, half a standard error above its estimate to be safe
    excess = float(alike.squares.sum()) - squares + least * (math.sqrt(df_between / 2) - df_between)
    penalty = least * alike.information * df_between / max(excess, TINY * least)
    mixed = fit(table, slots, terms, precision, fixed.effects, penalty)
    return Model(fixed, mixed, dispersion, df, df_between, df_of_groups)


def dispersion_of(table: GroupTable, dispersion: float) -> float:
    """The dispersion, at least 1 if independent calls have 1."""
    return max(1.0, dispersion) if table.has_known_variance else dispersion
