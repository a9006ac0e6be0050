"""Training: who is judged was not seen, the same data give the same model, and the facts are facts."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from chs_ml import training
from chs_ml.account_sketch import AccountSketch
from chs_ml.boosted_trees import Growth, TreeShape
from chs_ml.dataset import Dataset, build_dataset
from chs_ml.errors import NotEnoughData, ScorecardError
from chs_ml.explanation import explain
from chs_ml.health_model import HealthModel
from chs_ml.inputs import InputSchema
from chs_ml.recipe import Recipe, load_recipe
from chs_ml.scale import AnchoredScale, RetentionScale
from chs_ml.splits import TestSplit, test_split
from chs_ml.training import fit_health_model, judge, scoring_frame, train
from tests.small_portfolio import (
    blend_model,
    card_model,
    dated_recipe,
    dateless_recipe,
    judged_model,
    quick_trees,
    small_dataset,
    small_table,
)

QUICK: dict[str, Any] = {"kind": "scorecard", "bootstrap": 0}


@pytest.fixture(autouse=True)
def few_trees(request: pytest.FixtureRequest) -> Iterator[None]:
    with nullcontext() if "shared_data" in request.fixturenames else quick_trees():
        yield


def months(n: int = 6, *, rows: int = 150) -> pd.DataFrame:
    """The same accounts at the end of each of n months; a few are there from the fifth month on only."""
    tables = []
    for i, end in enumerate(pd.date_range("2024-01-31", periods=n, freq="ME")):
        table = small_table(rows=rows, seed=i)
        shifted = table.assign(last_login=table["last_login"] + (end - table["month"]), month=end)
        tables.append(shifted if i >= 4 else shifted.iloc[: rows - 20])
    return pd.concat(tables, ignore_index=True)


def monthly_recipe(**tables: dict[str, Any]) -> Recipe:
    data = {"horizon_days": 45, **tables.get("data", {})}
    return dated_recipe(**{"model": QUICK, **tables, "data": data})


class Watched:
    """What training was fitted on and judged on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fitted: list[Dataset] = []
        self.judged: list[Dataset] = []
        fit, judge = training.fit_health_model, training.judge

        def watched_fit(dataset: Dataset, *args: Any, **more: Any) -> HealthModel:
            self.fitted.append(dataset)
            return fit(dataset, *args, **more)

        def watched_judge(model: HealthModel, dataset: Dataset, **more: Any) -> Any:
            self.judged.append(dataset)
            return judge(model, dataset, **more)

        monkeypatch.setattr(training, "fit_health_model", watched_fit)
        monkeypatch.setattr(training, "judge", watched_judge)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    return Watched(monkeypatch)


# --- who is judged ---


def test_without_dates_no_account_is_on_both_sides(watched: Watched) -> None:
    recipe = dateless_recipe(model=QUICK)
    dataset = small_dataset(recipe)
    accounts = pd.Series([f"A{i % 300}" for i in range(dataset.n)], dtype="str")
    model = train(replace(dataset, account=accounts), recipe)
    (fitted,), (judged,) = watched.fitted, watched.judged
    assert not set(fitted.account) & set(judged.account)
    assert fitted.n + judged.n == dataset.n
    split = model.facts["split"]
    assert (split["train_rows"], split["test_rows"], split["purged_rows"]) == (fitted.n, judged.n, 0)
    assert (split["out_of_time"], split["test_from"]) == (False, None)
    assert split["new_account_rows"] == judged.n
    assert judged.n == pytest.approx(0.25 * dataset.n, rel=0.1)
    assert model.report is not None


def test_with_dates_every_training_window_ends_before_the_test(watched: Watched) -> None:
    dataset = build_dataset(monthly_recipe(), months())
    model = train(dataset, monthly_recipe())
    (fitted,), (judged,) = watched.fitted, watched.judged
    assert fitted.snapshot_date is not None
    assert judged.snapshot_date is not None
    assert (fitted.snapshot_date + pd.Timedelta(days=45) < judged.snapshot_date.min()).all()
    split = model.facts["split"]
    assert split["out_of_time"]
    assert split["test_from"] == str(judged.snapshot_date.min().date())
    assert split["purged_rows"] == dataset.n - fitted.n - judged.n > 0
    assert split["new_account_rows"] == (~judged.account.isin(fitted.account)).sum() > 0
    assert model.facts["snapshots"] == [
        str(day.date()) for day in (fitted.snapshot_date.min(), fitted.snapshot_date.max())
    ]


