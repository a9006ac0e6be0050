"""Recipes: every key known, every refusal in words."""

import json
import subprocess
import sys
from dataclasses import fields
from datetime import date
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from chs_ml.errors import RecipeError
from chs_ml.recipe import MarginsSpec, load_recipe
from chs_ml.tiers import Tiers
from chs_ml.validation import Campaign, Outreach, Policy, Promise, Rules, validate
from chs_ml.validation.comparison_values import MARGINS

DATA = {"path": "t.csv", "account": "id", "outcome": "y"}
DATED = {**DATA, "snapshot_date": "month", "horizon_days": 90}


def write(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_smallest_recipe_and_its_defaults() -> None:
    recipe = load_recipe({"data": {"outcome": "y"}})
    assert (recipe.split.test_share, recipe.model.kind, recipe.scale.kind) == (0.25, "blend", "anchored")
    assert Tiers.from_bounds(recipe.tiers) == Tiers()
    assert recipe.metrics == {}
    assert recipe.data.key_columns == ("y",)


def test_paths_are_relative_to_the_recipe_file(tmp_path: Path) -> None:
    text = '[data]\npath = "../t.csv"\noutcome = "y"\n[model]\nprior = "card.toml"\n'
    recipe = load_recipe(write(tmp_path, text))
    assert recipe.data_path == tmp_path / "../t.csv"
    assert recipe.prior_path == tmp_path / "card.toml"
    assert recipe.with_data("other.csv").data_path == Path("other.csv").absolute()
    assert recipe.with_data("other.csv").prior_path == tmp_path / "card.toml"
    with pytest.raises(RecipeError, match="names no table"):
        _ = load_recipe({"data": {"outcome": "y"}}).data_path


def test_to_dict_is_plain_complete_and_of_no_machine(tmp_path: Path) -> None:
    text = f"""
    [data]
    path = "{tmp_path / "t.csv"}"
    account = "id"
    outcome = "y"
    churned = 1
    renewed = ["no", 0]
    snapshot_date = "month"
    horizon_days = 90
    keep = ["owner"]
    as_of = 2024-06-30
    [metrics."seats used"]
    direction = "higher"
    kind = "yes/no"
    [split]
    test_from = 2024-03-01
    [model]
    prior = "{tmp_path / "card.toml"}"
    [scale]
    base_rate = 0.1
    [tiers]
    Good = 60
    Bad = 0
    """
    recipe = load_recipe(write(tmp_path, text))
    plain = recipe.to_dict()
    assert str(tmp_path) not in json.dumps(plain)
    again = load_recipe(json.loads(json.dumps(plain)))
    assert again.to_dict() == plain
    assert again.data.as_of == date(2024, 6, 30)
    assert again.split.test_from == date(2024, 3, 1)
    assert again.data.renewed == ("no", 0)
    assert again.model.prior == "card.toml"


def test_recipes_are_frozen() -> None:
    recipe = load_recipe({"data": DATA})
    with pytest.raises(ValueError, match="frozen"):
        recipe.data.account = "other"  # type: ignore[misc]


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"data": DATA, "metrics": {"tenure": {"directon": "higher"}}},
        r"Unknown key \[metrics.tenure\] directon. Did you mean 'direction'\?",
    ),
    ({"data": {**DATA, "chruned": "Yes"}}, r"Unknown key \[data\] chruned. Did you mean 'churned'\?"),
    ({"data": DATA, "model": {"zzz": 1}}, r"Unknown key \[model\] zzz. Known: kind, prior"),
    ({"data": DATA, "modle": {}}, r"Unknown table or key \[modle\]. Did you mean 'model'\?"),
    ({"data": DATA, "account": "id"}, r"Did you mean '\[data\] account'\?"),
    ({}, r"\[data\] is missing"),
    ({"data": {"path": "t.csv"}}, r"\[data\] outcome is missing"),
    (
        {"data": DATA, "metrics": {"a": {"direction": "highr"}}},
        r"""\[metrics.a\] direction must be "higher", "lower" or .*; got 'highr'. Did you mean 'higher'""",
    ),
    ({"data": DATA, "metrics": {"a": "higher"}}, r"\[metrics.a\] must be a table of keys; got 'higher'"),
    ({"data": "t.csv"}, r"\[data\] must be a table of keys"),
    ({"data": {**DATA, "ignore": "a"}}, r"\[data\] ignore must be a list"),
    ({"data": {**DATA, "churned": ["Yes"]}}, r"\[data\] churned must be a text, a number, true or false"),
    ({"data": DATA, "split": {"test_share": "0.3"}}, r"\[split\] test_share must be a number; got '0.3'"),
    ({"data": DATA, "split": {"test_share": 1}}, r"\[split\] test_share must be less than 1; got 1"),
    ({"data": DATA, "split": {"random_state": 1.5}}, r"random_state must be a whole number; got 1.5"),
    ({"data": DATA, "split": {"refit": "yes"}}, "refit must be true or false, without quotes"),
    ({"data": DATED, "split": {"test_from": "March"}}, "test_from must be a .*date"),
    ({"data": DATA, "scale": {"base_rate": 0}}, r"\[scale\] base_rate must be greater than 0"),
    ({"data": {**DATA, "snapshot_date": "m"}}, r"\[data\] snapshot_date needs horizon_days"),
    ({"data": {"outcome": "y", "snapshot_date": "m", "horizon_days": 9}}, "snapshot_date needs account"),
    ({"data": {**DATA, "as_of": "2024-01-31"}}, "as_of needs snapshot_date"),
    ({"data": {**DATA, "renewed": ["No"]}}, "renewed needs churned"),
    ({"data": {**DATA, "account": "y"}}, "must be different columns"),
    ({"data": DATA, "split": {"test_from": "2024-01-31"}}, r"test_from needs \[data\] snapshot_date"),
    ({"data": DATA, "metrics": {"y": {}}}, r"are no metrics; \[metrics\] names \['y'\]"),
    (
        {"data": {**DATA, "ignore": ["a"]}, "metrics": {"a": {}}},
        r"\[metrics\] and \[data\] ignore both name 'a'",
    ),
    ({"data": DATA, "tiers": {"Good": 50}}, "Tiers must be at least two distinct names"),
    (
        {"data": DATA, "validation": {"bootstraps": 5}},
        r"\[validation\] bootstraps. Did you mean 'bootstrap'\?",
    ),
    (
        {"data": DATA, "validation": {"bootstrap": 1}},
        r"\[validation\] bootstrap must be greater than or equal to 2",
    ),
    ({"data": DATA, "validation": {"alpha": 0.5}}, r"\[validation\] alpha must be less than 0.5; got 0.5"),
    ({"data": DATA, "validation": {"randomised": True}}, r"\[validation\] randomised needs treated"),
    (
        {"data": DATA, "validation": {"margins": {"auk": 0.1}}},
        r"Unknown key \[validation.margins\] auk. Did you mean 'auc'\?",
    ),
    (
        {"data": DATA, "validation": {"value": {"capcity": 5}}},
        r"Unknown key \[validation.value\] capcity. Did you mean 'capacity'\?",
    ),
    ({"data": DATA, "validation": {"value": {"contact": 5}}}, "belong together; incentive is missing"),
    ({"data": DATA, "validation": {"value": {"customer_value": 5}}}, "customer_value needs incentive"),
    (
        {"data": DATA, "validation": {"value": {"contact": 5, "incentive": 10}}},
        r"\[validation.value\] incentive must be a share of the account's value, below 1, got 10",
    ),
    (
        {"data": DATA, "validation": {"promises": [{"tier": "Green", "at_most": 0.03}]}},
        r"names the tier 'Green'; \[tiers\] has Healthy, At-Risk, Critical",
    ),
    (
        {"data": DATA, "validation": {"promises": [{"tier": "Healthy", "at_mst": 0.03}]}},
        r"at_mst. Did you mean 'at_most'\?",
    ),
    (
        {"data": DATA, "validation": {"treated": "called"}, "metrics": {"called": {}}},
        r"known only after the snapshot and are no metrics; \[metrics\] names \['called'\]",
    ),
]


