"""Checks of single columns: kinds, leaks, identifiers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from chs_ml import checks
from chs_ml.errors import TableError
from chs_ml.findings import error, raise_errors, warning
from chs_ml.metric import Direction, Kind, Metric

NUMBERS = [str(i) for i in range(96)]
KINDS = [
    ([1.5, 2.0, np.nan], Kind.NUMBER),
    ([0, 1, 1], Kind.YES_NO),
    ([1, 1, 1], Kind.NUMBER),
    (pd.array([0, 1, None], dtype="Int64"), Kind.YES_NO),
    (pd.array([5, 1, None], dtype="Int64"), Kind.NUMBER),
    ([True, False, True], Kind.YES_NO),
    (pd.array([True, None], dtype="boolean"), Kind.YES_NO),
    (pd.to_datetime(["2024-01-31", "2024-02-29"]), Kind.DATE),
    (["Yes", "no", None, " "], Kind.YES_NO),
    (["T", "F"], Kind.YES_NO),
    (["0", "1", "1"], Kind.YES_NO),
    (["Yes", "No", "No internet service"], Kind.CATEGORY),
    (["Yes", "Yes"], Kind.CATEGORY),
    (["1.5", " 2 ", "n/a", None], Kind.NUMBER),
    ([*NUMBERS, "a", "b", "c", "d"], Kind.NUMBER),
    ([*NUMBERS, "a", "b", "c", "d", "e", "f"], Kind.CATEGORY),
    (["a", *NUMBERS], Kind.NUMBER),
    (["2024-01-31", "2024-02-29T10:00:00", None], Kind.DATE),
    (["2024-01-31", "2024-13-45"], Kind.CATEGORY),
    (["a", "b"], Kind.CATEGORY),
    (pd.Categorical(["a", "b"]), Kind.CATEGORY),
    (pd.Categorical([3, 7]), Kind.NUMBER),
    ([None, None], Kind.NUMBER),
    ([[1], [2]], Kind.CATEGORY),
]


@pytest.mark.parametrize(("values", "kind"), KINDS)
def test_infer_kind(values: object, kind: Kind) -> None:
    assert checks.infer_kind(pd.Series(values)) is kind


COLUMN = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 2.0, np.nan]), st.booleans()), min_size=4, max_size=40
).filter(lambda rows: len({churned for _, churned in rows}) == 2)


@given(rows=COLUMN)
def test_rank_auc_against_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    values, churned = np.array([row[0] for row in rows]), np.array([float(row[1]) for row in rows])
    ends = [roc_auc_score(churned, np.nan_to_num(values, nan=end)) for end in (-9.0, 9.0)]
    expected = max([*ends, *(1.0 - auc for auc in ends)])
    assert checks.rank_auc(values, churned) == pytest.approx(expected, abs=1e-12)


def test_category_auc_against_rates_of_the_other_half() -> None:
    rng = np.random.default_rng(0)
    codes, half = rng.integers(-1, 4, 400), rng.random(400) < 0.5
    churned = (rng.random(400) < 0.1 + 0.2 * (codes == 2)).astype(float)
    aucs = []
    for rows in (half, ~half):
        base = churned[~rows].mean()
        rate = {c: (churned[~rows & (codes == c)].sum() + base) / ((~rows & (codes == c)).sum() + 1)
                for c in range(-1, 4)}  # fmt: skip
        aucs.append(roc_auc_score(churned[rows], [rate[c] for c in codes[rows]]))
    assert checks.category_auc(codes, churned, half=half) == pytest.approx(np.mean(aucs), abs=1e-12)


def test_many_small_categories_are_no_leak() -> None:
    rng = np.random.default_rng(0)
    codes, churned = rng.integers(0, 800, 2000), (rng.random(2000) < 0.2).astype(float)
    in_sample = pd.Series(churned).groupby(codes).transform("mean")
    assert roc_auc_score(churned, in_sample) > 0.85
    assert checks.category_auc(codes, churned, half=rng.random(2000) < 0.5) < 0.6


def test_few_churns_accuse_nobody() -> None:
    churned = np.r_[np.ones(9), np.zeros(91)]
    metric, half = Metric(name="x"), np.arange(100) % 2 == 0
    assert np.isnan(checks.single_auc(metric, values=churned, churned=churned, half=half))
    assert checks.check_leak("x", float("nan")) == []
    enough = np.r_[np.ones(10), np.zeros(90), np.full(5, np.nan)]
    half = np.arange(105) % 2 == 0
    assert checks.single_auc(metric, values=np.arange(105.0), churned=enough, half=half) == 1.0


@pytest.mark.parametrize(
    ("auc", "codes"),
    [(0.899, []), (0.9, ["strong-alone"]), (0.989, ["strong-alone"]), (0.99, ["suspected-leak"])],
)
def test_leak_levels(auc: float, codes: list[str]) -> None:
    found = checks.check_leak("reason", auc)
    assert [finding.code for finding in found] == codes
    assert all(f"{auc:.3f}" in finding.message and finding.subject == "reason" for finding in found)


IDENTIFIERS = [
    ([f"name {i}" for i in range(60)], Kind.CATEGORY, True),
    ([f"name {i}" for i in range(49)], Kind.CATEGORY, False),
    ([f"name {i}" for i in range(56)] * 2, Kind.CATEGORY, False),
    ([f"name {min(i, 97)}" for i in range(100)], Kind.CATEGORY, True),
    (list(np.random.default_rng(0).permutation(100) + 7.0), Kind.NUMBER, True),
    (list(np.arange(100.0) * 2), Kind.NUMBER, False),
    (list(np.arange(100.0) / 2), Kind.NUMBER, False),
    ([*np.arange(99.0), 5.0], Kind.NUMBER, False),
    ([*np.arange(98.0), 99.0, 100.0], Kind.NUMBER, True),
]


@pytest.mark.parametrize(("values", "kind", "expected"), IDENTIFIERS)
def test_identifiers(values: list[object], kind: Kind, expected: bool) -> None:
    read = np.array(values, dtype=object if kind is Kind.CATEGORY else float)
    assert checks.is_identifier(pd.factorize(read)[0], read, kind) is expected


def test_counts_of_blank_unreadable_and_infinite_values() -> None:
    series = pd.Series(["1", " ", None, "many", "-inf", "Infinity", "2"])
    values = np.array([1, np.nan, np.nan, np.nan, np.nan, np.nan, 2])
    bad = np.array([False, False, False, True, True, True, False])
    found = checks.check_values("x", series, values=values, unreadable=bad)
    assert {finding.code: finding.count for finding in found} == {
        "infinite-values": 2,
        "unreadable-values": 1,
        "blank-values": 2,
    }
    assert "'many'" in found[1].message


def test_direction_on_a_category() -> None:
    metric = Metric(name="plan", kind=Kind.CATEGORY, direction=Direction.HIGHER)
    assert [finding.severity for finding in checks.check_direction(metric)] == ["error"]
    assert checks.check_direction(Metric(name="x", direction=Direction.HIGHER)) == []


def test_errors_are_joined() -> None:
    raise_errors([warning("w", "a", "fine")])
    with pytest.raises(TableError, match=r"^one\.$"):
        raise_errors([warning("w", "a", "fine"), error("e", "a", "one.")])
    with pytest.raises(TableError, match=r"for 2 reasons:\n- one\.\n- two\."):
        raise_errors([error("e", "a", "one."), error("e", "b", "two.")])
