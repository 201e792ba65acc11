"""Groups whose change differs from the others: over the whole window, since some time in it, or in one bucket.

Each group and time is a candidate term for the model of groups. Terms are added one by one, the most significant first,
and each is tested against the variation without it, so that one bad day cannot hide itself. All terms up to the last
significant one count, so that several groups cannot hide each other: Rosner (1983).
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from cekura_dashboards.stats.group_model import (
    NO_BUCKETS,
    TINY,
    BucketsByGroup,
    Fit,
    GroupedSample,
    GroupTable,
    Model,
    Terms,
    dispersion_of,
    fit,
    group_table,
    model,
)
from cekura_dashboards.stats.significance import count_score, share_score, t_sf
from cekura_dashboards.values import Array, Flags, Places, np

When = Literal["window", "since", "only"]
WHENS: tuple[When, ...] = ("window", "since", "only")
MAX_OUTLYING_GROUPS, STOP_P_VALUE = 4, 0.05
"""The maximum number of outlying groups, and the level for one. Choices."""
PARTS_OF_ERROR = {True: (1.0, 0.4, 0.1), False: (0.6, 0.1, 0.05)}
"""The shares of the level for changes over the whole window, since a time, and in one bucket, each divided by the
number of groups and times; by whether the variance is known. Choices. Measured: at most 5 % name a group if none
changed; the minimum dispersion of rates and counts leaves them more."""
MIN_CALLS_OF_PART = 5.0
"""The minimum calls for a rate to be shown."""
PRIOR_DF = 3.0
"""The weight of the prior, a dispersion of 1, that of independent calls, in degrees of freedom. A choice."""
DF_AT_LIMIT = 3.0
"""A dispersion below 1 is raised to 1, so the error is known better than its degrees of freedom say. Measured: false
verdicts stay within their shares for dispersions of 1 to 4."""
HOPELESS = 0.5
"""The search ends after a p-value above this, because groups then hardly hide each other. A choice."""
CONSTANT = 0.05
"""Groups with at most this share of the information of a varying one count as constant. A choice."""
MIN_REPEATS = 3
"""The minimum buckets on a repeated weekday or hour for groups to get a level for each."""
REPEAT_SCORE = 2.0
"""Groups get their own weekday effects if both sides agree by this many standard errors: p = 0.02."""
UNUSUAL_ERRORS, MEDIAN_OF_SQUARES, MIN_PART_LEFT = 4.0, 0.455, 0.1
"""A day before the baseline this many errors from its group's level is left out: one in 16,000 days by chance, a
choice; the median of a squared normal value; and the minimum share of a day's variance that the model leaves."""
MIN_PAIRS = 5
"""The minimum pairs of neighbouring buckets to estimate a correlation from. A choice."""
MAX_CORRELATION = 0.9
"""The maximum correlation of neighbouring buckets: nearer to 1 the variance of a part would diverge. A choice."""
MIN_SHARE_WITHIN = 0.5
"""A part of the window is tested if other groups at the same time give this share of its information. A choice."""
SECOND_LOOK = math.log(0.5)
"""Other kinds of change are fitted too if their p-value before fitting is below one half. A choice."""


class GroupOutlier(NamedTuple):
    """A group whose change differs from that of the others. ``p_value``: corrected for all groups and times tested.

    ``time``: the start of the bucket for ``when``. ``score``: in standard errors, signed.
    """

    group: str | None
    p_value: float
    when: When
    time: float | None
    score: float


def outlying_groups(
    current: GroupedSample,
    baseline: GroupedSample,
    *,
    additive: bool,
    ratio: float,
    earlier: BucketsByGroup = NO_BUCKETS,
) -> list[GroupOutlier]:
    """The groups whose change differs from that of the others, the most significant first.

    ``earlier``: days before both sides, which add information on a group's level in the baseline and the variation of
    its days. The first group may be insignificant. Empty if fewer than two groups have enough calls.
    """
    table = group_table(current, baseline, additive=additive, ratio=ratio, earlier=earlier)
    if table is None:
        return []
    outliers = _among_constants(table) or _add_terms(table)
    if len(table.n) == 2 and table.tested == 2:  # noqa: PLR2004 - each differs from the other
        outliers = [_of_two(table, item) for item in outliers]
    last = max((place for place, item in enumerate(outliers) if item.p_value <= STOP_P_VALUE), default=0)
    return outliers[: last + 1]


