"""The promise to those who saved a model: every format version still scores the same."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chs_ml.bundle import FORMAT, MANIFEST, load_model
from chs_ml.errors import BundleError
from chs_ml.explanation import explain
from chs_ml.table import read_table

REFERENCE = Path(__file__).resolve().parents[1] / "models" / "reference"
VERSIONS = sorted(REFERENCE.glob("format-*"))
NUMBERS = ("churn_probability", "health_score", "coverage")
TEXTS = ("tier", "status", "status_detail")


def test_every_format_has_a_reference() -> None:
    assert [path.name for path in VERSIONS] == [f"format-{number}" for number in range(1, FORMAT + 1)]


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda path: path.name)
def test_a_saved_model_still_gives_its_scores(folder: Path) -> None:
    model, rows, expected = (
        load_model(folder / "model"),
        read_table(folder / "inputs.csv"),
        read_table(folder / "expected.csv"),
    )
    assert json.loads((folder / "model" / MANIFEST).read_bytes())["format"] == int(folder.name[7:])
    scores, points = model.score(rows), explain(model, rows).points
    for name in TEXTS:
        assert scores[name].astype(object).fillna("").tolist() == expected[name].fillna("").tolist()
    # across machines the last bits of exp and log may differ
    for name in NUMBERS:
        np.testing.assert_allclose(scores[name], pd.to_numeric(expected[name]), rtol=0, atol=1e-9)
    for name in points:
        np.testing.assert_allclose(points[name], pd.to_numeric(expected[f"points {name}"]), rtol=0, atol=1e-8)


def test_the_rows_are_worth_the_promise() -> None:
    expected = read_table(VERSIONS[-1] / "expected.csv")
    assert set(expected["status"]) >= {"ok", "degraded", "invalid"}
    assert expected["tier"].nunique() == 3
    assert load_model(VERSIONS[-1] / "model").trees is not None


def test_a_newer_format_is_refused_with_an_explanation(tmp_path: Path) -> None:
    shutil.copytree(VERSIONS[-1] / "model", tmp_path / "model")
    manifest = tmp_path / "model" / MANIFEST
    head = json.loads(manifest.read_bytes())
    manifest.write_text(json.dumps({**head, "format": FORMAT + 1}))
    with pytest.raises(
        BundleError, match=rf"has format {FORMAT + 1}, written by .*Load it with a newer chs_ml"
    ):
        load_model(tmp_path / "model")
