"""Files for CRMs: every account once, in the CRM's own names and spelling."""

import csv
import json
from pathlib import Path

import pandas as pd
import pytest
import tomli_w
from typer.testing import CliRunner

from chs_ml import writeback
from chs_ml.cli import app
from chs_ml.errors import InputError, RecipeError, TableError
from chs_ml.recipe import HubSpotSpec, SalesforceSpec, load_recipe
from chs_ml.table import write_table
from chs_ml.writeback import write_hubspot, write_salesforce
from tests.small_model import customers, small_model

FIELDS = {"health_score": "Health_Score__c", "tier": "Health_Tier__c", "churn_probability": "Churn__c"}
SALESFORCE = SalesforceSpec(external_id="Key__c", fields=FIELDS)
HUBSPOT = HubSpotSpec(
    id_property="account_key", fields={"health_score": "health_score", "tier": "health_tier"}
)


def scores() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "account_id": ["A1", "A2", "A,3", "A1"],
            "snapshot_date": pd.to_datetime(["2024-01-31", "2024-01-31", "2024-01-31", "2024-02-29"]),
            "churn_probability": [0.5, 0.123456, None, 0.25],
            "health_score": [50.0, 71.26, None, 66.66],
            "tier": ["At-Risk", "At-Risk", None, "At-Risk"],
        }
    )


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.reader(handle))


def test_salesforce_takes_the_latest_score_of_each_account(tmp_path: Path) -> None:
    done = write_salesforce(scores(), tmp_path / "up.csv", SALESFORCE)
    assert (done.files, done.accounts, done.unchanged) == ((tmp_path / "up.csv",), 3, 0)
    assert rows_of(tmp_path / "up.csv") == [
        ["Key__c", "Health_Score__c", "Health_Tier__c", "Churn__c"],
        ["A2", "71.3", "At-Risk", "0.1235"],
        ["A,3", "#N/A", "#N/A", "#N/A"],
        ["A1", "66.7", "At-Risk", "0.2500"],
    ]


def test_hubspot_takes_bodies_of_a_hundred(tmp_path: Path) -> None:
    many = pd.DataFrame({"account_id": range(250), "health_score": 50.0, "tier": "At-Risk"})
    many.loc[0, ["health_score", "tier"]] = None
    done = write_hubspot(many, tmp_path / "up.jsonl", HUBSPOT)
    bodies = [json.loads(line) for line in (tmp_path / "up.jsonl").read_text().splitlines()]
    assert [len(body["inputs"]) for body in bodies] == [100, 100, 50]
    assert bodies[0]["inputs"][:2] == [
        {"id": "0", "idProperty": "account_key", "properties": {"health_score": "", "health_tier": ""}},
        {"id": "1", "idProperty": "account_key",
         "properties": {"health_score": "50.0", "health_tier": "At-Risk"}},
    ]  # fmt: skip
    assert done.accounts == 250


def test_only_what_the_crm_would_see_change_is_written(tmp_path: Path) -> None:
    now = scores()
    now.loc[1, "health_score"] += 0.001  # the same 71.3
    now.loc[3, "tier"] = "Healthy"
    done = write_salesforce(now, tmp_path / "up.csv", SALESFORCE, previous=scores())
    assert (done.accounts, done.unchanged) == (1, 2)
    assert [row[0] for row in rows_of(tmp_path / "up.csv")] == ["Key__c", "A1"]
    nothing = write_hubspot(scores(), tmp_path / "no.jsonl", HUBSPOT, previous=scores())
    assert (nothing.files, nothing.accounts, nothing.unchanged) == ((), 0, 3)
    assert not (tmp_path / "no.jsonl").exists()


def test_large_uploads_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writeback, "SALESFORCE_BYTES", 80)
    done = write_salesforce(scores(), tmp_path / "up.csv", SALESFORCE)
    assert [path.name for path in done.files] == ["up.csv", "up-2.csv", "up-3.csv"]
    assert [rows_of(path)[1][0] for path in done.files] == ["A2", "A,3", "A1"]


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "up.csv"
    with pytest.raises(TableError, match="no column 'tier'"):
        write_salesforce(scores().drop(columns="tier"), target, SALESFORCE)
    with pytest.raises(TableError, match="must have an account id; 1 have none"):
        write_salesforce(scores().assign(account_id=["A", "B", None, "C"]), target, SALESFORCE)
    with pytest.raises(TableError, match="one score a day; 1 rows are a second one: 'A1'"):
        write_salesforce(scores().drop(columns="snapshot_date"), target, SALESFORCE)
    with pytest.raises(TableError, match="one score a day"):
        write_salesforce(pd.concat([scores(), scores().head(1)]), target, SALESFORCE)
    assert not target.exists()


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"salesforce": {"fields": {}}}, "must map at least one column"),
        ({"salesforce": {"fields": {"tier": "X", "health_score": "X"}}}, "name each field once"),
        ({"salesforce": {"field": {}}}, "field"),
        ({"dynamics": {}}, "dynamics"),
    ],
)
def test_recipes_that_map_wrongly_are_refused(section: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        load_recipe({"data": {"outcome": "y"}, "writeback": section})
    with pytest.raises(InputError, match=r"writeback\.hubspot\.fields"):
        writeback.target_spec(load_recipe({"data": {"outcome": "y"}}), "hubspot")


def test_the_command_reads_scores_and_recipe(tmp_path: Path) -> None:
    write_table(small_model().score(customers()), tmp_path / "scores.csv")
    recipe = {"data": {"outcome": "y"}, "writeback": {"salesforce": {"fields": FIELDS}}}
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps(recipe))
    command = ["write-back", "salesforce", tmp_path / "scores.csv", tmp_path / "up.csv", "--json"]
    command += ["--recipe", tmp_path / "recipe.toml"]
    ran = CliRunner().invoke(app, [str(part) for part in command])
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["accounts"] == customers()["account_id"].nunique()
    again = CliRunner().invoke(app, [str(part) for part in [*command, "--previous", tmp_path / "scores.csv"]])
    assert json.loads(again.stdout) == {
        "files": [], "accounts": 0, "unchanged": customers()["account_id"].nunique(),
    }  # fmt: skip
