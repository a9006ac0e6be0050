"""The health model: the same number for an account alone or among many, and a status for every row."""

from dataclasses import replace
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from chs_ml.errors import TableError
from chs_ml.health_model import HealthModel
from chs_ml.scale import AnchoredScale, NativeScale, RetentionScale
from chs_ml.tree_ensemble import TreeEnsemble
from tests.small_portfolio import METRICS, blend_model, card_model, judged_model, small_table

COLUMNS = [
    "account_id",
    "snapshot_date",
    "churn_probability",
    "health_score",
    "tier",
    "coverage",
    "status",
    "status_detail",
    "owner",
]


@pytest.fixture(scope="module")
def model() -> HealthModel:
    return blend_model()


@pytest.fixture(scope="module")
def fresh() -> pd.DataFrame:
    """Rows that training did not see, with surprises in some."""
    frame = (
        small_table(rows=5000, seed=77).drop(columns="churned").astype({"tickets": object, "usage": object})
    )
    frame.loc[3, "tickets"] = None
    frame.loc[4, "tickets"] = "many"
    frame.loc[5, "usage"] = np.inf
    frame.loc[6, "plan"] = "enterprise"
    frame.loc[7, list(METRICS)] = None
    return frame


def same(a: pd.DataFrame, b: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(a, b, check_exact=True)


# --- the numbers ---


def test_the_margin_is_the_blend_of_card_and_trees(model: HealthModel, fresh: pd.DataFrame) -> None:
    values = model.encode(fresh).values
    assert model.trees is not None
    assert model.blend.points > 0
    assert model.blend.trees > 0
    card = np.zeros(len(values))
    for k, measure in enumerate(model.card.measures):
        card += model.card.weights[k] * measure.curve.evaluate(values[:, k])
    trees = np.mean(
        [lgb.Booster(model_str=t).predict(values, raw_score=True) for t in model.trees.models], axis=0
    )
    by_hand = model.blend.intercept - model.blend.points * card + model.blend.trees * trees
    np.testing.assert_allclose(model.margin(values), by_hand, atol=1e-10)
    scores = model.score(fresh)
    ok = scores["health_score"].notna().to_numpy()
    np.testing.assert_allclose(scores["churn_probability"][ok], expit(by_hand[ok]), atol=1e-10)
    np.testing.assert_allclose(scores["health_score"][ok], model.scale.score(by_hand[ok]), atol=1e-8)
    expected = pd.cut(
        scores["health_score"][ok], [-1, 50, 75, 101], right=False, labels=["Critical", "At-Risk", "Healthy"]
    )
    assert scores["tier"][ok].tolist() == expected.tolist()
    np.testing.assert_allclose(scores["coverage"], np.round((~np.isnan(values)).mean(axis=1), 9))


def test_it_is_calibrated_in_the_large_and_ranks_on_rows_it_did_not_see(
    model: HealthModel, fresh: pd.DataFrame
) -> None:
    churned = small_table(rows=5000, seed=77)["churned"].to_numpy()
    p = model.score(fresh)["churn_probability"].to_numpy()
    ok = ~np.isnan(p)
    assert p[ok].mean() == pytest.approx(churned[ok].mean(), abs=0.03)
    assert p[ok][churned[ok] == 1].mean() - p[ok][churned[ok] == 0].mean() > 0.2


def test_numbers_are_rounded_once(model: HealthModel, fresh: pd.DataFrame) -> None:
    scores = model.score(fresh).dropna(subset="health_score")
    for column, decimals in (("churn_probability", 12), ("health_score", 9)):
        values = scores[column].to_numpy()
        np.testing.assert_array_equal(values, np.round(values, decimals))
    assert scores["churn_probability"].between(0, 1, inclusive="neither").all()
    assert scores["health_score"].between(0, 100, inclusive="neither").all()


# --- one row is as many ---


@pytest.mark.parametrize("build", [blend_model, card_model])
def test_a_row_alone_or_among_few_has_the_bits_it_has_among_many(build: Any, fresh: pd.DataFrame) -> None:
    model = build()
    together = model.score(fresh)
    for i in [*range(12), *range(100, 5000, 211)]:
        same(model.score(fresh.iloc[[i]]), together.iloc[[i]])
    same(model.score(fresh.iloc[:30]), together.iloc[:30])


def test_rows_and_columns_in_any_order_and_others_beside_them(
    model: HealthModel, fresh: pd.DataFrame
) -> None:
    together = model.score(fresh)
    order = np.random.default_rng(0).permutation(len(fresh))
    shuffled = fresh[fresh.columns[::-1]].assign(extra=np.inf, more="x").iloc[order]
    same(model.score(shuffled), together.iloc[order])


def test_blocks_do_not_change_a_bit(
    model: HealthModel, fresh: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = model.encode(fresh).values
    whole = model.margin(values)
    monkeypatch.setattr("chs_ml.health_model.BLOCK_ROWS", 333)
    np.testing.assert_array_equal(model.margin(values), whole)


def as_plain(row: pd.Series) -> dict[str, Any]:
    names = [name for name in COLUMNS if name not in ("account_id", "snapshot_date", "owner")]
    return {name: None if pd.isna(row[name]) else row[name] for name in names}


def test_one_account_as_a_mapping(model: HealthModel, fresh: pd.DataFrame) -> None:
    together = model.score(fresh)
    for i in range(60):
        told = model.score(fresh.iloc[i].to_dict())
        assert {name: told[name] for name in as_plain(together.iloc[i])} == as_plain(together.iloc[i])


def test_a_list_of_mappings_is_a_table(model: HealthModel, fresh: pd.DataFrame) -> None:
    rows = fresh.iloc[:20]
    told = model.score(rows.to_dict("records"))
    pd.testing.assert_frame_equal(
        told, model.score(rows).reset_index(drop=True), check_dtype=False, check_exact=True
    )


DTYPES: list[dict[str, str]] = [
    {"tickets": "Int64"},
    {"tickets": "int8"},
    {"tickets": "float32"},
    {"tickets": "str"},
    {"tickets": "category"},
    {"tickets": "int64[pyarrow]"},
    {"plan": "category"},
    {"plan": "string[pyarrow]"},
    {"plan": "object"},
    {"auto_renew": "category"},
    {"last_login": "datetime64[ns]"},
    {"last_login": "str"},
    {"month": "str"},
    {"nps": "Int64"},
    {"nps": "str"},
]


@pytest.mark.parametrize("dtypes", DTYPES, ids=str)
def test_every_dtype_scores_alike(model: HealthModel, dtypes: dict[str, str]) -> None:
    frame = small_table(rows=200, seed=5)
    expected = model.score(frame).drop(columns="snapshot_date")
    same(model.score(frame.astype(dtypes)).drop(columns="snapshot_date"), expected)


@pytest.mark.parametrize("values", [[True, False], ["Yes", "No"], [1, 0], ["1", "0"], [1.0, 0.0]], ids=str)
def test_yes_and_no_in_any_words_score_alike(model: HealthModel, values: list[Any]) -> None:
    frame = small_table(rows=100, seed=5)
    other = frame.assign(auto_renew=frame["auto_renew"].map(dict(zip(["yes", "no"], values, strict=True))))
    same(model.score(other), model.score(frame))


CELL = (
    st.none()
    | st.floats()
    | st.integers(-(10**20), 10**20)
    | st.text(max_size=5)
    | st.booleans()
    | st.sampled_from(
        [
            "basic",
            "yes",
            "2024-03-01",
            "1e3",
            "inf",
            pd.NA,
            pd.NaT,
            [1],
            {"a": 1},
            pd.Timestamp("2024-03-01", tz="UTC"),
        ]
    )
)


@settings(max_examples=60)
@given(cells=st.lists(CELL, min_size=6, max_size=6))
def test_whatever_stands_in_a_row_it_is_scored_or_says_why_not(cells: list[Any]) -> None:
    model = blend_model()
    row = {**dict(zip(METRICS, cells, strict=True)), "month": "2024-03-31", "account": "A", "owner": "x"}
    told = model.score(row)
    assert told["status"] in ("ok", "degraded", "withheld", "invalid")
    scored = told["status"] in ("ok", "degraded")
    assert (told["health_score"] is not None) == (told["tier"] is not None) == scored
    assert scored or told["status_detail"]
    frame = pd.DataFrame({name: pd.Series([value] * 12, dtype=object) for name, value in row.items()})
    many = model.score(frame)
    for i in (0, 11):
        assert {name: told[name] for name in as_plain(many.iloc[i])} == as_plain(many.iloc[i])


# --- statuses ---


def test_statuses(model: HealthModel, fresh: pd.DataFrame) -> None:
    scores = model.score(fresh)
    assert scores.loc[3:7, "status"].tolist() == ["degraded", "invalid", "invalid", "degraded", "withheld"]
    details = scores.loc[3:7, "status_detail"]
    for detail, words in zip(
        details, ["missing: tickets", "unreadable or infinite: tickets", "unreadable or infinite: usage",
                  "unseen category: plan", "no metric has a value"], strict=True
    ):  # fmt: skip
        assert words in detail
    assert scores.loc[[4, 5, 7], ["churn_probability", "health_score", "tier"]].isna().all(axis=None)
    assert scores.loc[[3, 6], "health_score"].notna().all()
    assert scores.loc[7, "coverage"] == 0.0
    untouched = scores.drop(index=range(3, 8))
    assert set(untouched["status"]) == {"ok"}  # training lacked usage, nps and plan too
    assert set(untouched["status_detail"]) == {""}


def test_an_optional_metric_may_be_absent_and_a_required_one_names_itself(
    model: HealthModel, fresh: pd.DataFrame
) -> None:
    scores = model.score(fresh.drop(columns="nps"))
    assert scores["status_detail"].str.contains("missing: nps").all()
    assert set(scores["status"]) == {"degraded", "invalid", "withheld"}
    blank = model.score(fresh.assign(nps=np.nan))
    np.testing.assert_array_equal(scores["health_score"], blank["health_score"])
    for table in (fresh.drop(columns="usage"), fresh.iloc[0].drop("usage").to_dict()):
        with pytest.raises(TableError, match=r"required metric; 1 of 5 missing: 'usage'"):
            model.score(table)


def test_the_coverage_floor_withholds(model: HealthModel) -> None:
    strict = replace(model, coverage_floor=0.9)
    frame = small_table(rows=300, seed=5)
    scores = strict.score(frame)
    known = frame[list(METRICS)].notna().mean(axis=1)
    assert ((scores["status"] == "withheld") == (known < 0.9)).all()
    assert (scores.loc[known < 0.9, "status_detail"].str.contains("coverage below 90%")).all()
    assert scores.loc[known < 0.9, "health_score"].isna().all()
    same(scores[known >= 0.9], model.score(frame)[known >= 0.9])


# --- what is carried ---


def test_keys_and_kept_columns_and_the_index_are_carried(model: HealthModel) -> None:
    frame = small_table(rows=20, seed=1).set_index(pd.Index(range(100, 80, -1), name="row"))
    before = frame.copy(deep=True)
    scores = model.score(frame)
    assert list(scores.columns) == COLUMNS
    assert scores.index.equals(frame.index)
    assert scores.index.name == "row"
    for ours, theirs in (("account_id", "account"), ("snapshot_date", "month"), ("owner", "owner")):
        pd.testing.assert_series_equal(scores[ours], frame[theirs], check_names=False)
    pd.testing.assert_frame_equal(frame, before)
    scores.loc[:, "owner"] = "changed"
    pd.testing.assert_frame_equal(frame, before)


def test_repeated_index_labels_lose_no_row(model: HealthModel) -> None:
    frame = small_table(rows=20, seed=1)
    scores = model.score(frame.set_index(pd.Index([1, 2] * 10)))
    assert len(scores) == 20
    same(scores.reset_index(drop=True), model.score(frame))


def test_a_kept_column_that_is_missing_names_itself(model: HealthModel) -> None:
    with pytest.raises(
        TableError, match="columns that the recipe keeps must be in the table; missing: 'owner'"
    ):
        model.score(small_table(rows=3).drop(columns="owner"))


def test_dates_need_the_snapshot(model: HealthModel) -> None:
    with pytest.raises(TableError, match="snapshot date"):
        model.score(small_table(rows=3).drop(columns="month"))
    row = small_table(rows=1).drop(columns="month").iloc[0].to_dict()
    with pytest.raises(TableError, match="snapshot date"):
        model.score(row)


def test_no_account_column_no_account_id() -> None:
    scores = judged_model().score(small_table(rows=3).drop(columns="account"))
    assert "account_id" not in scores.columns
    assert len(scores) == 3


@pytest.mark.parametrize("build", [blend_model, card_model, judged_model])
def test_no_rows_no_scores(build: Any) -> None:
    frame = small_table(rows=4)
    empty, full = build().score(frame.iloc[:0]), build().score(frame)
    assert len(empty) == 0
    assert list(empty.columns) == list(full.columns)
    assert empty["health_score"].dtype == full["health_score"].dtype == np.float64
    assert empty["tier"].dtype == full["tier"].dtype
    assert empty["status"].dtype == full["status"].dtype


# --- parts ---


@pytest.mark.parametrize("build", [blend_model, card_model])
def test_contributions_sum_to_the_margin(build: Any, fresh: pd.DataFrame) -> None:
    model = build()
    values = model.encode(fresh).values[:500]
    parts = model.margin_parts(values)
    np.testing.assert_array_equal(parts.margin, model.margin(values))
    np.testing.assert_allclose(parts.expected + parts.contributions.sum(axis=1), parts.margin, atol=1e-9)


def test_the_baseline_is_the_mean_over_the_training_rows() -> None:
    model = card_model()
    values = model.encode(small_table()).values
    parts = model.margin_parts(values)
    assert parts.expected == pytest.approx(model.margin(values).mean(), abs=1e-9)
    np.testing.assert_allclose(parts.contributions.mean(axis=0), 0.0, atol=1e-9)


@pytest.mark.parametrize("scale", [RetentionScale(), AnchoredScale(0.05), NativeScale()])
def test_another_scale_moves_the_score_and_not_the_probability(model: HealthModel, scale: Any) -> None:
    frame = small_table(rows=50, seed=2)
    other, usual = replace(model, scale=scale).score(frame), model.score(frame)
    np.testing.assert_array_equal(other["churn_probability"], usual["churn_probability"])
    margin = model.margin(model.encode(frame).values)
    np.testing.assert_allclose(other["health_score"], scale.score(margin), atol=1e-9)


def test_a_model_built_again_from_its_parts_scores_the_same(model: HealthModel) -> None:
    assert model.trees is not None
    card = type(model.card).from_toml(model.card.to_toml())
    again = replace(model, card=card, trees=TreeEnsemble(tuple(model.trees.models)))
    frame = small_table(rows=400, seed=9)
    same(again.score(frame), model.score(frame))
