"""The audit of a card on portfolios whose truth is known, and the command line."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from chs_ml.bundle import load_model
from chs_ml.card_audit import (
    audit_card,
    calibrate_card,
    crossed_probability,
    join_history,
    judge_ranges,
    missing_policies,
    native_model,
)
from chs_ml.card_learning import Finding
from chs_ml.card_learning.health import card_rows
from chs_ml.cli import app
from chs_ml.dataset import Dataset
from chs_ml.errors import TableError
from chs_ml.explanation import explain
from chs_ml.health_model import CarriedColumns
from chs_ml.metric import Metric
from chs_ml.scorecard import (
    Combine,
    MissingRule,
    Scorecard,
    Staleness,
    StaleRule,
    load_scorecard,
)
from chs_ml.splits import grouped_folds
from chs_ml.tiers import Tiers
from tests.card_learning.simulated import card_of, portfolio
from tests.scorecard.cards import banded, straight

TRUTH = (0.5, 0.3, 0.2)


def test_a_card_that_works_and_one_that_does_not() -> None:
    data = portfolio(TRUTH, rows=3000, seed=1)
    works = audit_card(card_of(TRUTH), data, n_bootstrap=100)
    assert works.answer == "yes"
    assert [m.finding for m in works.measures] == [Finding.WORKS] * 3
    assert "Yes: accounts with a higher score renew more often." in works.to_text()
    against = audit_card(card_of((1, 1)), portfolio((-0.5, -0.5), rows=3000), n_bootstrap=100)
    assert (against.answer, against.model, against.chances) == ("the wrong way", None, ())
    nothing = audit_card(card_of((1, 1)), portfolio((0.0, 0.0), rows=3000, seed=4), n_bootstrap=100)
    assert nothing.answer == "no evidence"
    assert "NO EVIDENCE" in nothing.to_text()
    few = audit_card(card_of(TRUTH), portfolio(TRUTH, rows=40, seed=2), n_bootstrap=100)
    assert few.answer == "not enough data"


def test_the_page_is_plain_and_the_json_whole() -> None:
    found = audit_card(card_of(TRUTH), portfolio(TRUTH, rows=2000), n_bootstrap=100)
    assert max(len(line) for line in found.to_text().splitlines()) <= 100
    assert "No account that is scored lacks a value" in found.to_text()
    plain = json.loads(found.to_json())
    assert plain["answer"] == "yes"
    assert {"measures", "ranges", "policies", "chances", "report", "duel", "green_churn"} <= set(plain)
    assert len(found.green_churn) == len(plain["green_churn"])
    assert found.green_churn["score"].is_monotonic_decreasing
    assert (found.green_churn["score"] >= 75).all()


def test_the_calibrated_card_keeps_its_points_and_gives_an_honest_probability() -> None:
    data = portfolio(TRUTH, rows=3000, seed=1)
    card = card_of(TRUTH)
    rows = card_rows(card, data)
    model = native_model(card, rows, calibrate_card(rows), tiers=Tiers(), carried=CarriedColumns())
    assert model is not None
    scores = model.score(data.frame)
    np.testing.assert_allclose(scores["health_score"], card.score(data.frame)["health_score"], atol=1e-9)
    reference = LogisticRegression(C=1e9, max_iter=500).fit(rows.score[:, None] / 100, rows.churned)
    expected = reference.predict_proba(rows.score[:, None] / 100)[:, 1]
    np.testing.assert_allclose(scores["churn_probability"], expected, atol=1e-4)
    why = explain(model, data.frame)
    np.testing.assert_allclose(why.base + why.points.sum(axis=1), scores["health_score"], atol=1e-6)


def test_judged_probabilities_come_from_other_accounts() -> None:
    rows = card_rows(card_of(TRUTH), portfolio(TRUTH, rows=900, seed=1))
    folds = grouped_folds(rows.account, rows.churned, n_folds=5, random_state=3)
    expected = np.empty(len(folds))
    for fold in range(5):
        here = folds == fold
        fit = LogisticRegression(C=1e9, max_iter=500).fit(rows.score[~here, None] / 100, rows.churned[~here])
        expected[here] = fit.predict_proba(rows.score[here, None] / 100)[:, 1]
    np.testing.assert_allclose(crossed_probability(rows, random_state=3), expected, atol=1e-3)


def test_ranges_that_are_too_wide_crowded_or_out_of_order() -> None:
    rng = np.random.default_rng(0)
    n = 6000
    frame = pd.DataFrame({name: rng.uniform(0, 100, n) for name in ("m0", "m1", "m2")})
    # m0 works all along, but the card gives two thirds of it one number of points; m1 is one band for nearly
    # all; m2 churns most in the middle, where the card gives more than at the bottom
    risk = -0.5 - 0.04 * frame["m0"] + 2.0 * frame["m2"].between(40, 60)
    base = portfolio(TRUTH, rows=n)
    data = replace(base, frame=frame, churned=(rng.random(n) < expit(risk)).astype(float))
    lines = (
        banded("m0", (0.0, 50.0, 100.0), (66.0, 90.0), "top"),
        banded("m1", (0.0, 100.0), (95.0,), "top"),
        banded("m2", (0.0, 50.0, 100.0), (40.0, 60.0), "top"),
    )
    card = Scorecard(name="x", measures=lines)
    found = {(r.metric, r.low, r.high): r for r in judge_ranges(card, card_rows(card, data))}
    assert found["m0", -np.inf, 66.0].finding == "too wide"
    assert found["m1", -np.inf, 95.0].finding == "crowded"
    assert found["m2", 40.0, 60.0].finding == "out of order"
    inside = (frame["m2"] > 40) & (frame["m2"] <= 60)
    assert found["m2", 40.0, 60.0].n == inside.sum()
    assert found["m2", 40.0, 60.0].churn == pytest.approx(data.churned[inside].mean())


def test_a_rule_that_flatters_silence_is_named() -> None:
    rng = np.random.default_rng(0)
    data = portfolio((0.5, 0.5), rows=4000, seed=6)
    gone = rng.random(4000) < np.where(data.churned == 1, 0.6, 0.2)
    data = replace(data, frame=data.frame.assign(m0=data.frame["m0"].mask(gone)))
    card = card_of((1, 1))
    rows = card_rows(card, data)
    table = {row.policy: row for row in missing_policies(card, rows)}
    assert set(table) == {"renormalise", "redistribute", "neutral", "worst", "withhold"}
    assert table["renormalise"].current
    assert table["withhold"].scored == int((~gone).sum())
    lacks = gone[rows.positions]
    for rule in ("renormalise", "neutral", "worst"):
        one = replace(card, missing=MissingRule(rule)).score(data.frame)["health_score"].to_numpy()
        assert table[rule].score_missing == pytest.approx(one[rows.positions][lacks].mean())
        assert table[rule].churn_missing == pytest.approx(rows.churned[lacks].mean())
    assert table["worst"].auc > table["renormalise"].auc
    assert table["worst"].gain == pytest.approx(table["worst"].auc - table["renormalise"].auc)
    assert table["worst"].gain_interval.low > 0
    assert np.isnan(table["renormalise"].gain)
    page = audit_card(card, data, n_bootstrap=50).to_text()
    assert "says something that your rule leaves unused: under 'worst'" in " ".join(page.split())
    sums = Scorecard(name="s", measures=(straight("m0"), straight("m1")), combine=Combine.SUM,
                     missing=MissingRule.NEUTRAL)  # fmt: skip
    assert {r.policy for r in missing_policies(sums, card_rows(sums, data))} == {
        "neutral",
        "worst",
        "withhold",
    }


def test_a_history_is_joined_by_lead_time_and_scores_that_heal_after_churn_are_named() -> None:
    scores = pd.DataFrame({
        "account": ["a"] * 4 + ["b"] * 2 + ["c"],
        "date": ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-01-15", "2026-03-01",
                 "2025-01-01"],
        "score": [80, 40, 30, 95, 60, 90, 70],
    })  # fmt: skip
    renewals = pd.DataFrame({
        "account": ["a", "b", "c"],
        "renewal_date": ["2026-04-01", "2026-03-20", "2026-03-20"],
        "outcome": ["churned", "renewed", "open"],
    })  # fmt: skip
    found = join_history(scores, renewals, lead_days=30)
    # a: known by 2 March, so that of 28 February; b: by 18 February; c: too old
    assert found.renewals["score"].tolist()[:2] == [40.0, 60.0]
    assert found.renewals["snapshot_date"].dt.strftime("%m-%d").tolist()[:2] == ["02-28", "01-15"]
    assert np.isnan(found.renewals["score"][2])
    assert found.renewals["tier"].tolist()[:2] == ["Critical", "At-Risk"]
    assert pd.isna(found.renewals["tier"][2])
    np.testing.assert_array_equal(found.renewals["churned"], [1.0, 0.0, np.nan])
    assert found.after_churn == 1
    healed = found.healed.iloc[0]
    assert (healed["account"], healed["score"], healed["score_before"]) == ("a", 95.0, 30.0)
    assert len(found.healed) == 1
    with pytest.raises(TableError, match="score history must have the columns"):
        join_history(scores.drop(columns="date"), renewals, lead_days=30)
    with pytest.raises(TableError, match="must be 0 or more"):
        join_history(scores, renewals, lead_days=-1)


CARD = """
format = 2
name = "ours"
[measures.m0]
weight = 2
curve = [[0, 0], [100, 100]]
[measures.m1]
weight = 1
curve = [[0, 0], [100, 100]]
[measures.same]
weight = 0
curve = [[0, 0], [100, 100]]
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    data = portfolio((0.6, 0.4), rows=900)
    table = data.frame.assign(id=data.account, outcome=data.churned.astype(int), same=5)
    table.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "card.toml").write_text(CARD, encoding="utf-8")
    recipe = '[data]\npath = "t.csv"\naccount = "id"\noutcome = "outcome"\n'
    (tmp_path / "r.toml").write_text(recipe, encoding="utf-8")
    return tmp_path


