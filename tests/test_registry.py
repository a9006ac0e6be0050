"""The registry: what a version holds, who is champion, and the way back."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("mlflow", reason="needs the extra mlflow")

import chs_ml
from chs_ml.bundle import fingerprint_of, save_model
from chs_ml.errors import RegistryError
from chs_ml.registry import CHALLENGER, CHAMPION, Registry
from chs_ml.registry.place import Place
from tests.small_model import customers, small_model

MLFLOW_SAYS = ("DeprecationWarning", "FutureWarning", "ResourceWarning", "UserWarning")
# MLflow says a lot when it is imported and when a model is stored
pytestmark = pytest.mark.filterwarnings(*(f"ignore::{kind}" for kind in MLFLOW_SAYS))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A registry with two versions; the second is the champion after the first."""
    found = Registry.at(tmp_path_factory.mktemp("registry"))
    for leaves in (4, 6):
        found.promote(found.register(small_model(leaves=leaves)))
    return found


def test_a_version_scores_as_the_model_that_was_registered(registry: Registry) -> None:
    for number, leaves in ((1, 4), (2, 6)):
        expected = small_model(leaves=leaves).score(customers())
        pd.testing.assert_frame_equal(registry.load(number).score(customers()), expected, check_exact=True)


def test_a_version_says_where_it_comes_from(registry: Registry, tmp_path: Path) -> None:
    model = small_model()
    version = registry.version(1)
    save_model(model, tmp_path / "model")
    assert version.tags["fingerprint"] == fingerprint_of(tmp_path / "model")
    assert version.tags["data_fingerprint"] == model.facts["data_fingerprint"]
    assert version.tags["trained_until"] == model.facts["snapshots"][1]
    run = registry.client.get_run(version.run_id)
    assert model.report is not None
    assert run.data.metrics["auc"] == model.report.statistic("auc").value
    assert run.data.metrics["rows"] == model.facts["rows"]
    assert run.data.params["model.kind"] == "scorecard"
    files = {item.path for item in registry.client.list_artifacts(version.run_id, "documents")}
    assert {"documents/facts.json", "documents/report.json", "documents/report.md"} <= files


def test_nothing_is_pickled_and_nothing_lies_about(registry: Registry) -> None:
    folder = registry.place.folder
    assert folder is not None
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in (".pkl", ".skops", ".pickle")]
    assert not Path("mlruns").exists()
    binary = ("mlflow.db", "calibration.png", "capture.png", "tiers.png", "weights.png")
    text = [path for path in files if path.name not in binary and b"\0" in path.read_bytes()]
    assert text == []


def test_the_challenger_is_the_last_registered_until_it_is_champion(tmp_path: Path) -> None:
    registry = Registry.at(tmp_path / "new", name="other")
    assert registry.find(CHAMPION) is None
    version = registry.register(small_model())
    assert registry.version(CHALLENGER).number == version.number == 1
    assert registry.promote(version) is None
    assert registry.find(CHALLENGER) is None
    assert registry.version(CHAMPION).uri == "models:/other/1"
    assert registry.promote(version).number == 1
    with pytest.raises(RegistryError, match="first champion: none is before it"):
        registry.rollback()


def test_rollback_restores_the_scores_to_the_last_bit(registry: Registry) -> None:
    before = small_model(leaves=4).score(customers())
    assert registry.version(CHAMPION).number == 2
    assert registry.rollback().number == 1
    pd.testing.assert_frame_equal(registry.load().score(customers()), before, check_exact=True)
    assert registry.version(2).tags["rolled_back_to"] == "1"
    registry.promote(registry.version(2))
    assert registry.version(CHAMPION).number == 2


def test_models_are_loaded_by_their_registered_name(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.place.uri)
    for name, leaves in (("@champion", 6), ("/1", 4)):
        loaded = chs_ml.load_model(f"models:/customer-health{name}")
        expected = small_model(leaves=leaves).score(customers())
        pd.testing.assert_frame_equal(loaded.score(customers()), expected, check_exact=True)
    for wrong, said in (
        ("models:/customer-health", "models:/NAME@ALIAS"),
        ("models:/customer-health/9", "has no customer-health of version 9"),
        ("models:/customer-health@nobody", "of alias 'nobody'"),
        ("models:/stranger@champion", "has no stranger"),
    ):
        with pytest.raises(RegistryError, match=said):
            chs_ml.load_model(wrong)


def hostile() -> pd.DataFrame:
    """Whole numbers with gaps, category columns, new categories, text and infinities."""
    frame = customers().drop(columns="outcome").head(200)
    frame["tickets_open"] = frame["tickets_open"].astype("Int64")
    frame.loc[4, "tickets_open"] = pd.NA
    frame["usage_days"] = frame["usage_days"].astype(object)
    frame.loc[3, "usage_days"] = np.inf
    frame.loc[5, "usage_days"] = "12"
    frame.loc[6, "usage_days"] = "a dozen"
    frame.loc[7, "contract_term"] = "never seen"
    frame["contract_term"] = frame["contract_term"].astype("category")
    return frame[frame.columns[::-1]]


def test_mlflow_scores_hostile_frames_with_the_same_numbers(registry: Registry) -> None:
    import mlflow

    mlflow.set_tracking_uri(registry.place.uri)
    scorer = mlflow.pyfunc.load_model("models:/customer-health/2")
    expected = small_model(leaves=6).score(hostile())
    found = scorer.predict(hostile())
    assert list(found.columns) == [
        "churn_probability", "health_score", "tier", "coverage", "status", "status_detail",
    ]  # fmt: skip
    for name in found.columns:
        same = pd.Series(found[name]).astype(object).equals(expected[name].astype(object))
        assert same, name
    optional = scorer.predict(hostile().drop(columns="csat"))
    assert (optional["status_detail"].str.contains("missing: csat")).all()
    with pytest.raises(mlflow.MlflowException, match="usage_days"):
        scorer.predict(hostile().drop(columns="usage_days"))


def test_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Place.of("http://tracking.example:5000").folder is None
    assert Place.of("http://tracking.example:5000").artifacts is None
    assert Place.of(tmp_path).uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert Place.of(f"sqlite:///{tmp_path}/other.db").folder == tmp_path
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    assert Place.of().folder == tmp_path / "models" / "registry"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example:5000")
    assert Place.of().uri == "http://tracking.example:5000"


def test_a_registry_that_cannot_be_opened_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match="Cannot make the registry's folder"):
        Registry.at(tmp_path / "file").register(small_model())


@pytest.mark.slow
def test_processes_that_create_one_registry_at_once_all_succeed(tmp_path: Path) -> None:
    save_model(small_model(), tmp_path / "model")
    code = (
        "import sys; from chs_ml import load_model; from chs_ml.registry import Registry; "
        "print(Registry.at(sys.argv[2]).register(load_model(sys.argv[1])).number)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model"), str(tmp_path / "registry")]
    runs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        for _ in range(3)
    ]
    told = [run.communicate() for run in runs]
    assert all(run.returncode == 0 for run in runs), told
    assert sorted(json.loads(out.splitlines()[-1]) for out, _ in told) == [1, 2, 3]
    assert not (tmp_path / "mlruns").exists()