def _among_constants(table: GroupTable) -> list[GroupOutlier]:
    """The one group whose rate varies, compared with others that are always 0 or 1 and so have no odds."""
    if table.measure != "rate":
        return []
    n, hits = table.n.sum(1), (table.n * table.values).sum(1)
    information = hits * (1 - hits / np.maximum(n, 1.0))
    group = int(np.argmax(information))
    if group >= table.tested or float(information.sum()) > (1 + CONSTANT) * float(information[group]):
        return []
    own, _, _ = _own_changes(table)
    df = PRIOR_DF + float(own.df.sum())
    dispersion = max(1.0, (PRIOR_DF + float(own.squares.sum())) / df)
    score = _score_in_points(table, group, table.current, (), np.ones(table.n.shape)) / math.sqrt(dispersion)
    return [GroupOutlier(table.names[group], min(1.0, 2 * table.tested * t_sf(score, df)), "window", None, score)]


def _of_two(table: GroupTable, outlier: GroupOutlier) -> GroupOutlier:
    """The outlier of two groups: the one that changed more, in standard errors."""
    used = table.current if outlier.when == "window" else table.times >= (outlier.time or 0.0)
    if outlier.when == "only":
        used &= table.times <= (outlier.time or 0.0)
    n, sums = (np.stack([of[:, part].sum(1) for part in (used, ~used)], 1) for of in (table.n, table.n * table.values))
    halves = table._replace(n=n, values=sums / np.maximum(n, TINY))
    effects = halves.first_effects()
    information = halves.expected(effects)[1] * (n if table.measure in {"count", "sum"} else 1.0)
    changes = (effects[:, 0] - effects[:, 1]) / np.sqrt((1 / np.maximum(information, TINY)).sum(1))
    group = int(np.argmax(np.abs(changes)))
    return outlier._replace(group=table.names[group], score=math.copysign(outlier.score, float(changes[group])))


def dispersion_of_calls(current: GroupedSample, baseline: GroupedSample) -> tuple[float, float]:
    """The dispersion of numbers of calls about each group's own change, at least 1, and its degrees of freedom."""
    calls = [
        GroupedSample(
            {name: (n, n) for name, (n, _) in side.groups.items()},
            {name: [cell._replace(value=cell.n or 0.0) for cell in cells] for name, cells in side.buckets.items()},
        )
        for side in (current, baseline)
    ]
    table = group_table(calls[0], calls[1], additive=True, ratio=0.0)
    if table is None:
        return 1.0, PRIOR_DF
    own, _, _ = _own_changes(table)
    df = float(own.df.sum())
    return max(1.0, (PRIOR_DF + float(own.squares.sum())) / (PRIOR_DF + df)), PRIOR_DF + df


class _Candidates(NamedTuple):
    """The candidate terms.

    ``columns``: buckets x candidates, 1 while the candidate lasts; for each candidate the index of its kind in
    ``WHENS``, its first bucket, and the correction factor of its p-value. ``weights``: of the buckets of each group,
    groups x buckets, below 1 before the baseline if the group's level was different.
    """

    columns: Array
    kinds: Places
    starts: Places
    corrections: Array
    weights: Array


