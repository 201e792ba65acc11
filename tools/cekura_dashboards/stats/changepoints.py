"""Change points, at which a series moves to another level and stays there; and linear trends.

All effects belong to one linear model: weekdays, levels between cuts, and optionally a line. Cuts are searched by the
sum of squares that they explain in addition to all other effects; an information criterion decides on their number and
on the line. Then each effect is tested jointly with all others. Values are weighted by their precision, as in
Venkatraman and Olshen (2007), Bioinformatics 23; outliers have no weight; errors follow a first-order autoregression.

Autocorrelated levels look like steps and lines. So a model is reported only if a Bayes factor prefers it to a constant
level with autocorrelated errors.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from cekura_dashboards.stats.findings import Verdict
from cekura_dashboards.stats.seasonality import FIT_ROUNDS, MEDIAN_WIDTH
from cekura_dashboards.stats.significance import t_sf
from cekura_dashboards.stats.time_series import (
    MAD_TO_SD,
    floats,  # noqa: F401  # pyright: ignore[reportUnusedImport] - for the examples below
    median,
    medians_by,
    running_median,
)
from cekura_dashboards.values import Array, Flags, Places, np

MIN_VALUES = 8
"""The minimum values for a test. A choice: two levels of at least ``MIN_SEGMENT`` values, and two more."""
MAX_CHANGEPOINTS = 5
"""Maximum cuts. A choice: the search takes time in proportion, and a month rarely has more."""
MIN_SEGMENT = 3
"""Minimum values between cuts. A choice: shorter stretches are tested as outliers."""
MAX_VALUES = 180
"""Longer series are averaged to this length, because the search keeps all pairs of places. A choice, for speed."""
OUTLIER_SD = 5.0
"""Values further from the level around them, in robust standard deviations, have no weight.

A choice. Measured: of months of heavy-tailed noise, 3 % have a false change point with 5, and 5 % with 3.5.
"""
MIN_SHARE_LEFT = 0.2
"""The minimum share of the variance that a fit is assumed to leave. A choice, for weekday effects in a week or two.

Measured: if it is assumed to leave all, eight of 29 days of a sum lost their weight in a test of 40 charts without
changes, and twice as many months, 0.14 %, had a change point with p below 2.6e-4.
"""
FIRST_CHANGEPOINT_COST, FURTHER_CHANGEPOINT_COST = 3.7, 4.7
"""The penalty of a cut in the search, in parameters. A choice that finds a fall by four sd for six of 30 days."""
LEVEL_COST = 0.5
"""The penalty of a first step compared with a line, which costs one, in parameters; others cost as in the search.

Measured: with 1, a line describes 7 % of steps of 2.5 deviations among 24 values better; with 0.5, 4 %.
"""
COST_OF_BOTH = 1.0
"""The penalty of a line besides steps, in parameters; 0 if the variance of calls is known, which shows overfitting.

Measured, with margins near those below: if it also applies there, a fall of 25 % in a month of growth is clear in 74 to
91 % of months instead of 83 to 95.
"""
SHAPE_MARGIN = 9.0
"""The difference of the criterion that distinguishes a step from a line.

Measured: where counts grow by 0.7 % a day, up to 2.5 % of months have a clear step. With other margins near those
below it was 1 %, and 2 to 3 % with 7 here. Kass and Raftery (1995), Journal of the American Statistical Association 90,
call evidence strong from 6 on.
"""
CLEAR_P_VALUE, POSSIBLE_P_VALUE = 0.01, 0.04
"""The levels for change points. Measured, with the margins: at most 1.5 % of months without changes have a step.

About 5 % of months of means have a ``possible`` one.
"""
SHARE_OF_PLACES = 0.5
"""The share of the places tried that the correction counts, because neighbours are nearly the same test. A choice."""
CLEAR_TREND_P_VALUE, POSSIBLE_TREND_P_VALUE = 3e-3, 0.01
"""Choices: the margin below is the main protection against trends in autocorrelated levels."""
CLEAR_MARGIN, CLEAR_MARGIN_OF_RATES, CLEAR_MARGIN_OF_COUNTS = 11.5, 10.5, 12.5
"""The Bayes factor against no change that a clear step needs, as twice its logarithm.

