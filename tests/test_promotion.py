"""From a recipe to a champion: the gate in front of the registry, on the command line and for a scheduler."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import tomli_w

pytest.importorskip("mlflow", reason="needs the extra mlflow")

from typer.testing import CliRunner

from chs_ml.cli import app
from chs_ml.promotion import anchored_as, promote, retrain
from chs_ml.recipe import GateSpec, load_recipe
from chs_ml.registry import CHALLENGER, CHAMPION, Registry
from chs_ml.table import write_table
from chs_ml.validation import Verdict
from tests.test_gate import table, trained
from tests.test_registry import MLFLOW_SAYS

pytestmark = pytest.mark.filterwarnings(*(f"ignore::{kind}" for kind in MLFLOW_SAYS))
RULE = GateSpec(bootstrap=200)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return table()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame) -> Registry:
    """A registry whose champion knows tickets only."""
    found = Registry.at(tmp_path_factory.mktemp("registry"))
    found.promote(found.register(trained(frame, "tickets", "noise")))
    return found


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_a_better_challenger_is_promoted_a_worse_one_is_not_and_the_verdict_is_kept(
    registry: Registry, frame: pd.DataFrame
) -> None:
    better = registry.register(trained(frame, "usage", "tickets", "tenure"))
    found = promote(registry, frame)
    assert found.promoted
    assert registry.version(CHAMPION).number == better.number
    worse = registry.register(trained(frame, "noise", "tickets"))
    refused = promote(registry, frame, spec=RULE)
    assert not refused.promoted
    assert registry.version(CHAMPION).number == better.number
    assert registry.version(CHALLENGER).number == worse.number
    tags = registry.version(worse.number).tags
    assert (tags["gate"], tags["gate_against"]) == ("not passed", str(better.number))
    assert "log_loss" in tags["gate_reasons"]
    files = {item.path for item in registry.client.list_artifacts(worse.run_id, "documents")}
    assert f"documents/gate_against_{better.number}.json" in files
    assert "is not promoted" in refused.to_text()
    registry.rollback()


def test_a_first_champion_must_not_have_failed_its_validation(tmp_path: Path, frame: pd.DataFrame) -> None:
    registry = Registry.at(tmp_path)
    registry.register(trained(frame, "usage"))  # without a report
    found = promote(registry, frame)
    assert (found.promoted, found.champion, found.verdict) == (False, None, None)
    assert "must have been validated" in found.reasons[0]
    assert registry.find(CHAMPION) is None


def test_the_scale_stays_where_the_champion_has_it(frame: pd.DataFrame) -> None:
    champion = trained(frame, "usage", "tickets")
    recipe = load_recipe({"data": {"outcome": "churned"}})
    anchored = anchored_as(recipe, champion)
    assert anchored.scale.base_rate == champion.facts["scale"]["base_rate"]
    said = load_recipe({"data": {"outcome": "churned"}, "scale": {"base_rate": 0.3}})
    assert anchored_as(said, champion).scale.base_rate == 0.3
    other = load_recipe({"data": {"outcome": "churned"}, "scale": {"kind": "retention"}})
    assert anchored_as(other, champion).scale.base_rate is None


def test_register_promote_and_rollback_on_the_command_line(
    registry: Registry, frame: pd.DataFrame, tmp_path: Path
) -> None:
    place = ("--registry", registry.place.folder)
    trained(frame, "usage", "tickets").save(tmp_path / "model")
    write_table(frame, tmp_path / "data.csv")
    before = registry.version(CHAMPION).number
    code, out, _ = run("register", tmp_path / "model", *place, "--json")
    assert code == 0
    number = json.loads(out)["version"]
    code, out, _ = run("promote", tmp_path / "data.csv", *place, "--margin", 5)
    assert code == 1
    assert "not shown to exceed 5" in out
    code, out, err = run("promote", tmp_path / "data.csv", *place, "--json")
    assert code == 0, out + err
    assert json.loads(out)["promoted"] is True
    assert json.loads(out)["challenger"] == number
    code, out, _ = run("rollback", *place)
    assert (code, f"Version {before} " in out) == (0, True)
    code, _, err = run("promote", tmp_path / "data.csv", "--registry", tmp_path / "empty")
    assert code == 2
    assert "Register a model first" in err
    assert run("promote", tmp_path / "data.csv", *place, "--statistic", "gini")[0] == 2


@pytest.mark.slow
def test_the_scheduled_script_trains_judges_and_promotes(root: Path, tmp_path: Path) -> None:
    write_table(table(accounts=400), tmp_path / "data.csv")
    data = {"path": "data.csv", "account": "account", "outcome": "churned", "snapshot_date": "month",
            "horizon_days": 30}  # fmt: skip
    recipe = {"data": data, "model": {"kind": "scorecard", "bootstrap": 0}}
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps(recipe))
    command = [sys.executable, root / "training" / "retrain.py", tmp_path / "recipe.toml"]
    command += ["--registry", tmp_path / "registry"]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path) for _ in range(2)
    )
    registry = Registry.at(tmp_path / "registry")
    report = registry.load(1).report
    assert report is not None
    assert first.returncode == int(report.verdict is Verdict.FAIL), first.stderr
    assert second.returncode == 1, second.stderr  # the same data teach nothing new
    assert "is not promoted" in second.stdout
    assert registry.version(2).tags["data_fingerprint"] == registry.version(1).tags["data_fingerprint"]


def test_without_dates_a_second_model_waits_for_rows_that_neither_has_seen(tmp_path: Path) -> None:
    first, later = table(accounts=600, months=1), table(accounts=400, months=1, seed=9)
    undated = first.drop(columns="month")
    write_table(undated, tmp_path / "data.parquet")
    recipe = load_recipe(
        {
            "data": {"path": str(tmp_path / "data.parquet"), "account": "account", "outcome": "churned"},
            "model": {"kind": "scorecard", "bootstrap": 0, "folds": 3},
            "gate": {"bootstrap": 200},
        }
    )
    registry = Registry.at(tmp_path / "registry")
    assert registry.find(CHAMPION) is None
    assert not (tmp_path / "registry").exists()  # reading creates nothing
    registry.promote(registry.register(trained(table(), "tickets", "noise")))
    found = retrain(recipe, registry)
    assert (found.promoted, found.verdict) == (False, None)
    assert "were not compared" in found.to_text()
    assert "--unseen" in found.to_text()
    assert registry.version(CHALLENGER).tags["gate"] == "not judged"
    judged = retrain(recipe, registry, unseen=later)
    assert judged.promoted, judged.to_text()
    assert judged.verdict is not None
    assert judged.verdict.rows == 400


def test_training_registers_with_charts_and_documents(tmp_path: Path) -> None:
    write_table(table(), tmp_path / "data.csv")
    data = {"path": "data.csv", "account": "account", "outcome": "churned", "snapshot_date": "month",
            "horizon_days": 30}  # fmt: skip
    recipe = {"data": data, "model": {"kind": "scorecard", "bootstrap": 0, "folds": 3}}
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps(recipe))
    place = ("--registry", tmp_path / "registry", "--name", "mine")
    model = ("--out", tmp_path / "model")
    code, out, err = run("train", tmp_path / "recipe.toml", *model, "--register", *place, "--json")
    assert code == 0, err
    assert json.loads(out)["registered"] == "models:/mine/1"
    registry = Registry.at(tmp_path / "registry", name="mine")
    version = registry.version(CHALLENGER)
    assert version.tags["fingerprint"] == json.loads(out)["fingerprint"]
    charts = {item.path: item for item in registry.client.list_artifacts(version.run_id, "charts")}
    assert set(charts) == {f"charts/{name}.png" for name in ("calibration", "capture", "tiers", "weights")}
    for path in (tmp_path / "registry").rglob("*.png"):
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.slow
def test_two_processes_that_train_and_register_at_once_on_a_new_database_both_succeed(tmp_path: Path) -> None:
    write_table(table(), tmp_path / "data.csv")
    data = {"path": "data.csv", "account": "account", "outcome": "churned", "snapshot_date": "month",
            "horizon_days": 30}  # fmt: skip
    recipe = {"data": data, "model": {"kind": "scorecard", "bootstrap": 0, "folds": 3}}
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps(recipe))
    code = "from chs_ml.cli import main; main()"
    command = [sys.executable, "-c", code, "train", str(tmp_path / "recipe.toml"), "--register", "--json",
               "--registry", str(tmp_path / "registry"), "--out"]  # fmt: skip
    runs = [
        subprocess.Popen([*command, str(tmp_path / f"model-{i}")], stdout=subprocess.PIPE, text=True)
        for i in range(2)
    ]
    told = [json.loads(run.communicate()[0]) for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert {one["registered"] for one in told} == {f"models:/customer-health/{i}" for i in (1, 2)}
    registry = Registry.at(tmp_path / "registry")
    scores = [registry.load(number).score(table()) for number in (1, 2)]
    pd.testing.assert_frame_equal(*scores, check_exact=True)