def _candidates(table: GroupTable, own: Fit, earlier: Terms) -> _Candidates:
    buckets = len(table.current)
    now = np.flatnonzero(table.current)
    since = (np.arange(buckets)[:, None] >= now[None, 1:]).astype(np.float64)
    days = np.flatnonzero(~table.earlier)
    columns = np.concatenate([table.current[:, None].astype(np.float64), since, np.eye(buckets)[:, days]], axis=1)
    sizes = [1, since.shape[1], days.size]
    # two groups differ equally from each other, so they are one test
    groups = [1 if len(table.n) == 2 else table.tested, table.tested, table.tested]  # noqa: PLR2004
    shares = PARTS_OF_ERROR[table.has_known_variance]
    corrections = [g * size / part for g, size, part in zip(groups, sizes, shares, strict=True)]
    starts = np.concatenate([now, days])
    information = np.einsum("kgt,gt->k", earlier.columns, own.weights)
    weights = 1 - np.einsum("kgt,k->gt", earlier.columns, information / (information + earlier.penalties))
    return _Candidates(columns, np.repeat(np.arange(3), sizes), starts, np.repeat(corrections, sizes), weights)


class _Scores(NamedTuple):
    """For each group and candidate, the score in standard errors, and its parts.

    ``usable``: whether it can be tested; ``variance``: of the score; ``within``: the share of it from other groups in
    the same buckets; ``weights``: its information; ``inflation``, of each candidate: the factor on the variance from
    autocorrelated buckets. The others are groups x candidates.
    """

    scores: Array
    usable: Array
    variance: Array
    within: Array
    weights: Array
    inflation: Array


def _add_terms(table: GroupTable) -> list[GroupOutlier]:
    groups, buckets = table.n.shape
    own, slots, terms = _own_changes(table)
    candidates = _candidates(table, own, terms)
    correlation = _correlation(own, table)
    outliers, chosen = list[GroupOutlier](), list[int]()
    before = model(table, slots, terms, own.effects)
    for _ in range(min(MAX_OUTLYING_GROUPS, groups - 1)):
        tests = _scores(table, before, candidates, chosen, correlation)
        best: tuple[GroupOutlier, int, Terms, Model] | None = None
        for group, place in _most_significant(table, before, candidates, tests):
            term = np.zeros((groups, buckets))
            term[group] = candidates.columns[:, place]
            longer = terms.followed_by(Terms.free(term[None]))
            after = model(table, slots, longer, before.fixed.effects)
            outlier = _outlier(table, before, after, candidates, tests, (group, place), chosen)
            if best is None or outlier.p_value < best[0].p_value:
                best = outlier, group, longer, after
        if best is None:
            break
        outlier, group, terms, before = best
        outliers.append(outlier)
        chosen.append(group)
        if outlier.p_value > HOPELESS:
            break
    return outliers


def _own_changes(table: GroupTable) -> tuple[Fit, Array, Terms]:
    """The model with a change in each group, which would otherwise look like autocorrelation.

    Also the slots with levels for each group, and the terms for the days before the baseline.
    """
    groups, buckets = table.n.shape
    slots, precision, parts = np.ones((buckets, 1)), np.ones((groups, 1)), [table.current, table.earlier]
    changes, of_earlier = (Terms.free(_by_group(part, groups)) for part in parts)
    all_changes = changes.followed_by(of_earlier) if table.earlier.any() else changes
    own = fit(table, slots, all_changes, precision, table.first_effects(), 0.0)
    if buckets - table.slots.shape[1] >= MIN_REPEATS and _repeats(own, table) > REPEAT_SCORE:
        slots = table.slots
        own = fit(table, slots, all_changes, precision, own.effects, 0.0)
    days = _unusual_days(own, table)
    if not table.earlier.any():
        return own, slots, days
    own = fit(table, slots, changes.followed_by(days), precision, own.effects, 0.0)
    earlier = days.followed_by(_earlier_levels(own, table))
    if len(earlier.columns) > len(days.columns):
        own = fit(table, slots, changes.followed_by(earlier), precision, own.effects, 0.0)
    return own, slots, earlier


def _by_group(part: Flags, groups: int) -> Array:
    """A term over these buckets for each group except the first."""
    columns = np.zeros((groups - 1, groups, len(part)))
    columns[np.arange(groups - 1), np.arange(1, groups)] = part
    return columns


