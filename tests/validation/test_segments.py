"""Segments: shrinkage, minimum size, Holm."""

import numpy as np
import pytest

from chs_ml.validation import Verdict, validate
from chs_ml.validation.intervals import Rate
from chs_ml.validation.result import Interval
from chs_ml.validation.segments import shrunken_rates
from tests.validation.conftest import Book


def rate(events: int, n: int) -> Rate:
    return Rate(events / n, Interval(), n, events, n, 1.0, float(n))


def test_segments_that_differ_by_chance_get_the_base_rate() -> None:
    assert shrunken_rates([rate(10, 100), rate(11, 100)], 0.105) == pytest.approx([0.105, 0.105])


def test_large_segments_keep_their_rate_and_small_ones_move() -> None:
    rates = [rate(50, 1000), rate(300, 1000), rate(4, 10)]
    base = 354 / 2010
    found = shrunken_rates(rates, base)
    assert found[0] == pytest.approx(0.05, abs=0.005)
    assert abs(found[2] - 0.4) > 5 * abs(found[1] - 0.3)
    assert base < found[2] < 0.4


def test_segments_are_judged_where_they_have_enough_rows(book: Book) -> None:
    segment = np.where(np.arange(3000) < 20, "tiny", np.where(np.arange(3000) < 1500, "one", "other"))
    report = validate(
        book.churned, score=book.score, probability=book.probability, segment=segment, n_bootstrap=20
    )
    by_name = {row.segment: row for row in report.segments}
    assert [row.segment for row in report.segments] == ["other", "one", "tiny"]
    assert by_name["tiny"].verdict is Verdict.NOT_ENOUGH_DATA
    assert np.isnan(by_name["tiny"].auc)
    assert by_name["one"].verdict is Verdict.PASS
    assert by_name["one"].auc_interval.holds(by_name["one"].auc)


def test_a_segment_that_churns_otherwise_is_found(book: Book) -> None:
    segment = np.where(np.arange(3000) % 2 == 0, "even", "odd")
    probability = np.where(segment == "even", book.probability, np.minimum(2.5 * book.probability, 0.99))
    report = validate(
        book.churned, score=book.score, probability=probability, segment=segment, n_bootstrap=20
    )
    verdicts = {row.segment: row.verdict for row in report.segments}
    assert verdicts == {"even": Verdict.PASS, "odd": Verdict.FAIL}