Lower for rates, whose known variance reveals autocorrelation; higher for counts, whose levels vary more. Measured, 200
to 250 months each of 15, 22 and 29 days with an autocorrelation of 0.6: 1 to 3 % of rates have a false clear finding,
2 to 6 % of counts, 3 to 6 % of means, 95th percentiles and scores. With 12 for rates it is 0 to 2 %, but of rates that
fall by seven points, seven standard errors, for a fortnight, 59 % are clear instead of 74.
"""
POSSIBLE_MARGIN, POSSIBLE_MARGIN_OF_CALLS = 8.5, 9.5
"""The same for a possible step; higher if the variance of calls is known, because smaller steps are tested then.

Measured, 150 months each with an autocorrelation of 0.6: with 8.5, 3 to 7 % of means and 3 to 11 % of 95th percentiles
have a false possible finding; with 6.5, 6 to 9 and 7 to 14 %, without more clear changes.
"""
MARGIN_OF_LINE, MARGIN_OF_LINE_OF_CALLS = 4.0, 9.0
"""The same for a line alone, clear or possible: lower, because autocorrelated levels hardly ever look like one.

Measured: a p95 that rises by 20 % over a month is clear in 75 % with 4, 68 % with 5 and 51 % with 7, and 1 to 5 %
of months with an autocorrelation of 0.6 have a false clear finding with each; of counts 2 to 6 % with 9, 8 % with 4.
"""
CORRELATIONS, OWN_SHARES = (0.4, 0.6, 0.8), (0.3, 0.5, 0.7)
"""The possible autocorrelations of days: the correlation of neighbouring levels, and the levels' share of the variance.

All have the same prior. A choice: from levels that fade in a day to levels that take a week.
"""
WINSORISE_AT = 4.0
"""Maximum distance of a value from the level around it, in robust standard deviations, for winsorising. A choice."""
RELATIVE_TOLERANCE = 1e-12
"""A spread below this share of the largest value is rounding error."""
UNLIKELY_RATIO, VARIANCE_SDS, VARIANCES = 0.2, 8.0, 64
"""The range of a variance: it is hardly ever below a fifth of its estimate, or over eight standard deviations above it.