@pytest.mark.parametrize(("content", "message"), REFUSED)
def test_refusals(content: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(content)


def test_all_problems_are_named_at_once() -> None:
    with pytest.raises(RecipeError, match="2 problems") as caught:
        load_recipe({"data": {**DATA, "lead_days": -1}, "model": {"folds": 1}})
    assert "[data] lead_days must be greater than or equal to 0; got -1." in str(caught.value)
    assert "[model] folds must be greater than or equal to 2; got 1." in str(caught.value)


def test_files_that_are_no_recipe(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such file"):
        load_recipe(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="it is a folder"):
        load_recipe(tmp_path)
    with pytest.raises(RecipeError, match=r"recipe.toml is not valid TOML: .*line 2"):
        load_recipe(write(tmp_path, "[data]\npath = \n"))
    (tmp_path / "latin.toml").write_bytes(b'[data]\npath = "\xe9"\n')
    with pytest.raises(RecipeError, match="must be UTF-8"):
        load_recipe(tmp_path / "latin.toml")


def test_loading_a_recipe_loads_no_heavy_package() -> None:
    code = (
        "import sys; from chs_ml.recipe import load_recipe; load_recipe({'data': {'outcome': 'y'}}); "
        "print([name for name in ('numpy', 'pandas', 'sklearn', 'pyarrow') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["telco", "business", "mlc"])
def test_the_recipes_of_the_repository_load(root: Path, name: str) -> None:
    recipe = load_recipe(root / "training" / f"{name}.toml")
    assert len(recipe.metrics) > 10
    assert not Path(recipe.data.path or "/").is_absolute()


JUDGING = """
[data]
outcome = "y"
ignore = ["name"]
[tiers]
Green = 81.25
Red = 0
[validation]
bootstrap = 200
critical_lift = 2.5
treated = "called"
churn_date = "left_on"
[validation.margins]
auc = 0.01
[validation.value]
capacity = 50
incentive = 0.05
contact = 15
[[validation.promises]]
tier = "Green"
at_most = 0.03
"""


def test_how_a_score_is_judged(tmp_path: Path) -> None:
    spec = load_recipe(write(tmp_path, JUDGING)).validation
    rules = Rules.of(spec.model_dump())
    assert rules.bootstrap == {"n_bootstrap": 200, "random_state": 0, "level": 0.95}
    assert rules.policy == Policy(critical_lift=2.5)
    assert rules.margins == {"auc": 0.01}
    assert rules.promises == (Promise(tier="Green", at_most=0.03),)
    assert rules.outreach == Outreach(capacity=50, campaign=Campaign(incentive=0.05, contact=15))
    assert (spec.value.capacity, spec.value.alpha) == (50, Campaign().alpha)


def test_what_judging_alone_may_know_is_not_read_as_a_metric(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, JUDGING))
    assert recipe.data.ignore == ("name", "called", "left_on")
    plain = recipe.to_dict()
    assert load_recipe(json.loads(json.dumps(plain))).to_dict() == plain


def test_defaults_are_those_of_validation() -> None:
    spec = load_recipe({"data": {"outcome": "y"}}).validation
    assert Rules.of(spec.model_dump()) == Rules() == Rules.of({})
    assert {field.name for field in fields(Policy)} <= set(type(spec).model_fields)
    assert set(MarginsSpec.model_fields) == set(MARGINS)
    known = signature(validate).parameters
    assert {name: known[name].default for name in Rules().bootstrap} == Rules().bootstrap