def run(*words: object) -> object:
    return CliRunner().invoke(app, [str(w) for w in words])


def test_validate_card_on_a_recipe_and_on_a_table(files: Path) -> None:
    by_recipe = run("validate", "--card", files / "card.toml", files / "r.toml")
    assert by_recipe.exit_code == 0, by_recipe.output
    assert "Does the score 'ours' predict renewals?" in by_recipe.output
    columns = ("--outcome", "outcome", "--account", "id")
    by_table = run("validate", "--card", files / "card.toml", files / "t.csv", *columns)
    assert by_table.output == by_recipe.output
    plain = json.loads(run("validate", "--card", files / "card.toml", files / "r.toml", "--json").output)
    assert plain["answer"] == "yes"
    assert plain["measures"][2]["finding"] == "does not vary"
    for words in ((files / "t.csv",), (), (files / "r.toml", "--outcome", "outcome")):
        assert run("validate", "--card", files / "card.toml", *words).exit_code == 2


def test_learn_weights_writes_the_card_and_the_table(files: Path) -> None:
    written = ("--out", files / "l.toml", "--table", files / "d.csv")
    done = run("learn-weights", files / "card.toml", files / "r.toml", *written)
    assert done.exit_code == 0, done.output
    card = load_scorecard(files / "l.toml")
    assert sum(m.weight for m in card.measures) == pytest.approx(100)
    assert pd.read_csv(files / "d.csv")["learned weight %"].sum() == 100


