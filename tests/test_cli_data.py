"""The commands about data, as a user runs them: leaks, metrics, raw tables."""

import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from chs_ml.cli import app
from chs_ml.table import read_table


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def portfolio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("portfolio")
    ran = run("simulate", folder, "--accounts", 250, "--months", 18, "--seed", 2, "--raw")
    assert ran.exit_code == 0, ran.output
    return folder


def test_check_names_a_leak_and_fails_only_when_strict(portfolio: Path) -> None:
    table = read_table(portfolio / "customers.csv")
    left = (table["outcome"] == "churned").map({True: "yes", False: "no"})
    table.assign(offboarding=left).to_csv(portfolio / "leak.csv", index=False)
    words = ("check", portfolio / "recipe.toml", "--data", portfolio / "leak.csv")
    assert run(*words).exit_code == 0
    ran = run(*words, "--strict", "--json")
    assert ran.exit_code == 1
    found = json.loads(ran.stdout)
    assert {"suspected-leak"} <= {f["code"] for f in found["findings"] if f["subject"] == "offboarding"}
    assert "leaks" in found


def test_check_can_leave_leaks_out(portfolio: Path) -> None:
    ran = run("check", portfolio / "recipe.toml", "--no-leaks", "--json")
    assert ran.exit_code == 0
    assert "leaks" not in json.loads(ran.stdout)


def test_metrics_shows_churn_by_quantile(portfolio: Path) -> None:
    ran = run("metrics", portfolio / "recipe.toml", "--chart", "usage_days")
    assert ran.exit_code == 0
    assert "█" in ran.stdout
    wrong = run("metrics", portfolio / "recipe.toml", "--chart", "usage_dyas")
    assert wrong.exit_code == 2
    assert "Did you mean 'usage_days'?" in wrong.stderr


def test_raw_tables_stand_beside_their_recipe(portfolio: Path) -> None:
    events = pd.read_parquet(next((portfolio / "raw").rglob("*.parquet")))
    assert len(events)
    text = (portfolio / "raw_recipe.toml").read_text()
    assert "[tables." in text
    assert str(portfolio) not in text


def snapshot(recipe: Path, out: Path, *words: object) -> pd.DataFrame:
    ran = run("snapshot", recipe, out, "--json", *words)
    assert ran.exit_code == 0, ran.output
    table, said = read_table(out), json.loads(ran.stdout)
    assert (said["rows"], said["metrics"]) == (len(table), len(table.columns) - 3)
    return table


def test_a_snapshot_as_of_a_day_is_what_training_saw_on_it(portfolio: Path, tmp_path: Path) -> None:
    """No skew between training and serving: what the tables say about later days changes nothing."""
    recipe = portfolio / "raw_recipe.toml"
    trained = snapshot(recipe, tmp_path / "training.csv")
    for date in trained["snapshot_date"].value_counts().index[:2]:
        today = snapshot(recipe, tmp_path / "today.csv", "--as-of", date[:10])
        assert set(today["outcome"]) == {"open"}
        then = trained[trained["snapshot_date"] == date].reset_index(drop=True)
        now = today[today["account_id"].isin(then["account_id"])].reset_index(drop=True)
        assert 1 < len(then) < len(today)
        pd.testing.assert_frame_equal(then.drop(columns="outcome"), now.drop(columns="outcome"))


def test_a_snapshot_of_any_day_lists_that_days_customers(portfolio: Path, tmp_path: Path) -> None:
    ran = run("snapshot", portfolio / "raw_recipe.toml", tmp_path / "t.parquet", "--as-of", "2024-05-17")
    assert ran.exit_code == 0, ran.output
    terms, day = read_table(portfolio / "raw" / "subscriptions.parquet"), pd.Timestamp("2024-05-17")
    running = (terms["start_date"] <= day) & (terms["end_date"] > day)
    assert set(read_table(tmp_path / "t.parquet")["account_id"]) == set(terms.loc[running, "account_id"])


def test_a_snapshot_needs_raw_tables_and_a_day(portfolio: Path, tmp_path: Path) -> None:
    flat = run("snapshot", portfolio / "recipe.toml", tmp_path / "t.csv", "--as-of", "2024-05-31")
    assert flat.exit_code == 2
    assert "needs raw tables with dates" in flat.stderr
    wrong = run("snapshot", portfolio / "raw_recipe.toml", tmp_path / "t.csv", "--as-of", "May")
    assert wrong.exit_code == 2
    assert "must be a day such as 2024-07-31" in wrong.stderr
