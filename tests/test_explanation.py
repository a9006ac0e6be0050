"""Explanations: points that sum to the published score, on every row and in both bent ends of the scale."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shap
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from chs_ml.explanation import (
    Explanation,
    explain,
    points_per_logit,
    said_number,
    said_points,
    said_value,
)
from chs_ml.health_model import HealthModel
from chs_ml.metric import Kind, Metric
from chs_ml.scale import AnchoredScale, HealthScale, NativeScale, RetentionScale
from tests.small_portfolio import METRICS, blend_model, card_model, small_table

NAN = float("nan")


def frame_with_surprises() -> pd.DataFrame:
    frame = small_table(rows=600, seed=21).astype({"tickets": object})
    frame.loc[0, "plan"] = "enterprise"
    frame.loc[1, "tickets"] = "many"
    frame.loc[2, list(METRICS)] = None
    frame.loc[3, ["usage", "nps", "plan"]] = None
    return frame.set_index(pd.Index(range(1000, 1600), name="row"))


def louder(model: HealthModel, factor: float, shift: float) -> HealthModel:
    """The model with margins stretched until scores lie deep in the bent ends."""
    blend = replace(
        model.blend, intercept=model.blend.intercept * factor + shift, points=model.blend.points * factor,
        trees=model.blend.trees * factor,
    )  # fmt: skip
    return replace(model, blend=blend)


SCALES: list[HealthScale] = [AnchoredScale(0.102), RetentionScale()]


@pytest.mark.parametrize("scale", SCALES, ids=lambda s: s.name)
@pytest.mark.parametrize("build", [blend_model, card_model])
@pytest.mark.parametrize(
    ("factor", "shift"), [(1.0, 0.0), (6.0, 0.0), (3.0, 8.0), (3.0, -8.0), (0.0, 1.0), (1.0, -60.0)]
)
def test_base_and_points_sum_to_the_score(
    build: Any, scale: HealthScale, factor: float, shift: float
) -> None:
    model = louder(replace(build(), scale=scale), factor, shift)
    frame = frame_with_surprises()
    why = explain(model, frame)
    scores = model.score(frame)["health_score"]
    pd.testing.assert_series_equal(why.health_score, scores)
    has = scores.notna()
    assert has.sum() == 598
    total = why.base + why.points.sum(axis=1)
    assert (total[has] - scores[has]).abs().max() <= 1e-6
    assert why.points[~has].isna().all(axis=None)
    assert why.points.index.equals(frame.index)
    assert list(why.points.columns) == list(METRICS)


def test_the_bent_ends_were_really_reached() -> None:
    scores = louder(blend_model(), 6.0, 0.0).score(frame_with_surprises())["health_score"]
    assert scores.min() < 5.0
    assert scores.max() > 95.0


@pytest.mark.parametrize("scale", [*SCALES, NativeScale()], ids=lambda s: s.name)
@given(expected=st.floats(-6, 6), margin=st.floats(-12, 12))
def test_the_factor_is_the_mean_slope_on_the_way(scale: HealthScale, expected: float, margin: float) -> None:
    factor = points_per_logit(scale, np.array([margin]), expected)[0]
    mean, _ = quad(lambda t: scale.slope(np.array([expected + t * (margin - expected)]))[0], 0, 1, limit=200)
    assert factor == pytest.approx(mean, rel=1e-4, abs=1e-6)
    assert factor < 0


@pytest.mark.parametrize("expected", [-5.0, 0.0, 4.0])
def test_where_nothing_moved_the_factor_is_the_slope(expected: float) -> None:
    scale = AnchoredScale(0.2)
    factor = points_per_logit(scale, np.array([expected, expected + 1e-12]), expected)
    np.testing.assert_allclose(factor, np.repeat(scale.slope(np.array([expected])), 2))


def test_groups_roll_up() -> None:
    why = explain(blend_model(), frame_with_surprises())
    groups = why.groups
    assert list(groups.columns) == ["Product usage", "Support", "Sentiment", "Value", "Billing"]
    both = why.points["usage"] + why.points["last_login"]
    pd.testing.assert_series_equal(groups["Product usage"], both, check_names=False)
    pd.testing.assert_series_equal(groups["Support"], why.points["tickets"], check_names=False)
    assert groups.loc[1001].isna().all()


def test_importance_is_the_mean_size() -> None:
    why = explain(blend_model(), frame_with_surprises())
    importance = why.importance
    assert importance.is_monotonic_decreasing
    assert importance["usage"] == pytest.approx(np.nanmean(np.abs(why.points["usage"].to_numpy())))


def test_the_share_of_the_trees_is_that_of_shap() -> None:
    model = blend_model()
    frame = small_table(rows=120, seed=30)
    values = model.encode(frame).values
    assert model.trees is not None
    per_booster = [shap.TreeExplainer(booster) for booster in model.trees.boosters]
    trees = np.mean([explainer.shap_values(values) for explainer in per_booster], axis=0)
    start = np.mean([float(np.ravel(explainer.expected_value)[-1]) for explainer in per_booster])
    card, mean = np.zeros_like(values), 0.0
    train = model.encode(small_table()).values
    for k, measure in enumerate(model.card.measures):
        worth, usual = (model.card.weights[k] * measure.curve.evaluate(x[:, k]) for x in (values, train))
        card[:, k] = worth - usual.mean()
        mean += usual.mean()
    in_log_odds = -model.blend.points * card + model.blend.trees * trees
    m0 = model.blend.intercept - model.blend.points * mean + model.blend.trees * start
    margin = model.margin(values)
    factor = (model.scale.score(margin) - model.scale.score(np.array([m0]))) / (margin - m0)
    why = explain(model, frame)
    np.testing.assert_allclose(why.points.to_numpy(), in_log_odds * factor[:, None], atol=1e-6)
    assert why.base == pytest.approx(float(model.scale.score(np.array([m0]))[0]))


def test_healthier_values_give_points() -> None:
    points = explain(card_model(), frame_with_surprises()).points
    usage = small_table(rows=600, seed=21)["usage"].to_numpy()
    known = ~np.isnan(usage) & points["usage"].notna().to_numpy()
    order = np.argsort(usage[known])
    slope = np.corrcoef(usage[known][order], points["usage"].to_numpy()[known][order])[0, 1]
    assert slope > 0.8


def test_one_account_no_account_and_a_row_alone() -> None:
    model, frame = blend_model(), frame_with_surprises()
    why = explain(model, frame)
    alone = explain(model, frame.iloc[[17]])
    pd.testing.assert_frame_equal(alone.points, why.points.iloc[[17]], check_exact=True)
    told = explain(model, frame.iloc[17].to_dict())
    np.testing.assert_array_equal(told.points.to_numpy(), alone.points.to_numpy())
    none = explain(model, frame.iloc[:0])
    assert none.points.shape == (0, 6)
    assert none.base == why.base
    assert none.reasons().tolist() == []
    assert none.to_records() == []


def test_kept_columns_are_not_needed_to_explain() -> None:
    frame = small_table(rows=12, seed=3)
    why = explain(blend_model(), frame.drop(columns=["owner", "account"]))
    pd.testing.assert_frame_equal(why.points, explain(blend_model(), frame).points)


# --- words ---


def by_hand() -> Explanation:
    metrics = (
        Metric(name="usage", unit="%", label="Seats used", group="G"),
        Metric(name="plan", kind=Kind.CATEGORY, group="H"),
        Metric(name="auto", kind=Kind.YES_NO, group="G"),
    )
    index = pd.Index(["a", "b", "c"])
    return Explanation(
        points=pd.DataFrame(
            {"usage": [-8.21, 0.04, NAN], "plan": [3.0, -0.06, NAN], "auto": [-3.0, 0.0, NAN]}, index=index
        ),
        base=60.0,
        health_score=pd.Series([51.79, 59.98, NAN], index=index),
        metrics=metrics,
        data=pd.DataFrame(
            {"usage": [41.0, NAN, 3.0], "plan": ["pro", None, "basic"], "auto": [1.0, 0.0, NAN]}, index=index
        ),
    )


def test_reasons_by_hand() -> None:
    why = by_hand()
    assert why.reasons()["a"] == [
        "Seats used 41 % → −8.2 points",
        "Plan pro → +3.0 points",
        "Auto yes → −3.0 points",
    ]
    assert why.reasons()["b"] == ["Plan unknown → −0.1 points"]
    assert why.reasons()["c"] == []
    assert why.reasons(1)["a"] == ["Seats used 41 % → −8.2 points"]
    assert why.reasons(side="for")["a"] == ["Plan pro → +3.0 points"]
    assert why.reasons(side="against")["a"] == ["Seats used 41 % → −8.2 points", "Auto yes → −3.0 points"]
    assert why.reasons(0)["a"] == []
    assert why.reasons().index.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="side must be 'both', 'against' or 'for'; got 'up'"):
        why.reasons(side="up")  # type: ignore[arg-type]


def test_records_by_hand() -> None:
    first, _, last = by_hand().to_records(n=1)
    assert first == {
        "health_score": 51.79, "base": 60.0, "points": {"usage": -8.21, "plan": 3.0, "auto": -3.0},
        "groups": {"G": pytest.approx(-11.21), "H": 3.0}, "reasons": ["Seats used 41 % → −8.2 points"],
    }  # fmt: skip
    assert last["health_score"] is None
    assert last["points"] == {"usage": None, "plan": None, "auto": None}
    assert last["reasons"] == []


def test_reasons_of_a_model_name_values_as_people_say_them() -> None:
    frame = small_table(rows=50, seed=4)
    frame.loc[0, "plan"] = "enterprise"
    frame.loc[1, "plan"] = None
    reasons = explain(blend_model(), frame).reasons(6)
    told = [reason for row in reasons for reason in row]
    assert any(reason.startswith("Seats used ") and " % → " in reason for reason in told)
    assert any("Last login " in reason and " days ago → " in reason for reason in told)
    assert any("Auto renew yes → " in reason or "Auto renew no → " in reason for reason in told)
    assert any("(new category)" in reason for reason in reasons[0])
    assert any(reason.startswith("Plan unknown") for reason in reasons[1])
    assert all(reason.endswith(" points") and ("+" in reason or "−" in reason) for reason in told)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (3.0, "3"),
        (-3.0, "−3"),
        (1234567.0, "1,234,567"),
        (1234.56, "1,235"),
        (99.96, "100"),
        (41.04, "41"),
        (41.05, "41"),
        (41.06, "41.1"),
        (9.999, "10"),
        (1.234, "1.23"),
        (0.04567, "0.0457"),
        (0.5, "0.5"),
        (-0.25, "−0.25"),
        (-1500.5, "−1,500"),
        (1e12, "1,000,000,000,000"),
        (-0.00001, "−0.00001"),
        (0.0000123, "0.0000123"),
    ],
)
def test_numbers_as_people_say_them(value: float, text: str) -> None:
    assert said_number(value) == text


@given(st.floats(-1e12, 1e12))
def test_said_numbers_are_near_the_number(value: float) -> None:
    said = float(said_number(value).replace("−", "-").replace(",", ""))
    assert said == pytest.approx(value, rel=0.006, abs=1e-9)


@pytest.mark.parametrize(
    ("points", "text"),
    [
        (-8.24, "−8.2 points"),
        (8.25, "+8.2 points"),
        (0.0, "+0.0 points"),
        (12.0, "+12.0 points"),
        (-100.0, "−100.0 points"),
    ],
)
def test_points_have_their_sign(points: float, text: str) -> None:
    assert said_points(points) == text


@pytest.mark.parametrize(
    ("value", "metric", "text"),
    [
        (None, Metric(name="m"), "unknown"),
        (NAN, Metric(name="m", kind=Kind.CATEGORY), "unknown"),
        (0.0, Metric(name="m", kind=Kind.YES_NO), "no"),
        (1.0, Metric(name="m", kind=Kind.YES_NO), "yes"),
        (30.0, Metric(name="m", kind=Kind.DATE), "30 days ago"),
        (30.0, Metric(name="m", kind=Kind.DATE, unit="days"), "30 days"),
        ("Two year", Metric(name="m", kind=Kind.CATEGORY, unit="x"), "Two year"),
        (12.0, Metric(name="m", unit="€"), "12 €"),
        (12.0, Metric(name="m"), "12"),
    ],
)
def test_values_as_people_say_them(value: Any, metric: Metric, text: str) -> None:
    assert said_value(value, metric) == text


# --- SHAP's own plots ---


def test_shap_takes_it_and_draws_it() -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    model = blend_model()
    frame = small_table(rows=60, seed=3)
    why = explain(model, frame)
    explanation = why.to_shap()
    assert isinstance(explanation, shap.Explanation)
    np.testing.assert_array_equal(explanation.values, why.points.to_numpy())
    np.testing.assert_allclose(
        explanation.base_values + explanation.values.sum(axis=1), why.health_score.to_numpy(), atol=1e-6
    )
    assert explanation.feature_names[0] == "Seats used"
    for draw in (
        lambda: shap.plots.waterfall(explanation[0], show=False),
        lambda: shap.plots.bar(explanation, show=False),
        lambda: shap.plots.beeswarm(explanation, show=False),
    ):
        plt.figure()
        draw()
        assert plt.gcf().axes
        plt.close("all")
