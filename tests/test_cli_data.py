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
