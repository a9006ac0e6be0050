"""The learned scorecard, against planted truths, closed forms and refits."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from chs_ml.curves import LinearCurve
from chs_ml.errors import NotEnoughData
from chs_ml.inputs import InputColumn, InputSchema
from chs_ml.learned_scorecard import (
    LearnedScorecard,
    bootstrap_interval,
    card_prior,
    check_enough_events,
    equal_prior,
)
from chs_ml.metric import Direction, Kind, Metric
from chs_ml.scorecard import Measure, MissingRule, Scorecard
from chs_ml.synthetic import planted_weights

Array = NDArray[np.float64]

SCHEMA = InputSchema(
    (
        InputColumn(metric=Metric(name="a", group="G", direction=Direction.HIGHER)),
        InputColumn(metric=Metric(name="b", group="G", direction=Direction.LOWER)),
        InputColumn(metric=Metric(name="c", group="H", kind=Kind.CATEGORY), categories=("x", "y", "z")),
    )
)


def table(seed: int = 0, n: int = 600) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    x = np.column_stack([rng.normal(size=n), rng.normal(size=n), rng.integers(0, 3, n).astype(float)])
    churned = (rng.random(n) < expit(-1.0 - 1.3 * x[:, 0] + 0.6 * x[:, 1] + 0.9 * (x[:, 2] == 1))).astype(
        float
    )
    x[rng.random((n, 3)) < 0.04] = np.nan
    return x, churned


def quick(**changes: Any) -> LearnedScorecard:
    return LearnedScorecard(**{"schema": SCHEMA, "smoothing": (3.0,), "pull": (1.0,), "folds": 3, **changes})


# --- the card ---


def test_weights_are_shares_and_the_margin_is_that_of_the_card() -> None:
    x, churned = table()
    model = quick().fit(x, churned)
    assert (model.card_.weights >= 0).all()
    assert model.card_.weights.sum() == pytest.approx(1.0)
    margin = np.full(len(x), model.weight_fit_.intercept)
    for k, measure in enumerate(model.card_.measures):
        margin -= model.weight_fit_.beta[k] * measure.curve.evaluate(x[:, k]) / 100.0
    np.testing.assert_allclose(model.decision_function(x), margin, atol=1e-9)
    np.testing.assert_allclose(model.predict_proba(x)[:, 1], expit(margin), atol=1e-9)
    a, b, _ = (measure.curve for measure in model.card_.measures)
    assert isinstance(a, LinearCurve)
    assert isinstance(b, LinearCurve)
    assert (np.diff(a.points) >= 0).all()
    assert (np.diff(b.points) <= 0).all()


def test_it_is_nearly_as_good_as_the_truth_on_other_rows() -> None:
    x, churned = table(n=4000)
    model = quick(smoothing=(3.0, 30.0), pull=(0.01, 1.0, 100.0)).fit(x, churned)
    other, outcome = table(1, n=4000)
    best = (
        -1.0 - 1.3 * np.nan_to_num(other[:, 0]) + 0.6 * np.nan_to_num(other[:, 1]) + 0.9 * (other[:, 2] == 1)
    )
    found, ideal = log_loss(outcome, model.predict_proba(other)), log_loss(outcome, expit(best))
    assert found < ideal + 0.01
    assert log_loss(churned, expit(model.oof_margin_)) == pytest.approx(found, abs=0.025)


def test_out_of_fold_margins_did_not_see_the_account() -> None:
    rng = np.random.default_rng(0)
    accounts = rng.integers(0, 150, 600)
    noise = rng.normal(size=(600, 3))
    noise[:, 2] = rng.integers(0, 3, 600)
    fate = rng.random(150) < 0.4
    noise[:, 0] = accounts  # an identifier that tells each account's fate to whoever saw it
    churned = fate[accounts].astype(float)
    model = quick(schema=None, smoothing=(0.01,), pull=(0.0,)).fit(noise, churned, groups=accounts)
    base = log_loss(churned, np.full(600, churned.mean()))
    assert log_loss(churned, expit(model.oof_margin_)) > base - 0.01


def test_a_metric_whose_direction_the_data_contradict_gets_no_weight() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2000, 2))
    churned = (rng.random(2000) < expit(-1 + 1.5 * x[:, 0] - x[:, 1])).astype(float)
    higher = [InputColumn(metric=Metric(name=name, direction=Direction.HIGHER)) for name in "ab"]
    model = quick(schema=InputSchema(tuple(higher)), pull=(0.01,)).fit(x, churned)
    assert model.card_.weights[0] < 0.02


def test_twins_share_the_weight() -> None:
    x, churned = table(n=2000)
    schema = InputSchema(
        (
            SCHEMA.columns[0],
            InputColumn(metric=Metric(name="a2", group="G", direction=Direction.HIGHER)),
            SCHEMA.columns[1],
        )
    )
    model = quick(schema=schema).fit(x[:, [0, 0, 1]], churned)
    assert model.card_.weights[0] == pytest.approx(model.card_.weights[1], rel=0.1)


def test_perfect_separation_gives_a_finite_card() -> None:
    x = np.column_stack([np.linspace(-1, 1, 400), np.random.default_rng(0).normal(size=400)])
    model = quick(schema=None, bootstrap=5).fit(x, (x[:, 0] < -0.4).astype(float))
    p = model.predict_proba(x)[:, 1]
    assert np.isfinite(model.decision_function(x)).all()
    assert ((p > 0) & (p < 1)).all()
    assert ((p > 0.5) == (x[:, 0] < -0.4)).mean() > 0.95
    assert all(0 <= i.low <= i.weight <= i.high <= 1 for i in model.intervals_.values())


def test_constant_and_unknown_columns_do_no_harm() -> None:
    x, churned = table()
    with_useless = np.column_stack([x[:, :2], np.full(600, 3.0), np.full(600, np.nan)])
    model = quick(schema=None).fit(with_useless, churned)
    assert np.isfinite(model.decision_function(with_useless)).all()
    assert model.card_.weights.sum() == pytest.approx(1.0)


# --- the prior ---


def test_equal_over_groups_and_inside_a_group() -> None:
    np.testing.assert_allclose(equal_prior(SCHEMA.metrics), [0.25, 0.25, 0.5])


def hand_card(**weights: float) -> Scorecard:
    curve = LinearCurve(x=(0.0, 1.0), points=(0.0, 100.0))
    lines = [
        Measure(column=InputColumn(metric=Metric(name=n)), curve=curve, weight=w) for n, w in weights.items()
    ]
    return Scorecard(name="hand", measures=tuple(lines))


def test_the_prior_of_a_card() -> None:
    np.testing.assert_allclose(
        card_prior(hand_card(b=3.0, a=1.0, other=4.0), SCHEMA.metrics), [0.25, 0.75, 0.0]
    )
    np.testing.assert_allclose(card_prior(hand_card(other=1.0), SCHEMA.metrics), [0.25, 0.25, 0.5])


def test_a_very_strong_pull_gives_the_proportions_of_the_prior_and_a_weak_one_those_of_the_data() -> None:
    x, churned = table(n=2000)
    prior = np.array([0.2, 0.7, 0.1])
    strong = quick(prior=prior, pull=(1e7,)).fit(x, churned)
    np.testing.assert_allclose(strong.card_.weights, prior, atol=2e-3)
    weak = quick(prior=prior, pull=(1e-4,)).fit(x, churned)
    assert weak.card_.weights[0] > 0.45
    assert weak.card_.weights[1] < 0.4


def test_the_strength_of_the_pull_is_chosen_by_the_data() -> None:
    x, churned = table(n=2000)
    wrong, pulls = np.array([0.02, 0.02, 0.96]), (0.01, 1e6)
    assert quick(prior=wrong, pull=pulls).fit(x, churned).pull_ == 0.01
    rng = np.random.default_rng(5)
    few = rng.random((80, 8))
    curves = [LinearCurve(x=(0.0, 1.0), points=(0.0, 100.0), missing=50.0)] * 8
    outcome = (rng.random(80) < expit(1.0 - 4.0 * few.mean(axis=1))).astype(float)
    assert quick(schema=None, curves=curves, pull=pulls).fit(few, outcome).pull_ == 1e6


def test_with_hardly_any_churns_the_prior_is_believed() -> None:
    x, _ = table()
    churned = np.zeros(600)
    churned[:8] = 1.0
    model = quick(smoothing=(1.0, 30.0), pull=(0.01, 64.0)).fit(x, churned)
    assert (model.smoothing_, model.pull_) == (30.0, 64.0)


# --- refusal ---


def test_120_accounts_with_6_churns_are_refused() -> None:
    x, _ = table(n=120)
    churned = np.zeros(120)
    churned[:6] = 1.0
    with pytest.raises(
        NotEnoughData,
        match=r"10 churns and 2 events per weight; found 6 churns for 3 weights: 2\.0 events per weight",
    ) as caught:
        quick(min_events_per_weight=2.0).fit(x, churned)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("churns", "n", "weights", "floor", "message"),
    [
        (30, 100, 20, 2.0, r"found 30 churns for 20 weights: 1\.5 events per weight"),
        (95, 100, 2, 2.0, r"at least 10 renewals .* found 5 renewals for 2 weights: 2\.5"),
    ],
)
def test_the_rarer_outcome_counts(churns: int, n: int, weights: int, floor: float, message: str) -> None:
    with pytest.raises(NotEnoughData, match=message):
        check_enough_events(np.repeat([1.0, 0.0], [churns, n - churns]), weights, floor=floor)


def test_enough_is_enough() -> None:
    check_enough_events(np.repeat([1.0, 0.0], [10, 90]), 5, floor=2.0)


# --- intervals ---


def test_an_interval_is_the_hull_of_the_percentiles_and_of_the_same_moved_to_the_estimate() -> None:
    replicates = np.linspace(0.2, 0.4, 201)[:, None]
    low, high = bootstrap_interval(np.array([0.3]), replicates, level=0.95)
    np.testing.assert_allclose([low[0], high[0]], [0.205, 0.395])
    low, high = bootstrap_interval(np.array([0.35]), replicates, level=0.95)
    np.testing.assert_allclose([low[0], high[0]], [0.205, 0.445])
    low, high = bootstrap_interval(np.array([0.05]), replicates, level=0.95)
    np.testing.assert_allclose([low[0], high[0]], [0.0, 0.395])


def test_an_interval_of_a_share_stays_between_0_and_1() -> None:
    low, high = bootstrap_interval(np.array([0.98]), np.linspace(0.8, 0.97, 100)[:, None], level=0.95)
    assert 0.0 <= low[0] <= 0.98 <= high[0] <= 1.0


def planted_coverage(seeds: range, *, bootstrap: int) -> tuple[float, float]:
    """Share of true weights inside their intervals, and of null weights whose lower end is at most .5 %."""
    inside, null = [], []
    for seed in seeds:
        planted = planted_weights(accounts=5000, seed=seed)
        schema = InputSchema(tuple(InputColumn(metric=metric) for metric in planted.metrics))
        given = [planted.curves[metric.name] for metric in planted.metrics]
        curves = [LinearCurve(x=tuple(x), points=tuple(points), missing=50.0) for x, points in given]
        model = LearnedScorecard(schema=schema, curves=curves, bootstrap=bootstrap)
        model.fit(planted.frame.to_numpy(), planted.churned)
        for name, true in planted.weights.items():
            interval = model.intervals_[name]
            inside.append(interval.low <= true <= interval.high)
            if true == 0:
                null.append(interval.low <= 0.005)
    return float(np.mean(inside)), float(np.mean(null))


def test_planted_weights_lie_in_their_intervals() -> None:
    inside, null = planted_coverage(range(4), bootstrap=60)
    assert inside >= 0.75
    assert null >= 0.75


@pytest.mark.slow
def test_planted_weights_lie_in_their_intervals_over_many_seeds() -> None:
    inside, null = planted_coverage(range(20), bootstrap=200)
    assert inside >= 0.88
    assert null >= 0.9


def test_intervals_are_as_wide_as_weights_spread_over_fresh_tables() -> None:
    weights, widths = [], []
    for seed in range(80):
        planted = planted_weights(accounts=2000, seed=1000 + seed)
        curves = [LinearCurve(x=tuple(x), points=tuple(p), missing=50.0) for x, p in planted.curves.values()]
        model = quick(schema=None, curves=curves, pull=(0.01,), bootstrap=100 if seed < 4 else 0)
        model.fit(planted.frame.to_numpy(), planted.churned)
        weights.append(model.card_.weights[:3])
        if seed < 4:
            widths.append([i.high - i.low for i in list(model.intervals_.values())[:3]])
    spread = 2 * 1.96 * np.std(weights, axis=0)
    assert np.mean(np.array(widths) / spread) == pytest.approx(1.08, abs=0.17)  # the hull is a little wider


def test_repeated_rows_of_an_account_add_no_certainty() -> None:
    x, churned = table(n=300)
    alone = quick(bootstrap=60).fit(x, churned)
    rows = np.repeat(np.arange(300), 4)
    together = quick(bootstrap=60, smoothing=(12.0,), pull=(4.0,)).fit(x[rows], churned[rows], groups=rows)
    width = [np.mean([i.high - i.low for i in m.intervals_.values()]) for m in (alone, together)]
    assert width[1] == pytest.approx(width[0], rel=0.3)


def test_more_rows_than_are_refitted_exactly_give_alike_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = planted_weights(accounts=3000, seed=1)
    curves = [LinearCurve(x=tuple(x), points=tuple(p), missing=50.0) for x, p in planted.curves.values()]
    settings: dict[str, Any] = {"schema": None, "curves": curves, "bootstrap": 200}
    exact = quick(**settings).fit(planted.frame.to_numpy(), planted.churned)
    monkeypatch.setattr("chs_ml.learned_scorecard.EXACT_REPLICATES_UP_TO", 100)
    stepped = quick(**settings).fit(planted.frame.to_numpy(), planted.churned)
    for name, interval in exact.intervals_.items():
        other = stepped.intervals_[name]
        assert (other.low, other.high) == pytest.approx((interval.low, interval.high), abs=0.025)


def test_no_replicates_no_intervals() -> None:
    assert quick().fit(*table()).intervals_ == {}


# --- determinism ---


def test_the_same_bits_at_one_and_two_blas_threads() -> None:
    x, churned = table(n=2500)
    texts = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            model = quick(bootstrap=5, smoothing=(1.0, 10.0), pull=(0.25, 4.0)).fit(x, churned)
        texts.append(
            (
                model.card_.to_toml(),
                model.oof_margin_.tobytes(),
                repr(model.weight_fit_),
                repr(model.intervals_),
            )
        )
    assert texts[0] == texts[1]


@pytest.mark.slow
def test_the_same_bits_in_processes_with_one_and_two_threads() -> None:
    code = (
        "import numpy as np; from chs_ml.learned_scorecard import LearnedScorecard;"
        "r = np.random.default_rng(0);"
        "x = r.normal(size=(3000, 6)); y = (r.random(3000) < 1 / (1 + np.exp(1 + x[:, 0]))).astype(int);"
        "m = LearnedScorecard(bootstrap=5).fit(x, y);"
        "print(m.card_.to_toml(), m.intervals_, m.oof_margin_.tobytes().hex())"
    )
    outs = []
    for threads in ("1", "2"):
        env = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "PATH": ""}
        outs.append(
            subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True).stdout
        )
    assert outs[0] == outs[1]
    assert len(outs[0]) > 1000


def test_another_seed_is_another_bootstrap() -> None:
    x, churned = table()
    a, b = (quick(bootstrap=10, random_state=seed).fit(x, churned).intervals_["a"] for seed in (0, 1))
    assert a != b


def test_given_curves_without_points_for_missing_give_a_card_that_renormalises() -> None:
    x, churned = table()
    curves = [
        LinearCurve(x=(-2.0, 2.0), points=(0.0, 100.0)),
        LinearCurve(x=(-2.0, 2.0), points=(100.0, 0.0), missing=40.0),
    ]
    model = quick(schema=InputSchema(SCHEMA.columns[:2]), curves=curves).fit(x[:, :2], churned)
    assert model.card_.missing is MissingRule.RENORMALISE
    assert np.isfinite(model.predict_proba(x[:, :2])).all()


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    quick(smoothing=(1.0, 3.0), bootstrap=3, progress=lambda *step: told.append(step)).fit(*table())
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages == [
        "choosing how smooth curves are",
        "learning curves and weights",
        "bootstrapping the weights",
    ]
    assert all(0 <= done <= total for _, done, total in told)


def test_the_margin_of_no_information_is_the_base_rate() -> None:
    rng = np.random.default_rng(0)
    churned = (np.arange(1000) % 4 == 0).astype(float)
    model = quick(schema=None, pull=(256.0,), smoothing=(30.0,)).fit(rng.normal(size=(1000, 3)), churned)
    np.testing.assert_allclose(model.decision_function(rng.normal(size=(50, 3))), logit(0.25), atol=0.5)
