"""Treated and untreated, side by side."""

import numpy as np
import pytest

from chs_ml.errors import TableError
from chs_ml.validation import Verdict
from chs_ml.validation.intervention import judge_interventions


def rescued_book(seed: int = 0, n: int = 4000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Critical accounts are mostly called, and a call saves two of three."""
    rng = np.random.default_rng(seed)
    score = rng.choice([90.0, 60.0, 20.0], size=n, p=[0.5, 0.3, 0.2])
    risk = np.select([score == 90, score == 60], [0.05, 0.1], 0.45)
    treated = rng.random(n) < np.where(score == 20, 0.6, 0.05)
    risk = np.where(treated, risk / 3, risk)
    return (rng.random(n) < risk).astype(float), score, treated


def test_saves_make_critical_look_safe() -> None:
    churned, score, treated = rescued_book()
    report = judge_interventions(churned, score=score, treated=treated)
    critical = report.tiers[2]
    inside = (score == 20) & treated
    assert (critical.treated, critical.untreated) == (inside.sum(), ((score == 20) & ~treated).sum())
    assert critical.treated_rate == pytest.approx(churned[inside].mean())
    assert critical.untreated_interval.holds(0.45)
    assert report.tests[2].verdict is Verdict.WARN
    assert "not drawn at random" in report.tests[2].sentence
    assert any("saves make Critical look safer" in w for w in report.warnings)
    assert any("understates its risk" in w for w in report.warnings)


def test_a_random_hold_out_shows_an_effect() -> None:
    churned, score, treated = rescued_book()
    report = judge_interventions(churned, score=score, treated=treated, randomised=True)
    assert report.tests[2].verdict is Verdict.PASS
    assert "outreach changed churn" in report.tests[2].sentence


def test_few_treated_rows_keep_the_test_silent() -> None:
    churned, score, _ = rescued_book(n=300)
    treated = np.arange(300) < 8
    report = judge_interventions(churned, score=score, treated=treated)
    assert {t.verdict for t in report.tests} == {Verdict.NOT_ENOUGH_DATA}


def test_everyone_treated_hides_the_risk() -> None:
    churned, score, _ = rescued_book()
    report = judge_interventions(churned, score=score, treated=score == 20)
    assert any("cannot be known" in w for w in report.warnings)
    with pytest.raises(TableError, match="true or false"):
        judge_interventions(churned, score=score, treated=score)
