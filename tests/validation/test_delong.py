"""DeLong against the pairwise definition and a published value of its clustered form's limit."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from chs_ml.validation.bootstrap import Judged, replicates
from chs_ml.validation.delong import delong_auc, delong_covariance, delong_difference
from tests.validation.conftest import Book

rng = np.random.default_rng(0)
CHURNED = np.r_[np.ones(15), np.zeros(40)]
FIRST = np.round(rng.normal(size=55) - 0.8 * CHURNED, 1)
SECOND = np.round(0.5 * FIRST + rng.normal(size=55) - 0.5 * CHURNED, 1)
ALONE = np.arange(55)


def test_covariance_is_delongs_of_all_pairs() -> None:
    kernels = []
    for score in (FIRST, SECOND):
        x, y = -score[CHURNED == 1][:, None], -score[CHURNED == 0][None, :]
        kernels.append((x > y) + 0.5 * (x == y))
    v10 = np.cov([k.mean(axis=1) for k in kernels])
    v01 = np.cov([k.mean(axis=0) for k in kernels])
    aucs, covariance = delong_covariance(np.stack([FIRST, SECOND]), CHURNED, ALONE)
    assert aucs == pytest.approx([roc_auc_score(CHURNED, -FIRST), roc_auc_score(CHURNED, -SECOND)])
    np.testing.assert_allclose(covariance, v10 / 15 + v01 / 40, rtol=1e-10)


def test_copied_rows_add_no_evidence() -> None:
    once = delong_auc(FIRST, CHURNED, ALONE)
    copied = delong_auc(np.repeat(FIRST, 5), np.repeat(CHURNED, 5), np.repeat(ALONE, 5))
    assert copied.auc == pytest.approx(once.auc)
    assert copied.error == pytest.approx(once.error)


def test_clustered_error_agrees_with_the_bootstrap(monthly_book: Book) -> None:
    found = delong_auc(monthly_book.score, monthly_book.churned, monthly_book.account)
    judged = Judged.of(monthly_book.churned, score=monthly_book.score, account=monthly_book.account)
    drawn = replicates(judged, n_bootstrap=600, random_state=0)["auc"]
    assert found.error == pytest.approx(drawn.std(), rel=0.12)
    alone = delong_auc(monthly_book.score, monthly_book.churned, np.arange(3000))
    assert found.error > 1.2 * alone.error


def test_a_score_does_not_differ_from_itself() -> None:
    same = delong_difference(FIRST, FIRST, CHURNED, ALONE)
    assert (same.difference, same.p_value) == (0.0, 1.0)


def test_difference_is_second_minus_first() -> None:
    found = delong_difference(FIRST, SECOND, CHURNED, ALONE)
    expected = roc_auc_score(CHURNED, -SECOND) - roc_auc_score(CHURNED, -FIRST)
    assert found.difference == pytest.approx(expected)
    assert found.interval.holds(expected)


def test_perfect_ranking_gets_an_exact_bound() -> None:
    found = delong_auc(-CHURNED, CHURNED, ALONE)
    assert found.auc == 1.0
    assert found.interval.high == 1.0
    assert found.interval.low == pytest.approx(0.025 ** (1 / 15))
