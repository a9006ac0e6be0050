"""Value, time and outreach are part of the report: in every form, and as the parts compute them."""

import json

import numpy as np
import pandas as pd
import pytest

from chs_ml.errors import RecipeError, TableError
from chs_ml.tiers import Tiers
from chs_ml.validation import (
    Campaign,
    Outreach,
    ValidationReport,
    capture_before_churn,
    expected_maximum_profit,
    expected_maximum_profit_business,
    hysteresis_cost,
    judge_interventions,
    migration_matrix,
    score_history,
    validate,
    value_at_capacity,
)
from chs_ml.validation.bootstrap import Resampling
from chs_ml.validation.plain import to_json
from tests.validation.conftest import Book

FEW = Resampling(replicates=20)
DAYS = pd.Series(pd.date_range("2024-01-31", periods=10, freq="ME"))


def dated(book: Book) -> tuple[np.ndarray, pd.Series, pd.Series]:
    """300 accounts on ten days; churned rows' accounts leave 50 days after their last churned row."""
    account, day = np.arange(3000) % 300, DAYS.iloc[np.arange(3000) // 300].reset_index(drop=True)
    last = day[book.churned == 1].groupby(account[book.churned == 1]).max() + pd.Timedelta(days=50)
    return account, day, pd.Series(account).map(last)


def everything(book: Book) -> ValidationReport:
    account, day, left = dated(book)
    return validate(
        book.churned, score=book.score, probability=book.probability, value=book.value, account=account,
        snapshot_date=day, churn_date=left, treated=np.arange(3000) % 4 == 0, randomised=True,
        outreach=Outreach(capacity=20, campaign=Campaign(incentive=0.05, contact=15)), n_bootstrap=20,
    )  # fmt: skip


def test_every_form_says_everything(book: Book) -> None:
    report = everything(book)
    text, markdown = report.to_text(), report.to_markdown()
    for title in ("Value", "Net benefit", "Seen coming", "Green churn", "False alarms", "Moves between tiers",
                  "Restlessness", "What hysteresis costs", "With and without outreach"):  # fmt: skip
        assert f"\n{title}\n===" in text
        assert f"\n### {title}\n" in markdown
    assert max(map(len, text.splitlines())) <= 100
    assert "nan" not in text + markdown
    plain = json.loads(report.to_json())
    assert ValidationReport.from_dict(plain).to_json() == report.to_json()
    assert ValidationReport.from_dict(plain).to_markdown() == markdown


def test_the_parts_are_those_of_their_own_functions(book: Book) -> None:
    report = everything(book)
    account, day, left = dated(book)
    history = score_history(account, snapshot_date=day, score=book.score)
    churns = left.dropna().groupby(account[left.notna()]).first()
    assert report.time is not None
    assert report.worth is not None
    assert report.time.capture == capture_before_churn(history, churns)
    assert report.time.hysteresis == hysteresis_cost(history, churns)
    assert pd.DataFrame(report.time.migration).T.equals(migration_matrix(history))
    months = day.dt.month.to_numpy()
    assert report.worth.capacity == value_at_capacity(
        book.churned, score=book.score, capacity=20, value=book.value, account=account, period=months,
        resampling=FEW,
    )  # fmt: skip
    assert (report.worth.profit_of, report.worth.profit) == (
        "EMPB",
        expected_maximum_profit_business(
            book.churned, score=book.score, value=book.value, account=account,
            campaign=Campaign(incentive=0.05, contact=15), resampling=FEW,
        ),
    )  # fmt: skip
    treated = np.arange(3000) % 4 == 0
    alone = judge_interventions(
        book.churned, score=book.score, treated=treated, randomised=True, account=account
    )
    assert to_json(report.interventions) == to_json(alone)  # as text: a missing p-value equals no other


def test_one_value_for_all_customers_is_empc(book: Book) -> None:
    campaign = Campaign(incentive=10, contact=1)
    plan = Outreach(campaign=campaign, customer_value=200)
    report = validate(book.churned, score=book.score, outreach=plan, n_bootstrap=20)
    assert report.worth is not None
    assert report.worth.profit_of == "EMPC"
    assert report.worth.profit == expected_maximum_profit(
        book.churned, score=book.score, customer_value=200, campaign=campaign, resampling=FEW
    )
    assert report.worth.net_benefit == ()
    with pytest.raises(TableError, match="needs customer_value, or a column of account values"):
        validate(book.churned, score=book.score, outreach=Outreach(campaign=campaign), n_bootstrap=20)
    with pytest.raises(RecipeError, match="customer_value needs a campaign"):
        Outreach(customer_value=200)


def test_a_history_of_its_own_may_hold_more_accounts(book: Book) -> None:
    account, day, left = dated(book)
    history = score_history(account, snapshot_date=day, score=book.score, tiers=Tiers(), churn_date=left)
    newest = (day == day.max()).to_numpy()
    report = validate(book.churned[newest], score=book.score[newest], history=history, n_bootstrap=20)
    assert report.time is not None
    assert (report.time.accounts, report.time.snapshots) == (300, 3000)
    assert report.time.capture[0].churned == left.groupby(account).first().notna().sum()
    moves = validate(
        book.churned[newest], score=book.score[newest], n_bootstrap=20,
        history=score_history(account, snapshot_date=day, score=book.score),
    ).time  # fmt: skip
    assert moves is not None
    assert moves.capture == ()
    assert moves.flapping == report.time.flapping


def test_churn_dates_are_never_passed_over_in_silence(book: Book) -> None:
    account, day, left = dated(book)
    with pytest.raises(TableError, match="churn_date needs account and snapshot_date"):
        validate(book.churned, score=book.score, churn_date=left, n_bootstrap=20)
    blank = left.where(left.isna())
    report = validate(
        book.churned, score=book.score, account=account, snapshot_date=day, churn_date=blank, n_bootstrap=20
    )
    assert any("Every churn date is blank" in note for note in report.notes)
    assert report.time is not None
    assert report.time.capture == ()
    twice = left.copy()
    twice.iloc[int(np.flatnonzero(left.notna())[0])] += pd.Timedelta(days=1)
    with pytest.raises(TableError, match="must be one day per account; 1 accounts have several"):
        validate(
            book.churned, score=book.score, account=account, snapshot_date=day, churn_date=twice,
            n_bootstrap=20,
        )  # fmt: skip


def test_remarks_join_the_notes(book: Book) -> None:
    report = validate(book.churned, score=book.score, remarks=["No column 'called'."], n_bootstrap=20)
    assert report.notes[-1] == "No column 'called'."
    assert (report.time, report.interventions) == (None, None)
