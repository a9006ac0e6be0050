"""The sections about raw tables: what they refuse, in words, and how they survive being saved."""

from typing import Any

import pytest

from chs_ml.errors import RecipeError, TableError
from chs_ml.raw import build_snapshots, with_catalogue
from chs_ml.recipe import load_recipe

TERMS = {"path": "t.csv", "columns": {"start": "s", "end": "e", "mrr": "m"}}
SNAPSHOTS = {"data_cut": "2024-01-01", "horizon_days": 90}


def content(**changed: Any) -> dict[str, Any]:
    whole = {
        "tables": {"contracts": TERMS, "usage": {"path": "u.csv", "time": "at"}},
        "snapshots": SNAPSHOTS,
        "outcomes": {"from": "contracts", "grace_days": 3},
    }
    return {key: part for key, part in {**whole, **changed}.items() if part is not None}


def test_the_data_section_describes_the_snapshot_table() -> None:
    data = load_recipe(content()).data
    assert (data.account, data.outcome, data.snapshot_date) == ("account_id", "outcome", "snapshot_date")
    assert (data.horizon_days, data.lead_days) == (90, 0)
    renewals = {"kind": "renewal", "lead_days": 30, "data_cut": "2024-01-01"}
    data = load_recipe(content(snapshots=renewals)).data
    assert (data.horizon_days, data.lead_days, data.settle_days) == (1, 30, 3)


def test_a_recipe_survives_being_saved() -> None:
    metrics = {
        "few": {
            "from": "usage",
            "measure": "count",
            "where": {"kind": ["a", "b"], "n": {"at_least": 2}},
            "days": 7,
        },
        "usage_30d": {"direction": "unknown"},
    }
    recipe = load_recipe(content(metrics=metrics, data={"value": "contracts_mrr"}))
    again = load_recipe(recipe.to_dict())
    assert again.to_dict() == recipe.to_dict()
    assert with_catalogue(again).metrics == with_catalogue(recipe).metrics


def test_the_catalogue_gives_way_to_the_recipe() -> None:
    metrics = {"usage_30d": {"label": "Events"}, "usage_90d": {"from": "usage", "measure": "sum", "of": "x"}}
    recipe = load_recipe(content(metrics=metrics, data={"ignore": ["usage_recency", "other"]}))
    full = with_catalogue(recipe)
    assert (full.metrics["usage_30d"].measure, full.metrics["usage_30d"].label) == ("count", "Events")
    assert full.metrics["usage_90d"].measure == "sum"
    assert "usage_recency" not in full.metrics
    assert with_catalogue(full).metrics == full.metrics


REFUSED = [
    (content(snapshots=None), r"needs \[snapshots\] too"),
    (content(outcomes={"from": "contract"}), r"names the table 'contract'.* Did you mean 'contracts'"),
    (content(snapshots={"horizon_days": 90}), "data_cut must be given"),
    (content(snapshots={"data_cut": "2024-01-01"}), "horizon_days must be given"),
    (content(data={"account": "id"}), r"\[data\] account cannot be set in a recipe with \[tables\]"),
    (content(tables={"contracts": {"path": "t.csv"}}), "must say which columns are 'start'"),
    (
        content(tables={"contracts": {**TERMS, "columns": {"strat": "s"}}}),
        "columns names 'strat'.* Did you mean 'start'",
    ),
    (content(tables={"contracts": {**TERMS, "role": "contract"}}), "Did you mean 'contracts'"),
    (
        content(tables={"contracts": {**TERMS, "pth": "x"}}),
        r"Unknown key \[tables.contracts\] pth. Did you mean 'path'",
    ),
    (content(metrics={"a": {"measure": "count"}}), "needs from, the name of a raw table"),
    (content(metrics={"a": {"from": "usage", "measure": "sum"}}), "needs of, the name of a column"),
    (content(metrics={"a": {"from": "usage", "measure": "slope"}}), "needs days, its window"),
    (content(metrics={"a": {"from": "usge", "measure": "count"}}), "Did you mean 'usage'"),
    (content(metrics={"a": {"days": 3}}), "days needs measure"),
    (content(metrics={"a": {"from": "usage", "measure": "count", "active": True}}), "role contracts"),
    (content(metrics={"a": {"measure": "ratio", "of": "b"}}), "belongs to a ratio or a difference"),
    ({"data": {"outcome": "y"}, "metrics": {"a": {"from": "u", "measure": "count"}}}, r"has no \[tables\]"),
]


@pytest.mark.parametrize(("wrong", "message"), REFUSED)
def test_refusals(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(wrong)


def test_files_and_columns_that_are_not_there(tmp_path: Any) -> None:
    whole = content(data={"path": str(tmp_path)})
    with pytest.raises(TableError, match="there is no such file"):
        build_snapshots(load_recipe(whole))
    (tmp_path / "t.csv").write_text("account_id,s,e,m\n1,2023-01-01,2023-06-01,5\n")
    (tmp_path / "u.csv").write_text("account_id,att\n1,2023-01-01\n")
    with pytest.raises(TableError, match=r"the column 'at' of table 'usage'.* Did you mean 'att'"):
        build_snapshots(load_recipe(whole))
