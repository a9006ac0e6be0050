"""The backtest purges, judges each origin, and pools."""

import numpy as np
import pandas as pd
import pytest

from chs_ml.errors import NotEnoughData, RecipeError
from chs_ml.validation import Policy, Promise, Rules, validate
from chs_ml.validation.bootstrap import Resampling
from chs_ml.validation.rolling import backtest, rolling_origins
from tests.validation.conftest import Book

FEW = Resampling(replicates=30)
DATES = pd.Series(pd.to_datetime("2024-01-31") + pd.to_timedelta(30 * np.arange(12), unit="D"))


def test_no_outcome_window_reaches_over_an_origin() -> None:
    first, second = rolling_origins(
        DATES, origins=["2024-07-01", "2024-10-01"], horizon_days=60, lead_days=15
    )
    start = pd.Timestamp("2024-07-01")
    assert (DATES[first.train] + pd.Timedelta(days=75) < start).all()
    assert first.purged == ((start > DATES) & (DATES + pd.Timedelta(days=75) >= start)).sum() > 0
    assert (DATES[first.test] >= start).all()
    assert DATES[first.test].max() < pd.Timestamp("2024-10-01")
    assert len(first.test) + len(second.test) == (start <= DATES).sum()
    assert set(first.train) < set(second.train)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"origins": []}, "at least one date, rising"),
        ({"origins": ["2024-10-01", "2024-07-01"]}, "at least one date, rising"),
        ({"horizon_days": 0}, "horizon_days must be at least 1"),
    ],
)
def test_wrong_settings_are_refused(change: dict[str, object], message: str) -> None:
    settings = {"origins": ["2024-07-01"], "horizon_days": 30} | change
    with pytest.raises(RecipeError, match=message):
        rolling_origins(DATES, **settings)  # type: ignore[arg-type]


def test_origins_and_pool_are_judged(book: Book) -> None:
    dates = DATES.iloc[np.arange(3000) % 12].reset_index(drop=True)
    seen: list[tuple[int, int]] = []

    def scorer(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append((len(train), len(test)))
        return book.score[test], book.probability[test]

    found = backtest(
        book.churned, scorer, snapshot_date=dates, origins=["2024-06-01", "2024-09-01"], horizon_days=60,
        account=book.account, rules=Rules(resampling=FEW),
    )  # fmt: skip
    assert [o.report.counts.judged for o in found.origins] == [n for _, n in seen]
    assert [o.trained_on for o in found.origins] == [n for n, _ in seen]
    late = (dates >= "2024-06-01").to_numpy()
    alone = validate(
        book.churned[late], score=book.score[late], probability=book.probability[late],
        account=book.account[late], n_bootstrap=30, out_of_time=True,
    )  # fmt: skip
    assert found.pooled.statistics == alone.statistics
    assert len(found.frame()) == 2
    assert max(len(line) for line in str(found).splitlines()) <= 100


def test_origins_that_cannot_be_judged_are_said(book: Book) -> None:
    dates = DATES.iloc[np.arange(3000) % 12].reset_index(drop=True)

    def scorer(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, None]:
        if len(train) == 0:
            raise NotEnoughData("nothing to learn from")
        return book.score[test], None

    found = backtest(
        book.churned, scorer, snapshot_date=dates, origins=["2024-02-01", "2024-09-01"], horizon_days=60,
        rules=Rules(resampling=FEW),
    )  # fmt: skip
    assert found.skipped == ("2024-02-01: nothing to learn from",)
    assert found.pooled.calibration is None
    with pytest.raises(NotEnoughData, match="No origin could be judged"):
        backtest(book.churned, scorer, snapshot_date=dates, origins=["2024-02-01"], horizon_days=60)


def test_the_recipes_rules_hold_at_each_origin_and_for_the_pool(book: Book) -> None:
    dates = DATES.iloc[np.arange(3000) % 12].reset_index(drop=True)
    segment = np.where(np.arange(3000) % 3 == 0, "SMB", "Enterprise")
    rules = Rules.of({
        "bootstrap": 20, "critical_odds_ratio": 1.0, "least_segment": 30,
        "promises": [{"tier": "Healthy", "at_most": 0.01}],
    })  # fmt: skip
    assert (rules.policy, rules.promises) == (
        Policy(critical_odds_ratio=1.0, least_segment=30), (Promise(tier="Healthy", at_most=0.01),)
    )  # fmt: skip
    found = backtest(
        book.churned, lambda _, test: (book.score[test], book.probability[test]), snapshot_date=dates,
        origins=["2024-06-01", "2024-09-01"], horizon_days=60, segment=segment, rules=rules,
    )  # fmt: skip
    for report in (*(origin.report for origin in found.origins), found.pooled):
        assert report.test("critical_odds_ratio").null.endswith("is below 1")
        assert report.test("tier_promise", "Healthy").null.endswith("at most 1.0%")
        assert {row.segment for row in report.segments} == {"SMB", "Enterprise"}
    assert "Promises, origin by origin" in str(found)