def test_the_test_may_start_on_a_given_day(watched: Watched) -> None:
    recipe = monthly_recipe(split={"test_from": "2024-06-01"})
    model = train(build_dataset(recipe, months()), recipe)
    assert model.facts["split"]["test_from"] == "2024-06-30"
    assert watched.judged[0].n == 150


def test_open_outcomes_neither_train_nor_judge(watched: Watched) -> None:
    frame = small_table()
    frame["churned"] = frame["churned"].astype(float).where(np.arange(900) % 3 > 0)
    recipe = dateless_recipe(model=QUICK)
    model = train(build_dataset(recipe, frame), recipe)
    assert model.facts["split"]["open_rows"] == 300
    assert watched.fitted[0].n + watched.judged[0].n == 600
    assert model.facts["rows"] == watched.fitted[0].n
    assert [finding["code"] for finding in model.facts["findings"]].count("open-outcomes") == 1


def test_a_refit_learns_from_all_rows_and_keeps_anchor_and_verdict(watched: Watched) -> None:
    dataset = small_dataset(dateless_recipe())
    once = train(dataset, dateless_recipe(model=QUICK))
    again = train(dataset, dateless_recipe(model=QUICK, split={"refit": True}))
    assert [d.n for d in watched.fitted] == [once.facts["rows"]] * 2 + [900]
    assert again.facts["rows"] == 900
    assert again.facts["split"]["refit_on_all_rows"]
    assert again.scale == once.scale == AnchoredScale(watched.fitted[0].base_rate)
    assert again.report is not None
    assert once.report is not None
    assert again.report.to_json() == once.report.to_json()
    assert again.card.weights.tolist() != once.card.weights.tolist()


@pytest.mark.parametrize("refit", [False, True])
def test_an_anchor_that_the_recipe_gives_stays(refit: bool) -> None:
    recipe = dateless_recipe(model=QUICK, scale={"base_rate": 0.1}, split={"refit": refit})
    model = train(small_dataset(recipe), recipe)
    assert model.scale == AnchoredScale(0.1)
    assert model.facts["scale"] == {"kind": "anchored", "base_rate": 0.1}


def test_the_verdict_is_that_of_the_published_scores(watched: Watched) -> None:
    model = judged_model()
    recipe = dateless_recipe(model=QUICK)
    report = train(small_dataset(recipe), recipe).report
    test = watched.judged[0]
    assert judged_model().facts["split"]["test_rows"] == test.n
    scores = model.score(scoring_frame(model, test))
    auc = roc_auc_score(test.churned, -scores["health_score"])
    assert auc > 0.75
    assert report is not None
    assert judge(model, test, out_of_time=False).to_json() != report.to_json()


# --- determinism ---


def test_the_recipe_says_how_to_judge_and_what_tiers_promised() -> None:
    judging = {"bootstrap": 40, "random_state": 3, "level": 0.9, "critical_odds_ratio": 1.0}
    promises = [{"tier": "Healthy", "at_most": 0.2}]
    recipe = dateless_recipe(model=QUICK, validation={**judging, "promises": promises})
    model = train(small_dataset(recipe), recipe)
    report = model.report
    assert report is not None
    assert (report.n_bootstrap, report.random_state, report.level) == (40, 3, 0.9)
    assert report.test("critical_odds_ratio").null.endswith("is below 1")
    assert report.test("tier_promise", "Healthy").null == "the churn rate of Healthy is at most 20.0%"
    again = judge(model, small_dataset(recipe))
    assert (again.n_bootstrap, again.test("tier_promise").subject) == (40, "Healthy")


