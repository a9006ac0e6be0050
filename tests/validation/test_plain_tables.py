"""Tables are plain, narrow, and say the figures."""

import numpy as np

from chs_ml.validation import (
    capture_before_churn,
    expected_maximum_profit,
    false_alarms,
    hysteresis_cost,
    judge_interventions,
    migration_matrix,
    net_benefit_curve,
    value_at_capacity,
)
from chs_ml.validation.bootstrap import Resampling
from chs_ml.validation.plain_tables import (
    capacity_text,
    capture_text,
    false_alarms_text,
    hysteresis_text,
    intervention_text,
    migration_text,
    net_benefit_text,
    profit_text,
)
from tests.validation.conftest import Book
from tests.validation.test_history import CHURNS, history

FEW = Resampling(replicates=20)


def test_texts_are_narrow_and_complete(book: Book) -> None:
    capacity = value_at_capacity(
        book.churned, score=book.score, capacity=50, value=book.value, resampling=FEW
    )
    profit = expected_maximum_profit(book.churned, score=book.score, resampling=FEW)
    treated = np.arange(3000) % 4 == 0
    texts = {
        "60 days": capture_text(capture_before_churn(history(), CHURNS)),
        "50% of": false_alarms_text(
            false_alarms(history(), CHURNS, as_of="2025-06-30", horizon_days=90)
        ).replace(" %", "%"),
        "At-Risk": migration_text(migration_matrix(history(), shares=True)),
        "points, 1 readings": hysteresis_text(hysteresis_cost(history(), CHURNS)),
        "random calls": capacity_text(capacity),
        "a perfect score": profit_text(profit),
        "Act on all": net_benefit_text(net_benefit_curve(book.churned, probability=book.probability)),
        "Untreated": intervention_text(judge_interventions(book.churned, score=book.score, treated=treated)),
    }
    for words, text in texts.items():
        assert words in text
        assert max(map(len, text.splitlines())) <= 100
        assert "nan" not in text