def _unusual_days(own: Fit, table: GroupTable) -> Terms:
    """A term for each day of a group before the baseline that is far from its level.

    So an outage last month does not inflate the variance of rates and numbers of calls; other variances are not known
    well enough to identify such days.
    """
    squares = own.squares / np.maximum(own.df, TINY)
    has_calls = own.df > MIN_PART_LEFT
    if not table.has_known_variance or not table.earlier.any() or not has_calls.any():
        return Terms.free(np.zeros((0, *table.n.shape)))
    dispersion = dispersion_of(table, float(np.median(squares[has_calls])) / MEDIAN_OF_SQUARES)
    rows, places = np.nonzero(has_calls & table.earlier & (squares > UNUSUAL_ERRORS**2 * dispersion))
    columns = np.zeros((rows.size, *table.n.shape))
    columns[np.arange(rows.size), rows, places] = 1.0
    return Terms.free(columns)


def _earlier_levels(own: Fit, table: GroupTable) -> Terms:
    """A random effect for each group whose level in the days before the baseline differs from that in it.

    Its variance is half the square of the difference minus its error. Measured: a group that changed before the
    baseline is named in at most 5 %, and nine tenths of the power gained from the earlier days remain.
    """
    scores, variances = own.scores @ table.earlier, (own.covariance @ table.earlier) @ table.earlier
    dispersion = dispersion_of(table, float(own.squares.sum()) / max(float(own.df.sum()), 1.0))
    squares = scores**2 / np.maximum(variances, TINY) / dispersion
    different = np.flatnonzero((variances > TINY) & (squares > 2))  # noqa: PLR2004 - half the square beyond the error
    columns = np.zeros((different.size, *table.n.shape))
    columns[np.arange(different.size), different] = table.earlier
    return Terms(columns, variances[different] / (squares[different] / 2 - 1))


def _residuals(own: Fit) -> Array:
    return own.scores / np.sqrt(np.maximum(own.weights, TINY))


def _repeats(own: Fit, table: GroupTable) -> float:
    """How well residuals of the same group and slot agree on both sides, in errors that no single cell dominates."""
    residuals, now = _residuals(own), table.current
    products = (residuals[:, now] @ table.slots[now]) * (residuals[:, ~now] @ table.slots[~now])
    return float(products.sum()) / max(float(np.sqrt((products**2).sum())), TINY)


def _correlation(own: Fit, table: GroupTable) -> float:
    """The correlation of a group's neighbouring buckets, at least 0; for rates and counts at most their overdispersion.

    A quarter of a standard error is subtracted, because it is cut at 0. Measured: correlations of 0.3 and 0.6 stay
    within 5 %.
    """
    residuals, has_calls = _residuals(own), own.weights > TINY
    near = table.current[1:] == table.current[:-1]
    pairs, whole = int((has_calls[:, 1:] & has_calls[:, :-1] & near).sum()), float((residuals**2).sum())
    if pairs < MIN_PAIRS or whole <= 0:
        return 0.0
    products = float((residuals[:, 1:] * residuals[:, :-1] * near).sum())
    bias = 1 / min(int(table.current.sum()), int((~table.current).sum()))
    correlation = products / whole * float(has_calls.sum()) / pairs + bias - 0.25 / math.sqrt(pairs)
    if table.has_known_variance:
        dispersion = max(1.0, float(own.squares.sum()) / max(float(own.df.sum()), 1.0))
        correlation = min(correlation, 1 - 1 / dispersion)
    return min(max(0.0, correlation), MAX_CORRELATION)


