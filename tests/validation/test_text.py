"""Plain text of numbers and tables."""

import pytest

from chs_ml.validation.result import Interval
from chs_ml.validation.text import (
    amount,
    clipped,
    interval_text,
    number,
    p_text,
    percent,
    percent_interval,
    range_text,
    rows_text,
    table,
)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(-0.0001, decimals=2), "0.00"),
        (number(-0.01, decimals=2), "-0.01"),
        (number(float("nan")), "–"),
        (percent(0.123), "12.3 %"),
        (percent(-0.00001), "0.0 %"),
        (percent(float("nan")), "–"),
        (amount(1234567.4), "1,234,567"),
        (p_text(0.0001), "< 0.001"),
        (p_text(0.0421), "0.042"),
        (interval_text(Interval(-0.0001, 0.5)), "0.000 to 0.500"),
        (percent_interval(Interval(0.1, 0.25)), "10.0 to 25.0 %"),
        (percent_interval(Interval()), "–"),
        (clipped("abcdef", 4), "abc…"),
    ],
)
def test_numbers_read_well(shown: str, expected: str) -> None:
    assert shown == expected


def test_table_aligns_first_left_and_others_right() -> None:
    assert table(["Tier", "n"], [["Healthy", "5"], ["Red", "10"]]).splitlines() == [
        "Tier      n",
        "-------  --",
        "Healthy   5",
        "Red      10",
    ]


def test_rows_and_ranges_in_words() -> None:
    assert rows_text(1200, 1200) == "1,200 accounts"
    assert rows_text(1200, 100) == "1,200 snapshots of 100 accounts"
    assert range_text(float("-inf"), 5.0) == "up to 5"
    assert range_text(5.0, 7.5) == "5 to 7.5"
    assert range_text(7.5, float("inf")) == "above 7.5"
