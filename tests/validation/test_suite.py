"""The report as a whole: honest, stable, readable, and back from its dictionary."""

import json

import numpy as np
import pandas as pd
import pytest

from chs_ml.errors import BundleError, RecipeError
from chs_ml.validation import ValidationReport, Verdict, compare, validate
from tests.validation.conftest import Book, make_book


def full_report(book: Book) -> ValidationReport:
    rng = np.random.default_rng(0)
    segment = pd.Series(rng.choice(["Enterprise, with a name far too long to print", "SMB", "Tiny"], 3000,
                                   p=[0.5, 0.49, 0.01]))  # fmt: skip
    return validate(
        book.churned,
        score=book.score,
        probability=book.probability,
        value=book.value,
        account=book.account,
        segment=segment,
        new_account=rng.random(3000) < 0.3,
        out_of_time=True,
        n_bootstrap=60,
    )


def test_report_survives_its_dictionary(monthly_book: Book) -> None:
    report = full_report(monthly_book)
    plain = json.loads(report.to_json())
    assert plain == report.to_dict()
    again = ValidationReport.from_dict(plain)
    assert again.to_json() == report.to_json()
    assert again.to_text() == report.to_text()
    assert again.tests[0].verdict is report.tests[0].verdict


def test_a_damaged_dictionary_is_refused(book: Book) -> None:
    plain = validate(book.churned, score=book.score, n_bootstrap=20).to_dict()
    del plain["statistics"]
    with pytest.raises(BundleError, match="ValidationReport must hold the fields"):
        ValidationReport.from_dict(plain)


def test_text_is_plain_and_narrow(monthly_book: Book) -> None:
    text = str(full_report(monthly_book))
    assert max(len(line) for line in text.splitlines()) <= 100
    for words in ("Healthy", "AUC", "Calibration", "Segments", "never seen in training", "Out of time"):
        assert words in text
    assert "nan" not in text
    markdown = full_report(monthly_book).to_markdown()
    assert markdown.startswith("## Validation")
    assert "| :--- | ---: |" in markdown
    titles = (
        "Tiers",
        "Statistics",
        "Calibration",
        "Segments",
        "Accounts never seen in training",
        "Net benefit",
    )
    assert all(f"\n### {title}\n" in markdown for title in titles)


def test_statistics_stand_beside_the_base_rate(book: Book) -> None:
    report = validate(book.churned, score=book.score, probability=book.probability, n_bootstrap=100)
    base = book.churned.mean()
    assert report.statistic("average_precision").reference == pytest.approx(base)
    assert report.statistic("log_loss").reference == pytest.approx(
        -base * np.log(base) - (1 - base) * np.log(1 - base)
    )
    assert report.statistic("brier").reference == pytest.approx(base * (1 - base))
    for statistic in report.statistics:
        assert statistic.interval.holds(statistic.value) == (statistic.name != "ks")
        assert (statistic.n, statistic.events) == (3000, int(book.churned.sum()))
    assert report.statistic("gini").value == pytest.approx(2 * report.statistic("auc").value - 1)
    with pytest.raises(KeyError, match="there are auc"):
        report.statistic("accuracy")
    assert set(report.statistics_frame().columns) >= {"value", "low", "high", "reference"}
    assert "verdict" in report.tests_frame()


def test_without_probability_nothing_is_said_about_calibration(book: Book) -> None:
    report = validate(book.churned, score=book.score, n_bootstrap=20)
    assert report.calibration is None
    assert not {"log_loss", "brier"} & {s.name for s in report.statistics}
    assert not any(t.name.startswith(("calibration", "predicted", "hosmer")) for t in report.tests)


def test_new_accounts_are_judged_alone(book: Book) -> None:
    fresh = np.arange(3000) % 3 == 0
    report = validate(book.churned, score=book.score, new_account=fresh, n_bootstrap=40)
    alone = validate(book.churned[fresh], score=book.score[fresh], n_bootstrap=40)
    assert report.new_accounts == alone.statistics
    none = validate(book.churned, score=book.score, new_account=np.zeros(3000, dtype=bool), n_bootstrap=20)
    assert none.new_accounts == ()
    assert any("never saw" in note for note in none.notes)


def test_miscalibration_is_named(book: Book) -> None:
    odds = 8 * book.probability / (1 - book.probability)
    report = validate(book.churned, score=book.score, probability=odds / (1 + odds), n_bootstrap=20)
    assert report.test("calibration_mean").verdict is Verdict.FAIL
    assert "Miscalibrated, too high" in report.test("calibration_mean").sentence
    timid = validate(
        book.churned, score=book.score, probability=0.5 * book.probability + 0.5 * book.probability.mean(),
        n_bootstrap=20,
    )  # fmt: skip
    assert "too timid" in timid.test("calibration_slope").sentence


def test_a_slope_that_might_be_anything_is_not_called_right() -> None:
    rng = np.random.default_rng(0)
    probability = rng.normal(0.2, 0.01, 300).clip(0.15, 0.25)
    report = validate(
        (rng.random(300) < 0.2).astype(int), score=100 * (1 - probability), probability=probability,
        n_bootstrap=60,
    )  # fmt: skip
    slope = report.test("calibration_slope")
    assert slope.interval.low < 0.0
    assert slope.interval.high > 1.0
    assert slope.verdict is Verdict.PASS
    assert "not shown to be wrong, nor to be right" in slope.sentence


def test_a_score_that_is_a_risk_is_named(book: Book) -> None:
    test = validate(book.churned, score=100 - book.score, n_bootstrap=60).test("ranks")
    assert test.verdict is Verdict.FAIL
    assert "wrong way round" in test.sentence


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"n_bootstrap": 0}, "n_bootstrap must be at least 2"),
        ({"level": 1.5}, "level must lie between 0 and 1"),
    ],
)
def test_settings_out_of_range_are_refused(book: Book, setting: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        validate(book.churned, score=book.score, **setting)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=message):
        compare(book.churned, {"a": book.score, "b": book.score}, **setting)  # type: ignore[arg-type]


def test_small_books_get_no_verdict() -> None:
    book = make_book(60, seed=3)
    report = validate(book.churned, score=book.score, probability=book.probability, n_bootstrap=50)
    assert report.verdict is Verdict.NOT_ENOUGH_DATA
    assert {t.verdict for t in report.tests} <= {Verdict.NOT_ENOUGH_DATA, Verdict.PASS, Verdict.WARN}


def test_true_nulls_are_rejected_at_the_nominal_rate() -> None:
    """Calibrated books of 600: each headline test of calibration rejects about 5 %."""
    names = ("calibration_mean", "calibration_slope", "hosmer_lemeshow")
    rejected = dict.fromkeys(names, 0)
    spoke = dict.fromkeys(names, 0)
    for seed in range(200):
        book = make_book(1500, seed=1000 + seed, base=0.2)
        report = validate(book.churned, score=book.score, probability=book.probability, n_bootstrap=2)
        for name in names:
            test = report.test(name)
            spoke[name] += test.spoke
            rejected[name] += test.p_value < 0.05
    for name in names:
        assert rejected[name] / spoke[name] <= 0.065 + 2 * np.sqrt(0.05 * 0.95 / spoke[name]), name