def test_validate_without_a_card_is_as_before(files: Path) -> None:
    done = run("validate", "--scores", files / "t.csv", "--outcome", "outcome", "--score", "m0")
    assert done.exit_code in (0, 1)
    assert "Verdict" in done.output


def test_judge_history_joins_judges_and_names_what_healed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    churned = rng.random(600) < 0.2
    score = np.clip(rng.normal(70 - 25 * churned, 15), 0, 100).round(3)
    accounts = [f"a{i}" for i in range(600)]
    early = pd.DataFrame({"account": accounts, "date": "2026-02-15", "score": score})
    late = pd.DataFrame({"account": accounts, "date": "2026-04-15", "score": 99.0})
    pd.concat([early, late]).to_csv(tmp_path / "scores.csv", index=False)
    outcomes = np.where(churned, "churned", "renewed")
    due = pd.DataFrame({"account": accounts, "renewal_date": "2026-04-01", "outcome": outcomes})
    due.to_csv(tmp_path / "renewals.csv", index=False)
    words = ("judge-history", tmp_path / "scores.csv", tmp_path / "renewals.csv", "--lead-days", 30)
    plain = json.loads(run(*words, "--json").output)
    # the scores of 99 came after the renewal: they judge nothing
    better = score[~churned][:, None] > score[churned][None, :]
    assert plain["report"]["statistics"][0]["value"] == pytest.approx(better.mean(), abs=2e-3)
    assert plain["after_churn"] == churned.sum()
    assert len(plain["healed"]) == int((score[churned] < 75).sum())
    text = run(*words).output
    assert "turned green after churn" in text