def test_the_report_says_who_was_worked_on_and_whether_churn_was_seen_coming() -> None:
    table = months()
    table["called"] = np.where(np.arange(len(table)) % 2 == 0, "yes", "no")
    gone = table.loc[table["churned"] == 1].groupby("account")["month"].max()
    table["left_on"] = table["account"].map(gone) + pd.Timedelta(days=40)
    judging = {"bootstrap": 20, "treated": "called", "churn_date": "left_on"}
    recipe = monthly_recipe(validation=judging)
    model = train(build_dataset(recipe, table), recipe)
    report = model.report
    assert report is not None
    assert report.interventions is not None
    assert sum(t.treated + t.untreated for t in report.interventions.tiers) == report.counts.judged
    assert report.time is not None
    assert report.time.snapshots == report.counts.judged
    assert report.time.capture[0].churned > 0
    assert all(one.reasons and 0.0 < one.coverage <= 1.0 for one in report.time.green_churn)
    bare = train(build_dataset(recipe, table.drop(columns=["called", "left_on"])), recipe).report
    assert bare is not None
    assert (bare.time, bare.interventions) == (None, None)
    lacking = {note.split("'")[1] for note in bare.notes if note.startswith("No column")}
    assert lacking == {"called", "left_on"}


@pytest.mark.parametrize("refit", [False, True])
def test_a_model_knows_which_accounts_it_was_fitted_on(refit: bool) -> None:
    recipe = dateless_recipe(model=QUICK, split={"refit": refit}, validation={"bootstrap": 20})
    dataset = small_dataset(recipe)
    model = train(dataset, recipe)
    split = test_split(dataset, test_share=recipe.split.test_share, random_state=recipe.split.random_state)
    sketch = AccountSketch.from_dict(model.facts["fitted_accounts"])
    assert sketch.holds(dataset.rows(split.train).account).all()
    tested = sketch.holds(dataset.rows(split.test).account).mean()
    assert tested == 1.0 if refit else tested < 0.1
    assert not any(name in str(model.facts["fitted_accounts"]) for name in dataset.account.unique())


def test_columns_filled_in_later_never_train() -> None:
    table = small_table().assign(called="yes", left_on=pd.Timestamp("2024-05-01"))
    recipe = dateless_recipe(model=QUICK, validation={"treated": "called", "churn_date": "left_on"})
    assert not {"called", "left_on"} & {metric.name for metric in build_dataset(recipe, table).metrics}


def texts(model: HealthModel) -> tuple[Any, ...]:
    trees = () if model.trees is None else model.trees.models
    report = "" if model.report is None else model.report.to_json()
    return model.card.to_toml(), trees, repr(model.blend), repr(model.scale), repr(model.baseline), report


def test_the_same_data_give_the_same_model_on_one_and_two_threads() -> None:
    made = []
    for threads in (1, 2, 1):
        recipe = dateless_recipe(model={"threads": threads, "bootstrap": 5})
        with quick_trees(Growth((TreeShape(6),), learning_rate=0.2, rounds=4, patience=4, folds=2)):
            made.append(train(small_dataset(recipe, rows=300), recipe))
    assert texts(made[0]) == texts(made[1]) == texts(made[2])
    assert made[0].facts == made[2].facts
    assert made[0].facts == made[1].facts  # the number of threads is no fact of the model


def test_another_seed_gives_another_model() -> None:
    one, two = (dateless_recipe(model={**QUICK, "random_state": seed}) for seed in (0, 1))
    assert texts(fit_health_model(small_dataset(one), one)) != texts(
        fit_health_model(small_dataset(two), two)
    )


def test_the_order_of_columns_is_the_order_of_the_table_and_the_dataset_stays_as_it_was() -> None:
    recipe = dateless_recipe(model=QUICK)
    dataset = small_dataset(recipe)
    before = dataset.frame.copy(deep=True)
    model = train(dataset, recipe)
    pd.testing.assert_frame_equal(dataset.frame, before)
    assert model.schema.names == tuple(metric.name for metric in dataset.metrics)


# --- what is fitted ---


def test_the_formula_alone() -> None:
    model = card_model()
    assert model.trees is None
    assert model.blend.trees == 0.0
    assert model.facts["trees"] is None
    assert model.facts["blend"]["share_of_card"] == 1.0
    assert all(set(facts) == {"weight"} for facts in model.facts["weights"].values())