The last number is how many values are tried in it. Choices, for speed.
"""
_TINY = 1e-9


class Changepoint(NamedTuple):
    """The start of a new level, and the levels on both sides.

    ``p_value``: of the maximum over all places, without a change. ``clear``: both no change and autocorrelated levels
    are excluded. ``is_linear``: a straight line describes the values about as well, so only the change itself is clear.
    """

    at: int
    clear: bool
    before: float
    after: float
    p_value: float = 1.0
    is_linear: bool = False


class TrendTest(NamedTuple):
    """``slope`` per value."""

    slope: float = 0.0
    p_value: float = 1.0
    verdict: Verdict = "not significant"


class Segmentation(NamedTuple):
    """The model of a series: its change points in order, its trend, and the seasonal effect of each value."""

    changepoints: list[Changepoint]
    trend: TrendTest
    seasonal: Array


def find_changepoints(values: Array, weights: Array | None = None) -> list[Changepoint]:
    """The change points, in order; none for fewer than ``MIN_VALUES`` values or constant values.

    ``weights``: the precision of each value, up to a factor; None if equal.

    >>> [cut[:2] for cut in find_changepoints(floats([10, 11, 10, 9, 10, 11, 9, 10, 30, 31, 29, 30, 31, 30, 29, 30]))]
    [(8, True)]
    >>> find_changepoints(floats(range(1, 11)))
    []
    """
    return fit_segments(values, weights).changepoints


def fit_segments(
    values: Array,
    weights: Array | None = None,
    seasons: Places | None = None,
    *,
    least: int = MIN_VALUES,
    variances: Array | None = None,
    clear_margin: float = CLEAR_MARGIN,
) -> Segmentation:
    """``seasons``: the key of each value's seasonal effect, such as its weekday; None for no effects.

    ``least``: the minimum values for change points. ``variances``: the minimum variance of each value, from the calls
    that it counts; None if unknown. ``clear_margin``: the Bayes factor for a clear step, as above.

    >>> round(fit_segments(floats(range(1, 11))).trend.slope, 6)
    1.0
    """
    count = len(values)
    raw_weights: Array = np.ones(count) if weights is None else weights
    if count > MAX_VALUES:
        return _fit_averaged(values, raw_weights, variances, least=least, clear_margin=clear_margin)
    seasons = np.zeros(count, np.intp) if seasons is None else np.unique(seasons, return_inverse=True)[1]
    nothing = Segmentation([], TrendTest(), np.zeros(count))
    if count < least:
        return nothing
    precision: Array = raw_weights / raw_weights.mean()
    floor = 0.0 if variances is None else float((precision * variances).mean())
    expected, inliers = _first_guess(values, seasons), np.zeros(count, np.bool_)
    fit, scale = None, 1.0
    kinds = int(seasons.max()) + 1
    parameters = kinds + count / MEDIAN_WIDTH
    for _ in range(FIT_ROUNDS):
        residuals, earlier = np.sqrt(precision) * (values - expected), inliers
        left = math.sqrt(max(MIN_SHARE_LEFT, 1 - parameters / count))  # the part of the residuals that fitting leaves
        spread = max(math.sqrt(floor), MAD_TO_SD * median(np.abs(residuals)) / left)
        inliers = ~_short_runs(np.abs(residuals) > OUTLIER_SD * spread) if spread > 0 else np.ones(count, np.bool_)
        if np.array_equal(inliers, earlier):
            break
        scale = _weighted_sd(values[inliers], precision[inliers])
        if not math.isfinite(scale) or scale <= RELATIVE_TOLERANCE * float(np.abs(values).max()):
            return nothing
        fit = _Fit(values / scale, np.where(inliers, precision, 0.0), seasons, floor / scale**2)
        expected, parameters = fit.expected * scale, kinds + len(fit.cuts) + fit.model.line
    return fit.segmentation(scale, clear_margin) if fit else nothing


def _fit_averaged(
    values: Array, weights: Array, variances: Array | None, *, least: int, clear_margin: float
) -> Segmentation:
    """The segments of a long series, with neighbours averaged."""
    width = math.ceil(len(values) / MAX_VALUES)
    edges = range(width, len(values), width)
    sizes = sums_of_segments(weights, edges)
    means = sums_of_segments(weights * values, edges) / sizes
    if variances is not None:
        variances = sums_of_segments(weights * weights * variances, edges) / sizes**2
    averaged = fit_segments(means, sizes, least=least, variances=variances, clear_margin=clear_margin)
    cuts = [cut._replace(at=cut.at * width) for cut in averaged.changepoints]
    return Segmentation(cuts, averaged.trend._replace(slope=averaged.trend.slope / width), np.zeros(len(values)))


def _weighted_sd(values: Array, weights: Array) -> float:
    whole = float(weights.sum())
    deviations = values - float(weights @ values) / whole
    return math.sqrt(float(weights @ (deviations * deviations)) / whole)


def _short_runs(flags: Flags) -> Flags:
    """Runs of neighbours that are too short for a level, except several at the end, which may be a new level."""
    short = flags.copy()
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]))).tolist()
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start >= MIN_SEGMENT or (end == len(flags) and end - start > 1):
            short[start:end] = False
    return short


def _first_guess(values: Array, seasons: Places) -> Array:
    """A running level and the seasonal effects about it. Source: median polish, Tukey (1977)."""
    effects = np.zeros(len(values))
    for _ in range(2 if seasons.any() else 0):
        effects = medians_by(seasons, values - running_median(values - effects, MEDIAN_WIDTH))[seasons]
    return running_median(values - effects, MEDIAN_WIDTH) + effects


class _LinearModel:
    """The values without all effects except cuts, and what a cut at each place would explain of the rest.

    Scaled so that all values have the same variance. ``gram``, ``cross``: the products of the columns of cuts with each
    other, and with the values. ``residuals``: without any cut.
    """

    def __init__(self, values: Array, weights: Array, seasons: Places, *, line: bool) -> None:
        count = len(values)
        self.values, self.line, self.roots = values, line, np.sqrt(weights)
        self.places = np.arange(count) - (count - 1) / 2
        levels: Array = np.eye(int(seasons.max()) + 1)[seasons]
        self.fixed = np.asarray(np.hstack([levels, self.places[:, None]]) if line else levels, np.float64)
        basis: Array = np.linalg.qr(self.fixed * self.roots[:, None])[0]
        scaled, all_steps = values * self.roots, np.tri(count) * self.roots[:, None]
        self.residuals: Array = scaled - basis @ (basis.T @ scaled)
        steps: Array = all_steps - basis @ (basis.T @ all_steps)
        self.squares, self.gram = float(self.residuals @ self.residuals), steps.T @ steps
        self.cross: Array = steps.T @ self.residuals
        self.least = max(MIN_SEGMENT, count // 50)
        self._estimates = dict[tuple[int, ...], _Estimates]()

    def unexplained(self, cuts: Sequence[int]) -> float:
        """The sum of squares of the residuals."""
        if not cuts:
            return self.squares
        *others, last = cuts
        gram, cross, squares = self._given(others)  # the products given the last cut are not needed
        return squares - float(cross[last]) / max(float(gram[last, last]), _TINY) * float(cross[last])

    def _given(self, cuts: Sequence[int]) -> tuple[Array, Array, float]:
        """The products given these cuts, and the sum of squares. Source: Gauss-Jordan elimination."""
        gram, cross, squares = self.gram, self.cross, self.squares
        for cut in cuts:
            row, own = gram[cut], max(float(gram[cut, cut]), _TINY)
            explained = float(cross[cut]) / own
            squares -= explained * float(cross[cut])
            cross, gram = cross - explained * row, gram - row[:, None] * (row / own)
        return gram, cross, squares

    def best_cuts(self, criterion: Callable[[list[int]], float]) -> list[int]:
        """The best cuts: up to two by exhaustive search, more by exchange.

        In a series that falls and recovers, neither of the two cuts helps alone, so pairs are searched jointly. From
        four cuts on, another is tried only if the last one improved the criterion.
        """
        one, pair = self._with_best([]), self._best_pair()
        candidates = [cuts for cuts in (one, pair) if cuts]
        best = min([[], *candidates], key=criterion)
        cuts = pair
        while pair and len(cuts) < MAX_CHANGEPOINTS and cuts in (pair, best):
            number, cuts = len(cuts), self._with_best(cuts)
            for cut in cuts if len(cuts) > number else []:
                cuts = self._with_best([other for other in cuts if other != cut])
            if len(cuts) == number:
                break
            best = min(best, cuts, key=criterion)
        return best

    def _with_best(self, cuts: list[int]) -> list[int]:
        """The cuts with the one that explains most added."""
        gram, cross, _ = self._given(cuts)
        diagonal = gram.diagonal()
        allowed = diagonal > _TINY
        for edge in (0, len(allowed), *cuts):
            allowed[max(0, edge - self.least + 1) : edge + self.least] = False
        if not allowed.any():
            return cuts
        gains = np.divide(cross * cross, diagonal, out=np.full(len(cross), -np.inf), where=allowed)
        return sorted([*cuts, int(gains.argmax())])

    def _best_pair(self) -> list[int]:
        places = np.arange(self.least, len(self.cross) - self.least + 1)
        gram, cross = self.gram[np.ix_(places, places)], self.cross[places]
        first, second = cross[:, None], cross[None, :]
        own, other = gram.diagonal()[:, None], gram.diagonal()[None, :]
        determinant = own * other - gram * gram
        allowed = (places[None, :] - places[:, None] >= self.least) & (determinant > _TINY * own * other)
        if not allowed.any():
            return []
        explained = first * first * other - 2 * first * second * gram + second * second * own
        gains = np.divide(explained, determinant, out=np.full(gram.shape, -np.inf), where=allowed)
        return [int(places[i]) for i in np.unravel_index(int(gains.argmax()), gram.shape)]

    def estimate(self, cuts: Sequence[int], floor: float) -> "_Estimates":
        """The least-squares estimates; errors follow an autoregression that is estimated from the residuals.

        The variance is the one whose expected sum of squares is the observed one; its degrees of freedom are those of a
        chi-square with the same variance, Satterthwaite (1946), Biometrics 2. ``floor``: the minimum variance, that of
        the calls: only variation beyond it can be autocorrelated.
        """
        known = tuple(cuts)
        if known not in self._estimates:  # models are compared at the same cuts
            self._estimates[known] = self._estimate(cuts, floor)
        return self._estimates[known]

    def _estimate(self, cuts: Sequence[int], floor: float) -> "_Estimates":
        count = len(self.values)
        steps = np.arange(count)[:, None] >= np.asarray(cuts, np.intp)[None, :]
        design = np.hstack([steps, self.fixed])
        scaled = design * self.roots[:, None]
        inverse = np.linalg.pinv(scaled)
        effects = inverse @ (self.values * self.roots)
        residuals = self.values * self.roots - scaled @ effects
        has_weight = self.roots > 0
        maker = (np.eye(count) - scaled @ inverse) * has_weight[:, None] * has_weight[None, :]
        lags = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
        squares = float(residuals @ residuals)
        own_share = 1 - floor / max(squares / max(float(maker.trace()), _TINY), floor, _TINY)
        correlations = (min(own_share, _autocorrelation(residuals, maker, lags)) ** np.arange(count))[lags]
        product = maker @ correlations
        trace = max(float(product.trace()), _TINY)
        variance = max(squares / trace, _TINY)
        errors = np.sqrt(np.maximum(((inverse @ correlations) * inverse).sum(axis=1) * variance, 0.0))
        df = max(1.0, trace * trace / max(float((product * product.T).sum()), _TINY))
        scores = np.abs(effects) / np.maximum(errors, _TINY)
        return _Estimates(effects, scores, df, floor / variance, design @ effects)


class _Estimates(NamedTuple):
    """The effects of cuts, seasons and the line, in this order, each in standard errors.

    ``least``: the minimum variance as a share of the estimate. ``expected``: the fitted values.
    """

    effects: Array
    scores: Array
    df: float
    least: float
    expected: Array

    def p_value(self, place: int) -> float:
        """The two-sided p-value, averaged over all possible variances by their likelihood given the residuals.

        Without a minimum this is Student's t. Source: the posterior of a variance, Box and Tiao (1973), Bayesian
        Inference in Statistical Analysis, chapter 2, cut off below.
        """
        score = float(self.scores[place])
        if self.least < UNLIKELY_RATIO:
            return 2 * t_sf(score, self.df)
        highest = math.log(max(self.least, 1.0)) + VARIANCE_SDS / math.sqrt(self.df)
        ratios = np.exp(np.linspace(math.log(self.least), highest, VARIANCES))
        logs = -self.df / 2 * (np.log(ratios) + 1 / ratios)
        weights = np.exp(logs - logs.max())
        tails = [math.erfc(score / math.sqrt(2 * ratio)) for ratio in ratios.tolist()]
        return float(weights @ tails / weights.sum())


def _autocorrelation(residuals: Array, maker: Array, lags: Places) -> float:
    """The autocorrelation for which the expected lag-1 product of the residuals is the observed one.

    ``maker``: the matrix that maps values to residuals. Fitting removes part of the autocorrelation, so the plain
    estimate is too low.
    """
    squares = float(residuals @ residuals)
    if squares <= 0:
        return 0.0
    shifted = np.zeros_like(maker)
    shifted[:, 1:] += maker[:, :-1] / 2
    shifted[:, :-1] += maker[:, 1:] / 2
    by_lag, whole = (np.bincount(lags.ravel(), part.ravel()) for part in (shifted @ maker, maker))
    candidates = np.arange(0, 0.96, 0.05)
    powers = candidates[:, None] ** np.arange(len(residuals))[None, :]
    expected = np.maximum.accumulate((powers @ by_lag) / (powers @ whole))
    return float(np.interp(float(residuals[1:] @ residuals[:-1]) / squares, expected, candidates))


class _Fit:
    """The best model of the values, which are in units of their spread."""

    def __init__(self, values: Array, weights: Array, seasons: Places, floor: float) -> None:
        self.values, self.weights, self.seasons, self.floor = values, weights, seasons, floor
        self.count = int((weights > 0).sum())
        self._df = max(1, self.count - 1 - int(seasons.max()))  # left by the seasons
        self.models = [_LinearModel(values, weights, seasons, line=line) for line in (False, True)]
        candidates = [*(self._significant(model, floor) for model in self.models), (self.models[True], list[int]())]
        self.model, self.cuts = min(candidates, key=lambda candidate: self._criterion(*candidate))
        self.estimates = self.model.estimate(self.cuts, floor)

    def _significant(self, model: _LinearModel, floor: float) -> tuple[_LinearModel, list[int]]:
        """The best cuts of a model that are significant given the others, by backward elimination."""
        cuts = model.best_cuts(lambda cuts: self._search_criterion(model, cuts))
        while cuts:
            estimates = model.estimate(cuts, floor)
            weakest = int(estimates.scores[: len(cuts)].argmin())
            if self._p_value(estimates, weakest) <= POSSIBLE_P_VALUE:
                break
            cuts = [*cuts[:weakest], *cuts[weakest + 1 :]]
        return model, cuts

    @property
    def expected(self) -> Array:
        """The fitted values."""
        return self.estimates.expected

    def segmentation(self, scale: float, clear_margin: float) -> Segmentation:
        """The segmentation in the units of the values."""
        kinds = int(self.seasons.max()) + 1
        seasonal = self.estimates.effects[len(self.cuts) : len(self.cuts) + kinds][self.seasons]
        seasonal = (seasonal - seasonal.mean()) * scale
        nothing = Segmentation([], TrendTest(), seasonal)
        if not self.cuts and not self.model.line:
            return nothing
        unchanged, line_alone = self._criterion_if_unchanged(), self._criterion(self.models[True], [])
        margin = unchanged - self._criterion(self.model, self.cuts)
        trend_alone = self._trend_alone(scale, unchanged - line_alone)
        if not self.cuts:
            return nothing._replace(trend=trend_alone)
        is_linear = unchanged - margin > line_alone - SHAPE_MARGIN
        line_verdict = trend_alone.verdict if is_linear else "not significant"
        if margin < self._possible_margin and line_verdict == "not significant":
            return nothing
        line = (float(self.estimates.effects[-1]) * scale if self.model.line else 0.0) * self.model.places
        adjusted = self.values * scale - seasonal - line
        weights = np.maximum(self.weights, _TINY)
        levels = sums_of_segments(adjusted * weights, self.cuts) / sums_of_segments(weights, self.cuts)
        p_values = [self._p_value(self.estimates, place) for place in range(len(self.cuts))]
        if is_linear:  # the change is as significant as the better of the two shapes
            p_values = [min(p_value, trend_alone.p_value) for p_value in p_values]
        changepoints = [
            Changepoint(
                at,
                clear=line_verdict == "clear" or (margin >= clear_margin and p_value <= CLEAR_P_VALUE),
                before=before + float(line[at - 1] + line[at]) / 2,
                after=after + float(line[at - 1] + line[at]) / 2,
                p_value=p_value,
                is_linear=is_linear,
            )
            for at, p_value, (before, after) in zip(self.cuts, p_values, pairwise(levels.tolist()), strict=True)
        ]
        trend = trend_alone if is_linear else self._trend_given_cuts(scale, margin, clear_margin)
        return Segmentation(changepoints, trend, seasonal)

    def _trend_alone(self, scale: float, margin: float) -> TrendTest:
        estimates = self.models[True].estimate([], self.floor)
        p_value, slope = estimates.p_value(-1), float(estimates.effects[-1]) * scale
        least_margin = MARGIN_OF_LINE_OF_CALLS if self.floor > 0 else MARGIN_OF_LINE
        if p_value > POSSIBLE_TREND_P_VALUE or margin < least_margin:
            return TrendTest(slope, p_value)
        return TrendTest(slope, p_value, "clear" if p_value <= CLEAR_TREND_P_VALUE else "possible")

    def _trend_given_cuts(self, scale: float, margin: float, clear_margin: float) -> TrendTest:
        if not self.model.line:
            return TrendTest()
        # a line that is significant only given cuts is at most as significant as they are
        alone = self.models[True].estimate([], self.floor).p_value(-1)
        weakest = max(self._p_value(self.estimates, place) for place in range(len(self.cuts)))
        p_value = max(self.estimates.p_value(-1), min(alone, weakest))
        verdict: Verdict = "not significant"
        if p_value <= POSSIBLE_TREND_P_VALUE:
            verdict = "clear" if p_value <= CLEAR_TREND_P_VALUE and margin >= clear_margin else "possible"
        return TrendTest(float(self.estimates.effects[-1]) * scale, p_value, verdict)

    def _p_value(self, estimates: _Estimates, place: int) -> float:
        """The p-value of a cut, corrected for the places tried."""
        return min(1.0, SHARE_OF_PLACES * len(self.values) * estimates.p_value(place))

    def _search_criterion(self, model: _LinearModel, cuts: list[int]) -> float:
        cost = FIRST_CHANGEPOINT_COST + FURTHER_CHANGEPOINT_COST * (len(cuts) - 1) if cuts else 0.0
        return self._information(model.unexplained(cuts), cost + model.line)

    def _criterion(self, model: _LinearModel, cuts: list[int]) -> float:
        cost = LEVEL_COST + FURTHER_CHANGEPOINT_COST * (len(cuts) - 1) if cuts else 0.0
        both = COST_OF_BOTH if cuts and model.line and not self.floor else 0.0
        return self._information(model.unexplained(cuts), cost + model.line + both)

    def _information(self, squares: float, parameters: float) -> float:
        """The Bayesian information criterion, Schwarz (1978), Annals of Statistics 6."""
        variance = max(squares / self._df, self.floor, _TINY)
        return self._df * (math.log(variance) - 1) + squares / variance + parameters * math.log(self.count)

    @property
    def _possible_margin(self) -> float:
        return POSSIBLE_MARGIN_OF_CALLS if self.floor > 0 else POSSIBLE_MARGIN

    def _criterion_if_unchanged(self) -> float:
        """The criterion of a constant level with autocorrelated errors, its likelihood averaged over autocorrelations.

        Source: the restricted likelihood, Harville (1974), Biometrika 61.
        """
        model, places = self.models[False], np.flatnonzero(self.weights > 0)
        basis = np.linalg.qr((model.fixed * model.roots[:, None])[places])[0]
        columns = np.hstack([basis, (model.values * model.roots)[places, None]])
        precisions, logs = _precision_matrices(tuple(places.tolist()))
        products = columns.T @ precisions @ columns
        effects = np.linalg.slogdet(products[:, :-1, :-1])[1]
        squares = np.exp(np.linalg.slogdet(products)[1] - effects)  # by the determinant of a block matrix
        misfits = self._df * np.log(np.maximum(squares / self._df, _TINY)) + logs + effects
        least = float(misfits.min())
        return least - 2 * math.log(float(np.exp((least - misfits) / 2).mean()))


@lru_cache(maxsize=4)
def _precision_matrices(places: tuple[int, ...]) -> tuple[Array, Array]:
    """The inverse correlation matrix of values at these places, and its log determinant before the inversion.

    For each possible autocorrelation. Charts of the same days share them; four take 9 MB at most.
    """
    correlations, shares = (part.ravel()[:, None, None] for part in np.meshgrid(CORRELATIONS, OWN_SHARES))
    lags = np.abs(np.subtract.outer(places, places))
    covariances = shares * correlations**lags + (1 - shares) * np.eye(len(places))
    inverses: Array = np.asarray(np.linalg.inv(covariances), np.float64)
    return inverses, np.linalg.slogdet(covariances)[1]


def winsorise(values: Array, weights: Array, floor: float = 0.0) -> Array:
    """Winsorised values: within four robust standard deviations of the median of their neighbours.

    ``floor``: the minimum variance of a value of weight 1.

    >>> bool(winsorise(floats([1, 2, 1, 2, 100, 1, 2, 1]), np.ones(8))[4] < 10)
    True
    """
    medians, roots = running_median(values, MEDIAN_WIDTH), np.sqrt(weights)
    deviations = roots * (values - medians)
    spread = max(math.sqrt(floor), MAD_TO_SD * median(np.abs(deviations)))
    if spread <= 0:
        return values
    return medians + np.clip(deviations, -WINSORISE_AT * spread, WINSORISE_AT * spread) / roots


def segments(cuts: Sequence[int], count: int) -> list[tuple[int, int]]:
    """The half-open stretches between cuts.

    >>> segments([3], 8)
    [(0, 3), (3, 8)]
    """
    return list(pairwise([0, *cuts, count]))


def sums_of_segments(values: Array, cuts: Sequence[int]) -> Array:
    """The sum of each segment between cuts."""
    sums: Array = np.add.reduceat(values, [0, *cuts])
    return sums