def test_a_served_card_counts_coverage_by_weight_and_ages_by_the_snapshot() -> None:
    old = Staleness(date="asked_on", after=30.0, rule=StaleRule.DROP)
    card = Scorecard(
        name="x", measures=(straight("m0", 3.0), straight("m1", 1.0, staleness=old)), coverage_floor=0.5
    )
    data = portfolio((0.7, 0.3), rows=800, seed=3)
    days = pd.Series(pd.Timestamp("2026-03-01"), index=range(data.n))
    aged = replace(data, snapshot_date=days, keep=pd.DataFrame({"asked_on": days}))
    model = audit_card(card, aged, n_bootstrap=50).model
    assert model is not None
    frame = pd.DataFrame(
        {
            "m0": [40.0, 40.0, np.nan],
            "m1": [80.0, 80.0, 80.0],
            "asked_on": ["2026-02-20", "2025-12-01", "2026-02-20"],
            "snapshot_date": "2026-03-01",
        }
    )
    # fresh (3 x 40 + 80) / 4 = 50; 90 days old: dropped, 3/4 of the weight is left; without m0 only 1/4 is
    served, alone = model.score(frame), card.score(frame, as_of="snapshot_date")
    for table in (served, alone):
        assert table["health_score"].tolist()[:2] == pytest.approx([50.0, 40.0], abs=1e-9)
        assert table["coverage"].tolist() == [1.0, 0.75, 0.25]
        assert table["status"].tolist() == ["ok", "degraded", "withheld"]
        assert table["status_detail"].tolist() == ["", "stale, dropped: m1", "coverage below 50%"]


def test_the_page_counts_snapshots_and_names_each_account_once() -> None:
    data = portfolio(TRUTH, rows=2000, seed=7)
    months = replace(data, account=pd.Series([f"a{i % 400}" for i in range(data.n)]))
    found = audit_card(card_of(TRUTH), months, n_bootstrap=50)
    text = " ".join(found.to_text().split())
    assert "Judged on 2,000 snapshots of 400 accounts" in text
    green = found.green_churn
    assert text.count(f"{green['account'].iloc[0]} (") == 1
    assert f"{len(green)} snapshots of {green['account'].nunique()} accounts" in text or (
        len(green) == green["account"].nunique()
    )


def test_ranges_of_a_measure_that_points_the_wrong_way_are_not_refined() -> None:
    data = portfolio((0.6, -0.6), rows=4000, seed=2)
    card = Scorecard(name="x", measures=(banded("m0", (0.0, 100.0), (50.0,), "top"),
                                         banded("m1", (0.0, 100.0), (50.0,), "top")))  # fmt: skip
    found = audit_card(card, data, n_bootstrap=50)
    assert {row.metric for row in found.ranges if row.finding == "too wide"} == {"m0", "m1"}
    section = found.to_text().split("Its scoring ranges")[1].split("What a missing")[0]
    assert "M0 up to 50 is too wide" in section
    assert "M1" not in section


def test_a_saved_card_with_two_measures_on_one_column_scores_the_same(root: Path, tmp_path: Path) -> None:
    card = load_scorecard(root / "models" / "scorecards" / "planhat.toml")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "usage_days": rng.uniform(0, 30, 600), "nps": rng.integers(0, 11, 600),
            "tickets_open": rng.integers(0, 7, 600), "contract_growth": rng.normal(0, 15, 600),
            "touchpoints": rng.integers(0, 9, 600),
        }
    ).astype(float)  # fmt: skip
    score = card.score(frame)["health_score"].to_numpy()
    churned = (rng.random(600) < expit(1.5 - score / 20.0)).astype(float)
    data = Dataset(
        frame=frame, metrics=tuple(Metric(name=name) for name in frame.columns), churned=churned,
        account=pd.Series([f"a{i}" for i in range(600)]),
    )  # fmt: skip
    model = audit_card(card, data, n_bootstrap=50).model
    assert model is not None
    model.save(tmp_path / "model")
    again = load_model(tmp_path / "model")
    np.testing.assert_allclose(again.score(frame)["health_score"], score, atol=1e-9)
    assert list(again.schema.inputs) == list(frame.columns)
    why = explain(again, frame)
    np.testing.assert_allclose(why.base + why.points.sum(axis=1), score, atol=1e-6)
    assert "asks_for_help" in why.points