def _scores(
    table: GroupTable, before: Model, candidates: _Candidates, chosen: list[int], correlation: float
) -> _Scores:
    columns, kinds = candidates.columns, candidates.kinds
    variance, fixed = (
        np.einsum("gtk,tk->gk", model_fit.covariance @ columns, columns) for model_fit in (before.mixed, before.fixed)
    )
    weights = before.mixed.weights @ columns
    n = (table.expected(before.mixed.effects)[0] if table.measure in {"count", "sum"} else table.n) @ columns
    usable = variance > 1e-3 * np.maximum(weights, TINY)
    usable &= (kinds == 0) | ((n >= MIN_CALLS_OF_PART) & (fixed > MIN_SHARE_WITHIN * variance))
    usable[table.tested :] = False
    usable[chosen] = False
    safe = np.where(usable, variance, 1.0)
    scores = np.where(usable, before.mixed.scores @ columns / np.sqrt(safe), 0.0)
    if table.has_known_variance:
        scores = _without_skewness(scores, np.where(usable, _skewness(table, before.mixed, columns, safe), 0.0))
    lengths = columns.sum(0)
    grown = (1 + correlation) / (1 - correlation) - 2 * correlation * (1 - correlation**lengths) / lengths / (
        1 - correlation
    ) ** 2
    within = np.clip(np.where(usable, fixed / safe, 1.0), 0.0, 1.0)
    return _Scores(scores, usable, safe, within, np.maximum(weights, TINY), np.where(lengths > 1, grown, 1.0))


def _skewness(table: GroupTable, mixed: Fit, columns: Array, variance: Array) -> Array:
    """The skewness of the scores of rates and counts."""
    shares = (mixed.covariance @ columns) / np.maximum(mixed.weights, TINY)[:, :, None]
    rates = table.expected(mixed.effects)[0] if table.measure == "rate" else np.zeros(mixed.weights.shape)
    third = np.einsum("gtk,gt->gk", shares**3, mixed.weights * (1 - 2 * rates))
    return np.asarray(third / variance**1.5, np.float64)


def _without_skewness(scores: Array, skewness: Array) -> Array:
    """Normal scores. Source: Wilson and Hilferty (1931), for the gamma distribution."""
    skew = np.where(np.abs(skewness) < 1e-4, 1.0, skewness)  # noqa: PLR2004 - practically none
    normal = 6 / skew * (np.cbrt(np.maximum(skew / 2 * scores + 1, 1e-3)) - 1) + skew / 6
    return np.asarray(np.where(skew == skewness, normal, scores), np.float64)


def _most_significant(
    table: GroupTable, before: Model, candidates: _Candidates, tests: _Scores
) -> list[tuple[int, int]]:
    """The best group and candidate of each kind that are worth fitting, the most significant first."""
    left = np.full(tests.scores.shape, before.dispersion)
    df = np.maximum(before.df_of_groups, 1.0)[:, None]
    if table.has_known_variance:
        left = np.maximum(1.0, (before.dispersion * before.df - tests.scores**2) / max(before.df - 1, 1.0))
    scores = np.abs(tests.scores) / np.sqrt(np.maximum(left * tests.inflation, TINY))
    order = np.where(tests.usable, _log_tail(scores, df) + np.log(candidates.corrections), np.inf)
    best = list[tuple[float, int, int]]()
    for kind in range(len(WHENS)):
        of_kind = np.where(candidates.kinds == kind, order, np.inf)
        place = int(np.argmin(of_kind))
        group, column = divmod(place, int(of_kind.shape[1]))
        best.append((float(of_kind[group, column]), group, column))
    best = sorted(item for item in best if math.isfinite(item[0]))
    return [(group, place) for rank, (value, group, place) in enumerate(best) if not rank or value < SECOND_LOOK]


def _log_tail(values: Array, df: Array) -> Array:
    """The logarithm of twice the tail of Student's t, accurate enough for ranking.

    Source: Wallace (1959), with the bound of Birnbaum (1942) for the normal tail.
    """
    z = np.sqrt(df * np.log1p(values**2 / df)) * (8 * df + 1) / (8 * df + 3)
    tails = math.log(4 / math.sqrt(2 * math.pi)) - z * z / 2 - np.log(z + np.sqrt(z * z + 4))
    return np.asarray(tails, np.float64)


