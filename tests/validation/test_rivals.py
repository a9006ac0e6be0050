"""The single best metric, and the base rate."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from chs_ml.errors import NotEnoughData
from chs_ml.validation import compare
from chs_ml.validation.comparison_values import Ruling
from chs_ml.validation.rivals import single_best_metric
from tests.validation.conftest import Book


def metrics(book: Book) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({
        "noise": rng.normal(size=3000),
        "tickets": book.probability + rng.normal(scale=0.05, size=3000),  # more is worse
        "plan": ["basic"] * 3000,
    })  # fmt: skip


def test_best_metric_is_turned_towards_health(book: Book) -> None:
    frame = metrics(book)
    found = single_best_metric(book.churned, frame)
    assert found.name == "tickets"
    assert found.auc == pytest.approx(roc_auc_score(book.churned, frame["tickets"]))
    np.testing.assert_array_equal(found.score, -frame["tickets"])


def test_missing_values_stand_where_they_churn(book: Book) -> None:
    frame = metrics(book)
    risky = book.probability > np.quantile(book.probability, 0.9)
    frame.loc[risky, "tickets"] = np.nan
    found = single_best_metric(book.churned, frame)
    assert found.score[risky].nunique() == 1
    assert found.score[risky].iloc[0] < found.score[~risky].median()


def test_rivals_join_a_comparison(book: Book) -> None:
    scores = {"learned": book.score, "again": book.score}
    duel = compare(book.churned, scores, metrics=metrics(book), base_rate=True,
                   probabilities={"learned": book.probability}, n_bootstrap=400)  # fmt: skip
    assert [c.name for c in duel.contestants] == ["learned", "again", "best metric: tickets", "base rate"]
    assert duel.difference("base rate").verdict is Ruling.WORSE
    assert duel.difference("base rate", "log_loss").verdict is Ruling.WORSE
    assert duel.difference("best metric: tickets").verdict is Ruling.WORSE


def test_nothing_to_rank_is_refused(book: Book) -> None:
    with pytest.raises(NotEnoughData, match="No numeric metric"):
        single_best_metric(book.churned, metrics(book)[["plan"]])
