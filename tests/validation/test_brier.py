"""The decomposed Brier score adds up, and isotonic regression is scikit-learn's."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss

from chs_ml.validation.brier import brier_parts, isotonic
from tests.validation.conftest import Book


def test_parts_add_up(book: Book) -> None:
    parts = brier_parts(book.probability, book.churned)
    assert parts.brier == pytest.approx(brier_score_loss(book.churned, book.probability))
    assert parts.brier == pytest.approx(parts.miscalibration - parts.discrimination + parts.uncertainty)
    murphy = parts.reliability - parts.resolution + parts.uncertainty + parts.within_bins
    assert parts.brier == pytest.approx(murphy)


def test_murphy_is_exact_where_probabilities_are_few() -> None:
    probability = np.repeat([0.1, 0.4, 0.8], 100)
    churned = np.r_[np.arange(100) < 12, np.arange(100) < 35, np.arange(100) < 90].astype(float)
    parts = brier_parts(probability, churned)
    base = 137 / 300
    assert parts.within_bins == pytest.approx(0.0, abs=1e-12)
    assert parts.reliability == pytest.approx((0.02**2 + 0.05**2 + 0.1**2) / 3)
    assert parts.resolution == pytest.approx(np.mean((np.array([0.12, 0.35, 0.9]) - base) ** 2))
    assert parts.uncertainty == pytest.approx(base * (1 - base))


def test_isotonic_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    probability = rng.random(300).round(2)
    churned = (rng.random(300) < probability).astype(float)
    expected = IsotonicRegression().fit_transform(probability, churned)
    np.testing.assert_allclose(isotonic(probability, churned), expected, atol=1e-12)


def test_distortion_shows_as_miscalibration_only(book: Book) -> None:
    straight = brier_parts(book.probability, book.churned)
    bent = brier_parts(expit(2 * logit(book.probability)), book.churned)
    assert bent.miscalibration > 3 * straight.miscalibration
    assert bent.discrimination == pytest.approx(straight.discrimination)
