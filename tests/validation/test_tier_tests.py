"""Tiers with known truth: good, alike, swapped, and too few."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from chs_ml.errors import TableError
from chs_ml.tiers import Tiers
from chs_ml.validation import Policy, Verdict, validate
from chs_ml.validation.result import holm
from tests.validation.conftest import Book, make_book

NAMES = ("Healthy", "At-Risk", "Critical")


def card(rates: tuple[float, float, float], *, n: int, seed: int = 0) -> tuple[np.ndarray, pd.Categorical]:
    rng = np.random.default_rng(seed)
    codes = rng.choice(3, size=n, p=[0.5, 0.3, 0.2])
    churned = (rng.random(n) < np.array(rates)[codes]).astype(float)
    return churned, pd.Categorical.from_codes(codes, categories=list(NAMES), ordered=True)


def judged(rates: tuple[float, float, float], *, n: int = 3000, seed: int = 0):
    churned, tier = card(rates, n=n, seed=seed)
    score = 90.0 - 30.0 * np.asarray(tier.codes)
    return validate(churned, score=score, tier=tier, n_bootstrap=50)


def test_a_good_card_passes() -> None:
    report = judged((0.03, 0.10, 0.35))
    assert report.test("ordered").verdict is Verdict.PASS
    assert [t.verdict for t in report.tests if t.name == "separated"] == [Verdict.PASS] * 2
    assert report.test("critical_odds_ratio").verdict is Verdict.PASS
    assert report.verdict is Verdict.PASS


def test_tiers_that_churn_alike_are_not_separated() -> None:
    report = judged((0.08, 0.08, 0.30))
    test = report.test("separated", "Healthy / At-Risk")
    assert test.verdict is Verdict.FAIL
    assert "Not separated" in test.sentence
    assert test.interval.holds(0.0)
    assert report.test("separated", "At-Risk / Critical").verdict is Verdict.PASS


def test_little_data_says_that_separation_is_not_shown() -> None:
    verdicts = {judged((0.10, 0.10, 0.30), n=500, seed=s).test("separated").verdict for s in range(6)}
    assert Verdict.WARN in verdicts
    assert Verdict.PASS not in verdicts


def test_swapped_tiers_fail_the_order() -> None:
    report = judged((0.03, 0.30, 0.10))
    assert report.test("ordered").verdict is Verdict.FAIL
    assert "Critical churns less than At-Risk" in report.test("ordered").sentence
    assert report.test("separated", "At-Risk / Critical").verdict is Verdict.FAIL
    assert report.verdict is Verdict.FAIL


@pytest.mark.parametrize("rates", [(0.03, 0.10, 0.35), (0.08, 0.08, 0.30), (0.03, 0.30, 0.10)])
def test_sixty_accounts_are_never_enough(rates: tuple[float, float, float]) -> None:
    for seed in range(10):
        report = judged(rates, n=60, seed=seed)
        for name in ("enough_data", "ordered", "separated", "critical_odds_ratio"):
            assert report.test(name).verdict is Verdict.NOT_ENOUGH_DATA
        assert report.verdict is Verdict.NOT_ENOUGH_DATA


def test_hosmer_lemeshow_is_its_closed_form(book: Book) -> None:
    report = validate(book.churned, score=book.score, probability=book.probability, n_bootstrap=20)
    codes = np.asarray(Tiers().assign(book.score).codes)
    expected = 0.0
    for code in range(3):
        p, y = book.probability[codes == code], book.churned[codes == code]
        expected += (y.sum() - p.sum()) ** 2 / (len(p) * p.mean() * (1 - p.mean()))
    test = report.test("hosmer_lemeshow")
    assert test.statistic == pytest.approx(expected)
    assert test.p_value == pytest.approx(chi2.sf(expected, 3))


def test_predicted_churn_is_judged_per_tier(book: Book) -> None:
    right = validate(book.churned, score=book.score, probability=book.probability, n_bootstrap=20)
    assert {t.verdict for t in right.tests if t.name == "predicted_jeffreys"} <= {
        Verdict.PASS, Verdict.NOT_ENOUGH_DATA,
    }  # fmt: skip
    wrong = validate(book.churned, score=book.score, probability=book.probability / 2, n_bootstrap=20)
    test = wrong.test("predicted_jeffreys", "Critical")
    assert test.verdict is Verdict.FAIL
    assert "more than predicted" in test.sentence
    assert wrong.test("predicted_binomial", "Critical").verdict is Verdict.FAIL
    assert wrong.test("hosmer_lemeshow").verdict is Verdict.FAIL


def test_repeated_accounts_are_discounted(monthly_book: Book) -> None:
    clustered = validate(
        monthly_book.churned, score=monthly_book.score, account=monthly_book.account, n_bootstrap=50
    )
    alone = validate(monthly_book.churned, score=monthly_book.score, n_bootstrap=50)
    for inside, outside in zip(clustered.tiers, alone.tiers, strict=True):
        assert inside.churn_rate == outside.churn_rate
        assert inside.design_effect >= 1.0
        assert inside.accounts < inside.rows == outside.accounts
    assert clustered.tiers[2].design_effect > 1.2


def test_tier_rows_add_up(book: Book) -> None:
    report = validate(
        book.churned, score=book.score, probability=book.probability, value=book.value, n_bootstrap=20
    )
    frame = report.tier_frame()
    assert frame["rows"].sum() == 3000
    assert frame["churned"].sum() == book.churned.sum()
    assert frame["share_of_value"].sum() == pytest.approx(1.0)
    assert frame["value_lost"].sum() == pytest.approx((book.value * book.churned).sum())
    inside = book.score >= 75
    assert frame.loc["Healthy", "predicted"] == pytest.approx(book.probability[inside].mean())
    assert frame.loc["Healthy", "lift"] == pytest.approx(book.churned[inside].mean() / book.churned.mean())
    assert report.test("ordered_by_value").verdict in (Verdict.PASS, Verdict.WARN)


def test_concentration() -> None:
    churned, _ = card((0.1, 0.1, 0.1), n=600)
    score = np.r_[np.full(540, 90.0), np.full(30, 60.0), np.full(30, 10.0)]
    report = validate(churned, score=score, n_bootstrap=20)
    assert report.test("share_healthy").verdict is Verdict.WARN
    assert report.test("concentration").statistic == pytest.approx(0.9**2 + 2 * 0.05**2)
    assert report.test("concentration").verdict is Verdict.WARN


def test_odds_ratio_against_the_base_rate_and_lift_on_request() -> None:
    churned, tier = card((0.03, 0.10, 0.35), n=3000)
    score = 90.0 - 30.0 * np.asarray(tier.codes)
    test = validate(churned, score=score, n_bootstrap=20).test("critical_odds_ratio")
    rate, base = churned[score == 30.0].mean(), churned.mean()
    assert test.statistic == pytest.approx(rate / (1 - rate) / (base / (1 - base)))
    asked = validate(churned, score=score, n_bootstrap=20, policy=Policy(critical_lift=3.0)).test(
        "critical_lift"
    )
    assert asked.statistic == pytest.approx(rate / base)


def test_foreign_tier_names_are_ordered_by_score_and_said() -> None:
    churned, tier = card((0.03, 0.10, 0.35), n=3000)
    colours = np.array(["Green", "Yellow", "Red"])[np.asarray(tier.codes)]
    report = validate(churned, score=9.0 - 3.0 * np.asarray(tier.codes), tier=colours, n_bootstrap=20)
    assert [row.tier for row in report.tiers] == ["Green", "Yellow", "Red"]
    assert any("ordered by their mean score" in note for note in report.notes)
    with pytest.raises(TableError, match="Did you mean"):
        validate(churned, score=churned, tier=np.where(colours == "Red", "Healthy", "At Risk"), tiers=Tiers())


def test_scores_on_another_scale_are_not_cut() -> None:
    book = make_book(400, seed=0)
    report = validate(book.churned, score=-book.probability, n_bootstrap=20)
    assert report.tiers == ()
    assert any("not on the 0-100 scale" in note for note in report.notes)


def test_holm_is_step_down() -> None:
    assert holm([0.01, float("nan"), 0.04, 0.03]) == pytest.approx(
        [0.03, float("nan"), 0.06, 0.06], nan_ok=True
    )