def _outlier(
    table: GroupTable, before: Model, after: Model, candidates: _Candidates, tests: _Scores, term: tuple[int, int],
    chosen: Sequence[int],
) -> GroupOutlier:  # fmt: skip
    """The outlier of a term, tested in a model that contains it."""
    group, place = term
    when = WHENS[int(candidates.kinds[place])]
    kept = float(tests.variance[term] / tests.weights[term])
    if table.has_known_variance:
        df = PRIOR_DF + after.df
        dispersion = (PRIOR_DF + after.dispersion * after.df) / df
        df *= 1.0 if dispersion > 1 else DF_AT_LIMIT
        score = float(abs(tests.scores[term]))
        if when != "window":
            score = _exact_score(table, after.mixed, group, candidates.columns[:, place] > 0) * math.sqrt(kept)
        if table.measure == "rate":
            # groups with different rates that all lose ten points differ in odds: one must stand out in both
            points = _score_in_points(table, group, candidates.columns[:, place] > 0, chosen, candidates.weights)
            score = min(score, points)
        score /= math.sqrt(dispersion_of(table, dispersion))
        between = 1 - float(tests.within[term])
        # degrees of freedom of a sum of two estimates: Satterthwaite (1946)
        df = 1 / ((1 - between) ** 2 / df + between**2 / max(after.df_between, 1.0))
    else:
        # a single long call makes a bad day: parts of the window are tested against the variation that includes them
        against = after if when == "window" else before
        weight = float(after.mixed.weights[group] @ candidates.columns[:, place])
        df = float(against.df_of_groups[group])
        score = abs(after.mixed.coefficient) * math.sqrt(weight * kept / max(against.dispersion, TINY))
    score /= math.sqrt(float(tests.inflation[place]))
    p_value = min(1.0, 2 * t_sf(score, max(1.0, df)) * float(candidates.corrections[place]))
    time = None if when == "window" else float(table.times[candidates.starts[place]])
    return GroupOutlier(table.names[group], p_value, when, time, math.copysign(score, float(tests.scores[term])))


def _exact_score(table: GroupTable, after: Fit, group: int, used: Flags) -> float:
    """The exact tail of a part's hits or calls as a normal score, given the expectation without the term."""
    effects = np.where(used, after.effects - after.coefficient, after.effects)
    expected = table.expected(np.clip(effects, -9.0, 60.0) if table.measure == "count" else np.clip(effects, -9.0, 9.0))
    n, values, means = table.n[group, used], table.values[group, used], expected[0][group, used]
    if table.measure == "count":
        return count_score(float(values.sum()), float(means.sum()), 0.0)
    calls = float(n.sum())
    return share_score(float(n @ values), calls, float(n @ means) / calls)


def _score_in_points(table: GroupTable, group: int, used: Flags, chosen: Sequence[int], weights: Array) -> float:
    """The absolute difference, in standard errors, of a group's change of rate in a part from that of the others.

    The group's variance is that of rates with the same difference as the others: Farrington and Manning (1990).
    ``weights``: of the buckets of each group, groups x buckets.
    """
    n, hits = table.n * weights, table.n * weights * table.values
    sizes, sums = (np.stack([of[:, part].sum(1) for part in (used, ~used)]) for of in (n, hits))
    rates, drawn = sums / np.maximum(sizes, TINY), (sums + 0.5) / (sizes + 1)
    differences = rates[0] - rates[1]
    precision = 1 / (drawn * (1 - drawn) / np.maximum(sizes, TINY)).sum(0)
    precision[[group, *chosen]] = 0.0
    whole = float(precision.sum())
    if whole <= 0:
        return 0.0
    others = float(precision @ differences) / whole
    inside, outside = sizes[:, group].tolist()
    expected = (float(sums[:, group].sum()) - inside * others + 0.5) / (inside + outside + 1)
    rest = min(max(expected, 0.0), 1.0), min(max(expected + others, 0.0), 1.0)
    variance = max(rest[1] * (1 - rest[1]), 0.25 / (inside + 1)) / max(inside, TINY)
    variance += max(rest[0] * (1 - rest[0]), 0.25 / (outside + 1)) / max(outside, TINY)
    return abs(float(differences[group]) - others) / math.sqrt(variance + 1 / whole)