def test_facts_are_facts() -> None:
    dataset, model = small_dataset(), blend_model()
    facts = model.facts
    assert (facts["rows"], facts["accounts"], facts["churned"]) == (900, 900, dataset.n_churned)
    assert facts["base_rate"] == pytest.approx(dataset.churned.mean())
    assert facts["scale"] == {"kind": "anchored", "base_rate": facts["base_rate"]}
    assert sum(entry["weight"] for entry in facts["weights"].values()) == pytest.approx(1.0)
    assert all(0 <= e["low"] <= e["weight"] <= e["high"] <= 1 for e in facts["weights"].values())
    assert model.trees is not None
    assert facts["trees"]["trees"] == model.trees.n_trees
    assert facts["trees"]["kept"]
    blend = facts["blend"]
    assert blend["log_loss_blend"] < blend["log_loss_card"] < blend["log_loss_base"]
    assert blend["log_loss_base"] == pytest.approx(log_loss(dataset.churned, np.full(900, dataset.base_rate)))
    why = explain(model, scoring_frame(model, dataset))
    for name, points in facts["importance"].items():
        assert points == pytest.approx(why.importance[name], abs=1e-9)
    assert list(facts["importance"]) == list(why.importance.index)
    assert facts["recipe"]["data"]["account"] == "account"
    assert set(facts["packages"]) >= {"chs_ml", "lightgbm", "numpy", "scikit-learn"}


def test_the_blend_is_calibrated_in_sample() -> None:
    dataset, model = small_dataset(), card_model()
    p = model.score(scoring_frame(model, dataset))["churn_probability"]
    assert p.mean() == pytest.approx(dataset.base_rate, abs=0.01)


def test_the_schema_is_what_training_saw() -> None:
    dataset, model = small_dataset(), card_model()
    seen = InputSchema.learn(dataset.frame, dataset.metrics, snapshot=dataset.snapshot_date)
    assert repr(model.schema) == repr(seen)


@pytest.mark.parametrize("base_rate", [None, 0.2])
def test_retention(base_rate: float | None) -> None:
    scale: dict[str, Any] = {"kind": "retention"}
    recipe = dateless_recipe(model=QUICK, scale=scale)
    model = fit_health_model(small_dataset(recipe), recipe)
    assert isinstance(model.scale, RetentionScale)
    scores = model.score(small_table(rows=50))
    np.testing.assert_allclose(scores["health_score"], 100 * (1 - scores["churn_probability"]), atol=1e-8)


def test_tiers_floor_and_carried_columns_come_from_the_recipe() -> None:
    recipe = dateless_recipe(model={**QUICK, "coverage_floor": 0.7})
    recipe = load_recipe({**recipe.to_dict(), "tiers": {"Good": 60, "Bad": 0}})
    model = fit_health_model(small_dataset(recipe), recipe)
    assert model.tiers.names == ("Good", "Bad")
    assert model.coverage_floor == 0.7
    assert (model.carried.account, model.carried.snapshot_date, model.carried.keep) == (
        "account",
        None,
        ("owner",),
    )


PRIOR = """
format = 1
name = "by hand"
[measures.usage]
weight = 7
curve = [[0, 0], [100, 100]]
[measures.tickets]
weight = 3
curve = [[0, 100], [9, 0]]
"""


def test_a_prior_card_rules_where_there_are_hardly_any_churns(tmp_path: Path) -> None:
    (tmp_path / "prior.toml").write_text(PRIOR, encoding="utf-8")
    frame = small_table(rows=400)
    churned = np.flatnonzero(frame["churned"])[:9]
    frame["churned"] = np.isin(np.arange(400), churned).astype(int)
    spec = {**QUICK, "prior": str(tmp_path / "prior.toml"), "min_events_per_weight": 0.0}
    recipe = dateless_recipe(model=spec)
    weights = fit_health_model(build_dataset(recipe, frame), recipe).card.weight_by_metric()
    assert weights["usage"] == pytest.approx(0.7, abs=0.05)
    assert weights["tickets"] == pytest.approx(0.3, abs=0.05)
    spec["prior"] = str(tmp_path / "none.toml")
    with pytest.raises(ScorecardError, match=r"none\.toml"):
        fit_health_model(build_dataset(recipe, frame), dateless_recipe(model=spec))


