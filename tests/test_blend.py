"""The blend, against unconstrained logistic regression and hand-computed losses."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from chs_ml.blend import BlendFit, fit_blend

Array = NDArray[np.float64]
N = 4000


def margins(seed: int, *, card: float, trees: float, noise: float = 0.5) -> tuple[Array, Array, Array]:
    """Two noisy views of a risk, of which the outcome uses so much of each."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=N), rng.normal(size=N)
    churned = (rng.random(N) < expit(-1.0 + card * a + trees * b)).astype(float)
    return a + 0.3 * b, b + noise * a, churned


def folds_of(accounts: NDArray[np.intp]) -> NDArray[np.intp]:
    return accounts % 5


def test_it_is_logistic_regression_where_both_slopes_are_positive() -> None:
    card, trees, churned = margins(0, card=0.8, trees=1.2)
    fit = fit_blend(card, trees, churned, accounts=np.arange(N), folds=folds_of(np.arange(N)))
    both = np.column_stack([card, trees])
    logistic = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(both, churned)
    assert (logistic.coef_ > 0).all()
    np.testing.assert_allclose([fit.card, fit.trees], logistic.coef_[0], rtol=1e-3)
    assert fit.intercept == pytest.approx(float(logistic.intercept_[0]), rel=1e-3)


def crossed_loss(parts: list[Array], churned: Array, folds: NDArray[np.intp]) -> Array:
    """Row-wise loss of scikit-learn's regression fitted on the other folds; its slopes are positive."""
    x, p = np.column_stack(parts), np.empty(len(churned))
    for fold in np.unique(folds):
        model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(
            x[folds != fold], churned[folds != fold]
        )
        assert (model.coef_ > 0).all()
        p[folds == fold] = model.predict_proba(x[folds == fold])[:, 1]
    return -(churned * np.log(p) + (1 - churned) * np.log1p(-p))


def test_losses_gain_and_error_are_cross_fitted_and_clustered_by_account() -> None:
    card, trees, churned = margins(1, card=0.8, trees=1.2)
    accounts = np.random.default_rng(0).integers(0, 900, N)
    folds = folds_of(accounts)
    fit = fit_blend(card, trees, churned, accounts=accounts, folds=folds)
    one, two = crossed_loss([card], churned, folds), crossed_loss([card, trees], churned, folds)
    assert fit.log_loss_base == pytest.approx(log_loss(churned, np.full(N, churned.mean())))
    assert fit.log_loss_card == pytest.approx(one.mean(), abs=1e-6)
    assert fit.log_loss_blend == pytest.approx(two.mean(), abs=1e-6)
    gain = one - two
    assert fit.gain == pytest.approx(gain.mean(), abs=1e-6)
    by_account = [(gain[accounts == a] - gain.mean()).sum() for a in np.unique(accounts)]
    assert fit.gain_error == pytest.approx(np.sqrt(np.sum(np.square(by_account))) / N, rel=1e-3)


def test_a_slope_that_would_be_negative_is_0_and_the_other_is_refitted() -> None:
    _, trees, churned = margins(2, card=0.0, trees=1.5)
    against = -0.5 * trees + np.random.default_rng(1).normal(size=N)
    fit = fit_blend(against, trees, churned, accounts=np.arange(N), folds=folds_of(np.arange(N)))
    assert fit.card == 0.0
    logistic = LogisticRegression(C=np.inf, tol=1e-10).fit(trees[:, None], churned)
    assert fit.trees == pytest.approx(float(logistic.coef_[0, 0]), rel=1e-3)


@pytest.mark.parametrize("seed", range(6))
def test_trees_that_are_noise_are_dropped_and_informative_ones_are_kept(seed: int) -> None:
    card, trees, churned = margins(seed, card=1.0, trees=0.7)
    noise = np.random.default_rng(seed + 100).normal(size=N)
    folds = folds_of(np.arange(N))
    kept = fit_blend(card, trees, churned, accounts=np.arange(N), folds=folds)
    assert kept.trees > 0
    assert kept.gain >= kept.gain_error > 0
    copied = fit_blend(card, card.copy(), churned, accounts=np.arange(N), folds=folds)
    dropped = fit_blend(card, noise, churned, accounts=np.arange(N), folds=folds)
    alone = fit_blend(card, None, churned, accounts=np.arange(N), folds=folds)
    assert copied.trees == 0.0
    if dropped.gain < dropped.gain_error:
        assert dropped.trees == 0.0
    for fit in (copied, dropped) if dropped.trees == 0 else (copied,):
        assert (fit.card, fit.intercept) == pytest.approx((alone.card, alone.intercept), rel=1e-6)
        assert fit.log_loss_blend == fit.log_loss_card == pytest.approx(alone.log_loss_card)


def test_noise_hardly_ever_passes_as_trees() -> None:
    card, _, churned = margins(3, card=1.0, trees=0.7)
    passed = 0
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(size=N)
        passed += (
            fit_blend(card, noise, churned, accounts=np.arange(N), folds=folds_of(np.arange(N))).trees > 0
        )
    assert passed <= 4


def test_the_formula_alone() -> None:
    card, _, churned = margins(4, card=1.0, trees=0.0)
    fit = fit_blend(2.0 * card + 3.0, None, churned, accounts=np.arange(N), folds=folds_of(np.arange(N)))
    logistic = LogisticRegression(C=np.inf, tol=1e-10).fit(2.0 * card[:, None] + 3.0, churned)
    assert (fit.trees, fit.gain, fit.gain_error) == (0.0, 0.0, 0.0)
    assert fit.card == pytest.approx(float(logistic.coef_[0, 0]), rel=1e-3)
    assert fit.share_of_card == 1.0


def losses(base: float, card: float, blend: float) -> BlendFit:
    return BlendFit(0.0, 1.0, 1.0, base, card, blend, card - blend, 0.0)


@pytest.mark.parametrize(
    ("base", "card", "blend", "share"),
    [
        (0.6, 0.5, 0.4, 0.5),
        (0.6, 0.4, 0.4, 1.0),
        (0.6, 0.6, 0.4, 0.0),
        (0.6, 0.65, 0.5, -0.5),
        (0.6, 0.61, 0.61, np.nan),
    ],
)
def test_share_of_the_predictable_loss_by_hand(base: float, card: float, blend: float, share: float) -> None:
    assert losses(base, card, blend).share_of_card == pytest.approx(share, nan_ok=True)


def test_margins_that_separate_perfectly_stay_finite() -> None:
    churned = (np.arange(200) < 40).astype(float)
    card = np.where(churned > 0, 3.0, -3.0)
    fit = fit_blend(card, card.copy(), churned, accounts=np.arange(200), folds=folds_of(np.arange(200)))
    assert np.isfinite([fit.intercept, fit.card, fit.trees, fit.log_loss_blend]).all()
    assert fit.log_loss_blend < 0.01
