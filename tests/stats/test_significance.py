"""Quantiles of Student's t and tail scores of counts and shares match SciPy."""

import numpy as np
import pytest
import scipy  # loads its parts when they are first used
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.stats.significance import MAX_DF, count_score, count_scores, share_scores, t_quantile, t_sf

PROBABILITIES = st.floats(0.6, 1 - 1e-6)
DEGREES = st.floats(0.5, MAX_DF - 1)


@given(PROBABILITIES, DEGREES)
def test_t_quantiles_match_scipy(probability: float, df: float) -> None:
    assert t_quantile(probability, df) == pytest.approx(-float(scipy.special.stdtrit(df, 1 - probability)), rel=1e-9)


def quantile_by_bisection(probability: float, df: float) -> float:
    """The quantile by bisection of the same distribution."""
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if t_sf(middle, df) > 1 - probability else (low, middle)
    return (low + high) / 2


@pytest.mark.no_cover
@given(st.sampled_from([0.75, 0.9, 0.975, 0.995]), st.floats(1, MAX_DF - 1))
def test_t_quantiles_match_bisection(probability: float, df: float) -> None:
    assert t_quantile(probability, df) == pytest.approx(quantile_by_bisection(probability, df), rel=1e-12)


@given(PROBABILITIES, DEGREES)
def test_t_quantiles_invert_the_survival_function(probability: float, df: float) -> None:
    assert t_sf(t_quantile(probability, df), df) == pytest.approx(1 - probability, abs=1e-12)


def test_the_median_quantile_is_zero() -> None:
    assert t_quantile(0.5, 3) == 0.0


@pytest.mark.parametrize("excess", [1e-17, 1e-12, 1e-8])
def test_slight_overdispersion_converges_to_poisson(excess: float) -> None:
    assert count_score(9, 2.0, excess) == pytest.approx(count_score(9, 2.0, 0.0), rel=1e-4)


def test_vectorized_scores_match_scipy_tails() -> None:
    hits, sizes, shares = (
        np.array([0.0, 3.0, 9.0, 40.0, 900.0]),
        np.array([10.0, 10.0, 10.0, 60.0, 5000.0]),
        np.full(5, 0.3),
    )
    tails = np.where(
        hits > 0.3 * sizes, scipy.stats.binom.sf(hits - 1, sizes, 0.3), scipy.stats.binom.cdf(hits, sizes, 0.3)
    )
    assert share_scores(hits, sizes, shares) == pytest.approx(np.maximum(0.0, scipy.stats.norm.isf(tails)), abs=1e-9)
    counts, means = np.array([0.0, 30.0, 12.0, 4000.0, 9.0]), np.array([5.0, 12.0, 30.0, 3500.0, 9.5])
    for excess, model in ((0.0, scipy.stats.poisson(means)), (0.2, scipy.stats.nbinom(5, 1 / (1 + 0.2 * means)))):
        tails = np.where(counts > means, model.sf(counts - 1), model.cdf(counts))
        assert count_scores(counts, means, excess) == pytest.approx(
            np.maximum(0.0, scipy.stats.norm.isf(tails)), abs=1e-9
        )