# --- refusals ---


def with_churns(n: int, *, rows: int) -> pd.DataFrame:
    return small_table(rows=rows).assign(churned=(np.arange(rows) * 7919 % rows < n).astype(int))


def test_120_accounts_with_6_churns_are_refused() -> None:
    recipe = dateless_recipe(model=QUICK)
    with pytest.raises(
        NotEnoughData, match=r"at least 10 churns and 2 events per weight.*events per weight"
    ) as caught:
        train(build_dataset(recipe, with_churns(6, rows=120)), recipe)
    assert caught.value.exit_code == 1


def test_one_outcome_only_is_refused() -> None:
    dataset = small_dataset(dateless_recipe())
    for value, told in ((0.0, "0 churned of 900"), (1.0, "900 churned of 900")):
        only = replace(dataset, churned=np.full(900, value))
        with pytest.raises(NotEnoughData, match=f"needs churned and renewed rows; found {told}"):
            fit_health_model(only, dateless_recipe())
        with pytest.raises(NotEnoughData, match="side must hold churned and renewed rows"):
            train(only, dateless_recipe())


def test_a_purge_that_leaves_nothing_is_refused() -> None:
    recipe = monthly_recipe(data={"horizon_days": 300})
    with pytest.raises(
        NotEnoughData, match=r"training side must hold churned and renewed rows; it holds 0 churned"
    ):
        train(build_dataset(recipe, months()), recipe)


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    train(
        small_dataset(dateless_recipe(), rows=300),
        dateless_recipe(),
        progress=lambda *step: told.append(step),
    )
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages[0] == "choosing how smooth curves are"
    assert stages[-1] == "judging on rows not seen in training"
    assert any(stage.startswith("growing trees") for stage in stages)
    assert told[-1][1:] == (1, 1)


# --- real tables ---


def telco(root: Path, shared_data: Path, **model: Any) -> tuple[Dataset, Recipe]:
    recipe = load_recipe(root / "training" / "telco.toml")
    recipe = recipe.with_data(shared_data / "telco-ibm" / "WA_Fn-UseC_-Telco-Customer-Churn.csv")
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update=model)})
    return build_dataset(recipe), recipe


def check_on_telco(model: HealthModel, dataset: Dataset, split: TestSplit) -> None:
    test = dataset.rows(split.test)
    scores = model.score(scoring_frame(model, test))
    assert set(scores["status"]) == {"ok"}
    p = scores["churn_probability"].to_numpy()
    n = len(p)
    assert abs(p.mean() - test.churned.mean()) < 3 * np.sqrt(0.265 * 0.735 / n)
    # the honest range is .411-.417 and .846-.850 in five folds; one test of 1,760 rows spreads by about .01
    assert 0.38 < log_loss(test.churned, p) < 0.445
    assert 0.825 < roc_auc_score(test.churned, p) < 0.875
    why = explain(model, test.frame.iloc[:300])
    total = why.base + why.points.sum(axis=1)
    assert (total - scores["health_score"].iloc[:300]).abs().max() <= 1e-6


def split_of(dataset: Dataset, recipe: Recipe) -> TestSplit:
    spec = recipe.split
    return test_split(
        dataset, test_share=spec.test_share, test_from=spec.test_from, random_state=spec.random_state
    )


@pytest.mark.slow
def test_telco_formula_in_the_honest_range(root: Path, shared_data: Path) -> None:
    dataset, recipe = telco(root, shared_data, kind="scorecard", bootstrap=0)
    check_on_telco(train(dataset, recipe), dataset, split_of(dataset, recipe))


@pytest.mark.slow
def test_telco_blend_in_the_honest_range(root: Path, shared_data: Path) -> None:
    dataset, recipe = telco(root, shared_data, bootstrap=20)
    model = train(dataset, recipe)
    check_on_telco(model, dataset, split_of(dataset, recipe))
    assert model.facts["blend"]["log_loss_blend"] < 0.43
