"""Certified tiers keep their promise, are not vacuous, and say what they lack."""

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom, binomtest

from chs_ml.errors import NotEnoughData, RecipeError
from chs_ml.tiers import Tiers
from chs_ml.validation import HypothesisTest, Verdict, validate
from chs_ml.validation.certification import (
    Promise,
    certify,
    needed_accounts,
    nested_sizes,
    one_row_per_account,
    strongest_share,
)


def portfolio(seed: int, n: int = 5000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True probabilities with a base rate of 10 % and an AUC of .80, scores in their order, outcomes."""
    rng = np.random.default_rng(seed)
    margin = -2.7806 + 1.288 * rng.normal(size=n)
    truth = expit(margin)
    return truth, 50.0 - 8.0 * (margin + 2.7806), (rng.random(n) < truth).astype(float)


def held(truth: np.ndarray, at_most: float) -> int:
    return int(np.searchsorted(np.cumsum(np.sort(truth)) / np.arange(1, len(truth) + 1), at_most))


@pytest.mark.parametrize(("at_most", "wanted"), [(0.05, 0.8), (0.03, 0.5)])
@pytest.mark.parametrize("with_probability", [True, False])
def test_promise_is_kept_and_not_vacuous(at_most: float, wanted: float, with_probability: bool) -> None:
    shares, broken = [], 0
    for seed in range(60):
        truth, score, churned = portfolio(seed)
        found = certify(
            churned, score=score, at_most=at_most, probability=truth if with_probability else None
        )
        inside = score >= found.lower_bound
        shares.append(inside.sum() / held(truth, at_most) if found.certified else 0.0)
        broken += bool(found.certified and truth[inside].mean() > at_most)
    assert np.mean(shares) >= wanted
    assert broken <= 60 * 0.05 + 2 * np.sqrt(60 * 0.05 * 0.95)


def test_bound_is_exact_and_the_cut_holds_the_set() -> None:
    truth, score, churned = portfolio(1)
    found = certify(churned, score=score, at_most=0.05, probability=truth)
    inside = score >= found.lower_bound
    assert (found.n, found.churned) == (inside.sum(), churned[inside].sum())
    exact = binomtest(found.churned, found.n).proportion_ci(0.90, method="exact")
    assert found.upper_bound == pytest.approx(exact.high)
    assert found.upper_bound <= 0.05
    assert found.sentence.startswith("Certified")
    assert found.tiers() == Tiers(("Healthy", "Critical"), (found.lower_bound, 0.0))


def test_too_few_accounts_are_told_how_many_would_do() -> None:
    truth, score, churned = portfolio(2, n=150)
    found = certify(churned, score=score, at_most=0.03, probability=truth)
    assert not found.certified
    assert np.isnan(found.lower_bound)
    assert found.needed > 150
    assert f"you would need about {found.needed:,} accounts" in found.sentence
    with pytest.raises(RecipeError, match="no certified bound"):
        found.tiers()


def test_a_promise_that_no_number_certifies() -> None:
    rng = np.random.default_rng(0)
    churned = (rng.random(800) < 0.5).astype(float)
    found = certify(churned, score=rng.uniform(1, 99, 800), at_most=0.05, probability=np.full(800, 0.5))
    assert found.needed == -1
    assert "Cannot be certified" in found.sentence


def test_needed_accounts_have_the_power() -> None:
    promise = Promise(tier="Healthy", at_most=0.05)
    n = needed_accounts(0.02, 0.5, promise)
    rng = np.random.default_rng(1)
    churns = rng.binomial(n // 2, 0.02, 4000)
    passed = np.array(
        [binomtest(int(k), n // 2, 0.05, alternative="less").pvalue <= 0.05 for k in churns[:500]]
    )
    assert passed.mean() >= 0.75
    smaller = [binomtest(int(k), n // 3, 0.05, alternative="less").pvalue <= 0.05
               for k in rng.binomial(n // 3, 0.02, 500)]  # fmt: skip
    assert np.mean(smaller) < np.mean(passed)


def test_sequence_starts_with_power_and_never_splits_ties() -> None:
    score = np.repeat([90.0, 80.0, 70.0, 60.0], 25)
    assert nested_sizes(score, 0.3) == [50, 75, 100]
    risk = np.linspace(0.0, 0.2, 1000)
    sizes = np.arange(1, 1001)
    strength = (0.05 - np.cumsum(risk) / sizes) * np.sqrt(sizes)
    assert strongest_share(-risk, risk, 0.05) == sizes[strength.argmax()] / 1000


def test_repeated_accounts_give_one_row_each() -> None:
    account = np.repeat(np.arange(50), 4)
    rows = one_row_per_account(account, np.random.default_rng(0))
    np.testing.assert_array_equal(account[rows], np.arange(50))
    assert len(set(rows % 4)) == 4


def test_promise_is_checked_again() -> None:
    _, score, churned = portfolio(3)
    tiers = Tiers(("Healthy", "Critical"), (50.0, 0.0))
    kept = validate(churned, score=score, tiers=tiers, promises=[Promise(tier="Healthy", at_most=0.06)],
                    n_bootstrap=10)  # fmt: skip
    assert kept.test("tier_promise").verdict is Verdict.PASS
    broken = validate(churned, score=score, tiers=tiers, promises=[Promise(tier="Healthy", at_most=0.02)],
                      n_bootstrap=10)  # fmt: skip
    test = broken.test("tier_promise")
    inside = score >= 50
    expected = binomtest(int(churned[inside].sum()), int(inside.sum()), 0.02, alternative="greater").pvalue
    assert test.verdict is Verdict.FAIL
    assert test.p_value == pytest.approx(expected)
    with pytest.raises(RecipeError, match="Did you mean 'Healthy'"):
        validate(churned, score=score, promises=[Promise(tier="Helthy", at_most=0.1)], n_bootstrap=10)


def test_a_tier_without_any_churn_can_be_certified() -> None:
    found = certify(np.zeros(200), score=np.arange(200.0), at_most=0.05, probability=np.full(200, 0.01))
    assert found.certified
    assert found.share == 1.0


def test_nobody_left_to_certify_is_an_honest_refusal() -> None:
    with pytest.raises(NotEnoughData, match="No account is left"):
        certify([1, 0, 0], score=[1.0, 2.0, 3.0], at_most=0.5, account=["a", "a", "a"])


@pytest.mark.parametrize("wrong", [{"at_most": 0.0}, {"at_most": 0.05, "confidence": 1.0}])
def test_promises_must_be_rates(wrong: dict[str, float]) -> None:
    with pytest.raises(RecipeError, match="must lie between 0 and 1"):
        certify([0, 1], score=[1.0, 2.0], **wrong)


def test_which_rows_certify_is_said() -> None:
    truth, score, churned = portfolio(4, n=600)
    alone = certify(churned, score=score, at_most=0.08, probability=truth)
    assert alone.drawn == "600 accounts with one row each."
    account = np.arange(600) // 3
    repeated = certify(churned, score=score, at_most=0.08, account=account, random_state=5)
    planning = 200 - repeated.accounts
    assert repeated.drawn == (
        f"One row of each of 200 accounts, drawn at random (seed 5) from 600 rows; {planning} of them, drawn "
        "at random (seed 5), chose where testing starts and do not certify."
    )
    again = certify(churned, score=score, at_most=0.08, account=account, random_state=5)
    other = certify(churned, score=score, at_most=0.08, account=account, random_state=6)
    assert again.upper_bound == repeated.upper_bound
    assert other.upper_bound != repeated.upper_bound


# --- promises checked again on few rows ---


def few_rows(n: int, churned: int, at_most: float) -> HypothesisTest:
    """The promise of a tier that holds all n rows, of which so many churned."""
    outcomes = np.r_[np.ones(churned), np.zeros(n - churned), 1.0, 0.0]
    tier = np.array(["Healthy"] * n + ["Critical"] * 2, dtype=object)
    report = validate(
        outcomes, score=np.linspace(99, 1, n + 2), tier=tier, n_bootstrap=2,
        promises=[Promise(tier="Healthy", at_most=at_most)],
    )  # fmt: skip
    return report.test("tier_promise")


@pytest.mark.parametrize(("n", "at_most"), [(12, 0.03), (60, 0.03), (100, 0.05), (30, 0.2)])
def test_a_promise_fails_as_soon_as_the_exact_test_says_so(n: int, at_most: float) -> None:
    """Promise x rows lies below 10 throughout."""
    for churned in range(n + 1):
        test = few_rows(n, churned, at_most)
        expected = binomtest(churned, n, at_most, alternative="greater").pvalue
        assert test.p_value == pytest.approx(expected)
        verdict = "fail" if expected < 0.05 else "warn" if churned / n > at_most else "pass"
        assert test.verdict == verdict


def test_a_promise_that_no_count_could_break_is_not_judged() -> None:
    """Of four rows all may churn under a promise of 50 %: 1/16 is no proof."""
    silent = few_rows(4, 4, 0.5)
    assert silent.verdict is Verdict.NOT_ENOUGH_DATA
    assert "so few accounts could not break it" in silent.sentence
    assert few_rows(5, 5, 0.5).verdict is Verdict.FAIL
    assert few_rows(5, 1, 0.5).sentence.endswith("; 5 would break it.")


@pytest.mark.parametrize("n", [20, 150])
def test_kept_promises_are_seldom_called_broken(n: int) -> None:
    """Exact: the rejection rate at the promise itself stays below 5 %, however few rows are expected."""
    counts = np.arange(n + 1)
    broken = np.array([few_rows(n, k, 0.03).verdict is Verdict.FAIL for k in counts])
    assert binom.pmf(counts, n, 0.03)[broken].sum() <= 0.05
    assert broken.any()
