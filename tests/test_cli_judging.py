"""The commands that judge: value, time and outreach beside the verdict, certificates, tiers, backtests."""

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w
from typer.testing import CliRunner, Result

from chs_ml.account_sketch import AccountSketch
from chs_ml.bundle import save_model
from chs_ml.cli import app
from chs_ml.recipe import load_recipe
from chs_ml.table import write_table
from chs_ml.tiers import Tiers
from chs_ml.validation import capture_before_churn, certify, score_history, tiers_for_capacity
from tests.small_model import customers, small_model, small_portfolio, small_recipe

COMMANDS = ("validate", "compare", "certify", "tiers", "backtest")
SETTINGS: dict[str, Any] = {"bootstrap": 50, "treated": "called", "churn_date": "left_on"}


def run(*arguments: object) -> Result:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def told(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


def refused(*arguments: object, code: int = 2) -> str:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert "Error: " in result.stderr
    return " ".join(result.stderr.split())


def history() -> pd.DataFrame:
    """The portfolio with the days accounts left, an outreach log, and exported scores."""
    table = customers()
    churned = small_portfolio().renewals.query("outcome == 'churned'")
    table["left_on"] = table["account_id"].map(churned.set_index("account_id")["renewal_date"])
    table["called"] = np.where(np.random.default_rng(0).random(len(table)) < 0.3, "yes", "no")
    scores = small_model().score(table)
    return table.assign(score=scores["health_score"], p=scores["churn_probability"])


def recipe_content(**validation: Any) -> dict[str, Any]:
    content = small_recipe(path="customers.csv")
    content["data"]["ignore"] = ["score", "p"]
    return {**content, "validation": {**SETTINGS, **validation}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Scores with everything beside them, a recipe that says so, and a model."""
    write_table(history(), tmp_path / "customers.csv")
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps(recipe_content()))
    save_model(small_model(), tmp_path / "model")
    return tmp_path


def of_scores(folder: Path, *more: object) -> tuple[object, ...]:
    scores = ("--scores", folder / "customers.csv", "--score", "score", "--probability", "p")
    return ("validate", *scores, "--outcome", "outcome", "--account", "account_id", *more)


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str) -> None:
    shown = run(command, "--help")
    assert shown.exit_code == 0
    assert "--json" in shown.stdout


# --- validate: value, time, outreach ---


def test_the_recipe_says_how_a_model_is_judged(folder: Path) -> None:
    found = told("validate", folder / "model", folder / "customers.csv", "--recipe", folder / "recipe.toml")
    assert found["n_bootstrap"] == 50
    assert len(found["worth"]["net_benefit"]) == 8
    assert found["worth"]["capacity"] is None
    assert found["time"]["capture"][0]["days_before"] == 30
    assert [tier["tier"] for tier in found["interventions"]["tiers"]] == ["Healthy", "At-Risk", "Critical"]
    plain = told("validate", folder / "model", folder / "customers.csv")
    assert (plain["n_bootstrap"], plain["time"], plain["interventions"]) == (1000, None, None)


def test_the_history_is_judged_as_the_library_judges_it(folder: Path) -> None:
    table = history()
    dated = ("--snapshot-date", "snapshot_date", "--churn-date", "left_on")
    found = told(*of_scores(folder, *dated))["time"]
    scores = score_history(
        table["account_id"], snapshot_date=table["snapshot_date"], score=table["score"].round(9)
    )
    churns = table.dropna(subset="left_on").drop_duplicates("account_id").set_index("account_id")["left_on"]
    expected = capture_before_churn(scores, churns)
    assert [c["known"] for c in found["capture"]] == [c.known for c in expected]
    assert [c["below_healthy"] for c in found["capture"]] == [c.below_healthy for c in expected]
    assert {one["account"] for one in found["green_churn"]} <= set(churns.index)
    moves = sum(sum(row.values()) for row in found["migration"].values())
    assert moves == found["flapping"]["moves"]
    assert found["false_alarms"]["alarms"] > 0
    assert [cost["readings"] for cost in found["hysteresis"]] == [1, 1, 1, 2, 3]
    shorter = told(*of_scores(folder, *dated, "--horizon-days", 10))["time"]
    assert shorter["false_alarms"]["false_share"] >= found["false_alarms"]["false_share"]


def test_a_model_names_what_drove_green_churn(folder: Path) -> None:
    later = history().query("snapshot_date > '2024-10-01'").drop(columns="left_on")
    write_table(later, folder / "later.csv")
    result = run(
        "validate", folder / "model", folder / "later.csv", "--recipe", folder / "recipe.toml",
        "--history", folder / "customers.csv",
    )  # fmt: skip
    for title in ("Seen coming", "Green churn", "False alarms", "Moves between tiers", "Restlessness",
                  "What hysteresis costs", "With and without outreach", "Net benefit"):  # fmt: skip
        assert f"\n{title}\n" in result.stdout
    assert "Coverage" in result.stdout
    assert "points" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_a_history_without_churn_dates_shows_moves_only(folder: Path) -> None:
    found = told(
        "validate", folder / "model", folder / "customers.csv", "--history", folder / "customers.csv"
    )
    assert found["time"]["capture"] == []
    assert found["time"]["false_alarms"] is None
    assert found["time"]["snapshots"] == len(customers())


@pytest.mark.parametrize(
    ("options", "profit_of"),
    [
        (("--incentive", 0.05, "--contact", 15, "--value", "arr"), "EMPB"),
        (("--incentive", 10, "--contact", 1, "--customer-value", 200), "EMPC"),
        ((), ""),
    ],
)
def test_a_campaign_is_judged_where_its_numbers_are_given(
    folder: Path, options: tuple[object, ...], profit_of: str
) -> None:
    found = told(*of_scores(folder, *options))["worth"]
    assert found["profit_of"] == profit_of
    assert (found["profit"] is None) == (not profit_of)


def test_value_at_capacity_is_per_month(folder: Path) -> None:
    known = history().query("outcome != 'open'")
    sizes = known["snapshot_date"].dt.strftime("%Y-%m").value_counts().clip(upper=10)
    found = told(*of_scores(folder, "--capacity", 10, "--snapshot-date", "snapshot_date"))["worth"][
        "capacity"
    ]
    assert found["called"] == sizes.sum()
    once = told(*of_scores(folder, "--capacity", 10))["worth"]["capacity"]
    assert once["called"] == 10
    assert "Calling the 10 riskiest" in run(*of_scores(folder, "--capacity", 10)).stdout


def test_treated_and_untreated_rows_are_counted(folder: Path) -> None:
    known = history().query("outcome != 'open'")
    found = told(*of_scores(folder, "--treated", "called", "--randomised"))["interventions"]
    assert found["randomised"]
    assert sum(tier["treated"] for tier in found["tiers"]) == (known["called"] == "yes").sum()


def test_markdown(folder: Path) -> None:
    text = run(*of_scores(folder, "--capacity", 5, "--markdown")).stdout
    assert text.startswith("## Validation: ")
    assert "### Value\n\nCalling the 5 riskiest" in text
    assert "| Act from | Acted on |" in text


def test_a_broken_promise_fails(folder: Path) -> None:
    """Every row is in the promising tier, and 9 % of them churn."""
    table = pd.DataFrame(
        {"score": [90.0] * 400 + [10.0] * 400, "y": [0] * 360 + [1] * 40 + [0] * 200 + [1] * 200}
    )
    table["score"] += np.linspace(0, 1, len(table))
    write_table(table, folder / "scores.csv")
    command = ("validate", "--scores", folder / "scores.csv", "--score", "score", "--outcome", "y")
    content = {"data": {"outcome": "y"}, "tiers": {"Healthy": 75.0, "Critical": 0.0}}
    codes = {}
    for at_most in (0.03, 0.2):
        promise = {"tier": "Healthy", "at_most": at_most}
        path = folder / f"{at_most}.toml"
        path.write_text(tomli_w.dumps({**content, "validation": {"promises": [promise], "bootstrap": 50}}))
        found = run(*command, "--recipe", path, "--json")
        tests = {test["name"]: test["verdict"] for test in json.loads(found.stdout)["tests"]}
        codes[tests["tier_promise"]] = found.exit_code
    assert codes == {"fail": 1, "pass": 0}


def test_what_is_asked_for_must_be_there(folder: Path) -> None:
    assert "no column 'caled'. Did you mean 'called'?" in refused(*of_scores(folder, "--treated", "caled"))
    assert "no column 'left'" in refused(*of_scores(folder, "--churn-date", "left"))
    assert "--snapshot-date" in refused(*of_scores(folder, "--churn-date", "left_on"))
    assert "must say yes or no in every row" in refused(*of_scores(folder, "--treated", "usage_days"))
    assert "incentive and contact belong together" in refused(*of_scores(folder, "--incentive", 0.1))
    assert "needs customer_value" in refused(*of_scores(folder, "--incentive", 0.1, "--contact", 1))
    moved = history()
    repeated = moved["left_on"].notna() & moved["account_id"].duplicated()
    moved.loc[repeated.idxmax(), "left_on"] = pd.Timestamp("2020-01-01")
    write_table(moved, folder / "customers.csv")
    dated = ("--snapshot-date", "snapshot_date", "--churn-date", "left_on")
    assert "must be one day per account" in refused(*of_scores(folder, *dated))


def test_a_recipe_may_name_columns_that_a_table_lacks(folder: Path) -> None:
    write_table(customers(), folder / "plain.csv")
    result = run("validate", folder / "model", folder / "plain.csv", "--recipe", folder / "recipe.toml")
    assert result.stdout.startswith("Validation: ")
    said = " ".join(result.stdout.split())
    assert "No column 'called' ([validation] treated), so churn with and without outreach" in said
    assert "No column 'left_on' ([validation] churn_date), so whether churn was seen coming" in said
    assert "Seen coming" not in result.stdout


# --- compare ---


def test_rivals_join_and_margins_are_given(folder: Path) -> None:
    command = ("compare", folder / "customers.csv", "--outcome", "outcome", "--score", "score")
    rivals = ("--metric", "usage_days", "--metric", "csat", "--base-rate", "--margin", "auc=0.5")
    found = told(*command, *rivals, "--account", "account_id", "--recipe", folder / "recipe.toml")
    assert [one["name"] for one in found["contestants"]] == ["score", "best metric: usage_days", "base rate"]
    gaps = {(d["second"], d["statistic"]): d for d in found["differences"]}
    assert gaps["best metric: usage_days", "auc"]["margin"] == 0.5
    assert gaps["best metric: usage_days", "auc"]["equivalent"]
    assert found["n_bootstrap"] == 50
    assert "Unknown key [validation.margins] auk" in refused(*command, "--base-rate", "--margin", "auk=1")
    assert "--margin must be STATISTIC=NUMBER" in refused(*command, "--base-rate", "--margin", "auc=x")
    assert "must be a column of finite numbers" in refused(*command, "--metric", "sponsor")


# --- certify and tiers ---


def test_a_certificate_can_be_pasted_and_is_checked_again(folder: Path) -> None:
    command = ("certify", folder / "model", folder / "customers.csv", "--at-most", 0.25)
    result = run(*command)
    assert result.exit_code == 0
    assert "Certified: churn in Healthy at most 25.0%" in result.stdout
    assert "rows that training may have known are left out" in result.stderr
    block = tomllib.loads(result.stdout[result.stdout.index("[tiers]") :])
    found = told(*command)
    assert found["tiers"] == block["tiers"]
    assert block["validation"]["promises"] == [found["certificate"]["promise"]]
    recipe = recipe_content(promises=block["validation"]["promises"])
    (folder / "pasted.toml").write_text(tomli_w.dumps({**recipe, "tiers": block["tiers"]}))
    report = told("validate", folder / "model", folder / "customers.csv", "--recipe", folder / "pasted.toml")
    assert [row["tier"] for row in report["tiers"]] == list(block["tiers"])
    assert [test["subject"] for test in report["tests"] if test["name"] == "tier_promise"] == ["Healthy"]


def test_promises_of_the_models_own_recipe_are_checked(folder: Path) -> None:
    facts = {**small_model().facts}
    facts["recipe"] = {**facts["recipe"], "validation": {"promises": [{"tier": "Healthy", "at_most": 0.2}]}}
    save_model(replace(small_model(), facts=facts), folder / "promising")
    report = told("validate", folder / "promising", folder / "customers.csv")
    assert any(test["name"] == "tier_promise" for test in report["tests"])


def test_certify_a_table_of_scores_as_the_library_does(folder: Path) -> None:
    table = history()
    columns = ("--outcome", "outcome", "--score", "score", "--probability", "p", "--account", "account_id")
    found = told("certify", folder / "customers.csv", *columns, "--at-most", 0.2, "--tier", "Green")
    expected = certify(
        table["outcome"],
        score=table["score"],
        probability=table["p"],
        account=table["account_id"],
        at_most=0.2,
    )
    assert found["certificate"]["n"] == expected.n
    assert found["certificate"]["lower_bound"] == pytest.approx(expected.lower_bound)
    assert next(iter(found["tiers"])) == found["certificate"]["promise"]["tier"] == "Green"


def test_what_cannot_be_certified_is_said_with_exit_code_1(folder: Path) -> None:
    result = run("certify", folder / "model", folder / "customers.csv", "--at-most", 0.01)
    assert result.exit_code == 1
    assert "annot be certified" in result.stdout
    assert "[tiers]" not in result.stdout
    assert told("certify", folder / "model", folder / "customers.csv", "--at-most", 0.01)["tiers"] is None
    early = history().query("snapshot_date < '2024-05-01'")
    write_table(early, folder / "early.csv")
    seen = refused("certify", folder / "model", folder / "early.csv", "--at-most", 0.2, code=1)
    assert "No row comes after the outcome windows of the training data" in seen


def test_without_dates_the_accounts_of_the_fit_are_known(folder: Path) -> None:
    table = customers().drop_duplicates("account_id").reset_index(drop=True)
    fitted = table["account_id"][: len(table) // 2]
    sketch = AccountSketch.of(fitted, salt="x")
    facts = {**small_model().facts, "snapshots": None, "fitted_accounts": sketch.to_dict()}
    data = {key: facts["recipe"]["data"][key] for key in ("account", "outcome", "churned", "value", "ignore")}
    facts["recipe"] = {"data": {**data, "ignore": [*data["ignore"], "snapshot_date"]}}
    save_model(replace(small_model(), facts=facts), folder / "undated")
    write_table(table, folder / "undated.csv")
    left = int(sketch.holds(table["account_id"]).sum())
    result = run("certify", folder / "undated", folder / "undated.csv", "--at-most", 0.3)
    assert f"{left} of {len(table)} rows are left out: the model was fitted on" in result.stderr
    known = table[~sketch.holds(table["account_id"])]["outcome"] != "open"
    assert f"{known.sum()} accounts with one row each" in " ".join(result.stdout.split())
    report = told("validate", folder / "undated", folder / "undated.csv")
    assert f"{left} of {len(table)} rows are of accounts that the model" in " ".join(report["notes"])
    assert report["counts"]["new_account"] == known.sum()
    write_table(table[table["account_id"].isin(fitted)], folder / "seen.csv")
    seen = refused("certify", folder / "undated", folder / "seen.csv", "--at-most", 0.3, code=1)
    assert "The model was fitted on every account of these" in seen


def test_certify_usage(folder: Path) -> None:
    assert "a model needs DATA" in refused("certify", folder / "model", "--at-most", 0.1)
    assert "needs --outcome" in refused("certify", folder / "customers.csv", "--at-most", 0.1)
    model = ("certify", folder / "model", folder / "customers.csv")
    assert "at_most must lie between 0 and 1" in run(*model, "--at-most", 3).stderr
    assert "only the healthiest tier" in run(*model, "--at-most", 0.1, "--tier", "At-Risk").stderr


def test_tiers_for_a_capacity_on_the_newest_snapshot(folder: Path) -> None:
    table = history()
    newest = table.loc[table["snapshot_date"] == table["snapshot_date"].max(), "score"].to_numpy()
    expected = tiers_for_capacity(newest, capacities=[5, 15])
    result = run("tiers", folder / "model", folder / "customers.csv", "--capacity", 5, "--capacity", 15)
    assert "newest snapshot" in result.stderr
    block = tomllib.loads(result.stdout[result.stdout.index("[tiers]") :])["tiers"]
    assert Tiers.from_bounds(block).lower_bounds == pytest.approx(expected.lower_bounds)
    assert load_recipe({"data": {"outcome": "y"}, "tiers": block}).tiers == block
    without = told("tiers", folder / "customers.csv", "--score", "score", "--capacity", 5, "--capacity", 15)
    assert [row["rows"] for row in without["rows"]] == [len(table) - 20, 15, 5]


def test_tiers_for_rates(folder: Path) -> None:
    source = (
        "tiers",
        folder / "customers.csv",
        "--outcome",
        "outcome",
        "--score",
        "score",
        "--probability",
        "p",
    )
    found = told(*source, "--healthy-at-most", 0.03, "--critical-at-least", 0.3, "--name", "Green", "--name",
                 "Yellow", "--name", "Red")  # fmt: skip
    assert list(found["tiers"]) == ["Green", "Yellow", "Red"]
    rates = [row["churn_rate"] for row in found["rows"]]
    assert rates[0] < rates[2]
    for wrong in ((), ("--capacity", 5, "--healthy-at-most", 0.1), ("--healthy-at-most", 0.1)):
        assert "give --capacity, or both" in refused(*source, *wrong)
    assert "No tiers have these churn rates" in refused(
        *source, "--healthy-at-most", 0.001, "--critical-at-least", 0.9, code=1
    )


# --- backtest ---


def test_backtest(folder: Path) -> None:
    result = run("backtest", folder / "recipe.toml", "--origins", 2, "--threads", 1, "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == int(found["pooled"]["verdict"] in ("fail", "not enough data"))
    dates = [origin["date"] for origin in found["origins"]]
    assert len(dates) == 2
    table = customers().query("outcome != 'open'")
    for origin, until in zip(found["origins"], [*dates[1:], "9999-12-31"], strict=True):
        start = pd.Timestamp(origin["date"])
        over = table["snapshot_date"] + pd.Timedelta(days=90) < start
        judged = (table["snapshot_date"] >= start) & (table["snapshot_date"].astype("str") < until)
        assert origin["trained_on"] == over.sum()
        assert origin["purged"] == ((table["snapshot_date"] < start) & ~over).sum()
        assert origin["report"]["counts"]["judged"] == judged.sum()
    assert found["pooled"]["n_bootstrap"] == 50
    text = run("backtest", folder / "recipe.toml", "--origin", dates[-1]).stdout
    assert text.startswith("Backtest, origin by origin")


def test_a_backtest_needs_dates(folder: Path) -> None:
    undated = {"data": {"path": "customers.csv", "outcome": "outcome"}}
    (folder / "undated.toml").write_text(tomli_w.dumps(undated))
    assert "needs [data] snapshot_date" in refused("backtest", folder / "undated.toml")
    first = history().query("snapshot_date < '2024-03-31'")
    write_table(first, folder / "short.csv")
    short = refused("backtest", folder / "recipe.toml", "--data", folder / "short.csv", code=1)
    assert "later than the first outcome window" in short
