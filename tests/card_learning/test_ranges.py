"""Scoring ranges learned on portfolios whose thresholds are known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from chs_ml.card_learning import learn_weights
from chs_ml.card_learning.health import card_rows
from chs_ml.card_learning.range_fit import Seen, refitted
from chs_ml.card_learning.ranges import learn_ranges
from chs_ml.card_learning.rounding import roundest
from chs_ml.cli import app
from chs_ml.curves import BandCurve, Edge, LinearCurve, direction_of
from chs_ml.dataset import Dataset
from chs_ml.scorecard import Combine, Group, MissingRule, Scorecard, load_scorecard
from tests.scorecard.cards import NAN, banded, straight

WRONG = banded("use", (0.0, 50.0, 100.0), (60.0, 90.0), "top")
RIGHT = banded("use", (0.0, 50.0, 100.0), (30.0, 70.0), "top")
HEALTHY = replace(straight("nps"))


def stepped(*, rows: int = 3000, seed: int = 0, gaps: float = 0.0) -> Dataset:
    """Churn falls where use passes 30, and again where it passes 70; nps counts a little."""
    rng = np.random.default_rng(seed)
    use, nps = rng.uniform(0.0, 100.0, rows), rng.uniform(0.0, 100.0, rows)
    risk = -0.5 - 1.2 * (use > 30.0) - 1.2 * (use > 70.0) - 0.01 * nps
    churned = (rng.random(rows) < expit(risk)).astype(np.float64)
    use[rng.random(rows) < gaps] = NAN
    frame = pd.DataFrame({"use": use, "nps": nps})
    card = Scorecard(name="x", measures=(RIGHT, HEALTHY))
    account = pd.Series([f"a{i}" for i in range(rows)])
    return Dataset(frame=frame, metrics=card.schema.metrics, churned=churned, account=account)


@pytest.mark.parametrize(
    ("low", "high", "near", "expected"),
    [
        (47.0, 63.0, 52.0, 50.0),
        (26.0, 29.0, 27.4, 28.0),  # no multiple of 5 in there
        (0.011, 0.019, 0.014, 0.015),
        (-12.0, -7.0, -9.0, -10.0),
        (-3.0, 4.0, 2.0, 0.0),
        (830.0, 1240.0, 1100.0, 1000.0),
        (31.0, 31.0, 31.0, 31.0),
    ],
)
def test_ends_are_round_numbers(low: float, high: float, near: float, expected: float) -> None:
    assert roundest(low, high, near=near) == expected


def test_wrong_ranges_are_replaced_by_the_true_thresholds_and_right_ones_stay() -> None:
    data = stepped(gaps=0.1)
    found = learn_weights(Scorecard(name="x", measures=(WRONG, HEALTHY)), data, ranges=True, bootstrap=0)
    use, nps = found.ranges
    assert isinstance(use.learned, BandCurve)
    assert use.learned.bounds == (30.0, 70.0)
    assert use.learned.points[0] == 0.0
    assert use.learned.points[-1] == 100.0
    assert use.learned.points[1] == pytest.approx(50.0, abs=20.0)
    assert use.gain > use.error > 0
    assert (nps.learned, nps.reason) == (None, "no evidence that others do better")
    same = learn_weights(Scorecard(name="x", measures=(RIGHT, HEALTHY)), data, ranges=True, bootstrap=0)
    assert [one.learned for one in same.ranges] == [None, None]
    assert same.card.measures[0].curve == RIGHT.curve


def test_learned_ranges_rank_new_accounts_better() -> None:
    card = Scorecard(name="x", measures=(WRONG, HEALTHY))
    fresh, gains = stepped(rows=20_000, seed=99), []
    for seed in range(4):
        data = stepped(rows=1500, seed=seed)
        scores = [
            learn_weights(card, data, ranges=ranges, bootstrap=0).card.score(fresh.frame)["health_score"]
            for ranges in (False, True)
        ]
        without, with_ranges = (roc_auc_score(fresh.churned, -score) for score in scores)
        gains.append(with_ranges - without)
    assert np.mean(gains) > 0.01
    assert min(gains) > -0.002


def test_counts_are_those_of_the_table() -> None:
    data = stepped(gaps=0.1)
    found = learn_weights(Scorecard(name="x", measures=(WRONG, HEALTHY)), data, ranges=True, bootstrap=0)
    use = data.frame["use"]
    bounds = {"your_counts": [60.0, 90.0], "learned_counts": [30.0, 70.0]}
    for name, inner in bounds.items():
        cut = pd.cut(use, [-np.inf, *inner, np.inf])  # closed on the right, as edge = "top" says
        expected = pd.Series(data.churned).groupby(cut, observed=True).agg(["size", "sum"])
        counts = getattr(found.ranges[0], name)
        assert [(c.n, c.events) for c in counts] == list(expected.itertuples(index=False, name=None))
        assert counts[0].churn == pytest.approx(expected["sum"].iloc[0] / expected["size"].iloc[0])


def test_the_learned_card_survives_as_toml() -> None:
    data = stepped()
    found = learn_weights(Scorecard(name="x", measures=(WRONG, HEALTHY)), data, ranges=True, bootstrap=0)
    again = Scorecard.from_toml(found.to_toml())
    pd.testing.assert_frame_equal(again.score(data.frame), found.card.score(data.frame))
    assert again.measures[0].curve == found.card.measures[0].curve


def test_bands_are_the_least_squares_steps_of_a_strong_signal() -> None:
    rng = np.random.default_rng(3)
    values = rng.uniform(0.0, 10.0, 4000)
    churned = (rng.random(4000) < np.where(values >= 4.0, 0.05, 0.4)).astype(np.float64)
    curve = BandCurve(bounds=(2.0, 8.0), points=(10.0, 5.0, 0.0), edge=Edge.BOTTOM)
    seen = Seen(values, churned, np.full(4000, -1.5), np.zeros(4000))
    # points that fall where values are healthier: outcomes support nothing in that direction
    assert refitted(curve, seen) is None
    found = refitted(replace(curve, points=(0.0, 5.0, 10.0)), seen)
    assert isinstance(found, BandCurve)
    assert (found.bounds, found.points, found.edge) == ((4.0,), (0.0, 10.0), Edge.BOTTOM)


def test_few_values_are_cut_at_values() -> None:
    rng = np.random.default_rng(4)
    values = rng.integers(0, 6, 3000).astype(np.float64)
    churned = (rng.random(3000) < np.where(values > 2, 0.05, 0.3)).astype(np.float64)
    seen = Seen(values, churned, np.full(3000, -2.0), np.zeros(3000))
    top = refitted(BandCurve(bounds=(4.0,), points=(0.0, 100.0), edge=Edge.TOP), seen)
    bottom = refitted(BandCurve(bounds=(4.0,), points=(0.0, 100.0), edge=Edge.BOTTOM), seen)
    assert isinstance(top, BandCurve)
    assert isinstance(bottom, BandCurve)
    assert (top.bounds, bottom.bounds) == ((2.0,), (3.0,))


def test_a_line_learns_where_it_bends() -> None:
    rng = np.random.default_rng(5)
    values = rng.uniform(0.0, 100.0, 6000)
    risk = -0.5 - 2.5 * np.clip((values - 20.0) / 30.0, 0.0, 1.0)
    churned = (rng.random(6000) < expit(risk)).astype(np.float64)
    seen = Seen(values, churned, np.full(6000, -1.5), -(values - 50.0) / 100.0)
    found = refitted(LinearCurve(x=(0.0, 100.0), points=(0.0, 100.0), missing=30.0), seen)
    assert isinstance(found, LinearCurve)
    assert (found.points, found.missing) == ((0.0, 100.0), 30.0)
    np.testing.assert_allclose(found.x, (20.0, 50.0), atol=10.0)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_data_ranges_are_few_and_keep_their_direction(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = np.exp(rng.normal(size=500) * 2.0)
    churned = (rng.random(500) < expit(rng.normal() * np.log(values) - 1.0)).astype(np.float64)
    seen = Seen(values, churned, np.full(500, -1.0), np.zeros(500))
    for points in ((0.0, 30.0, 60.0, 80.0), (90.0, 50.0, 20.0, 10.0)):
        bands = BandCurve(bounds=(0.5, 1.0, 5.0), points=points, edge=Edge.TOP)
        line = LinearCurve(x=(0.1, 0.5, 1.0, 5.0), points=points)
        for curve in (bands, line):
            found = refitted(curve, seen)
            if found is not None:
                assert direction_of(found) == direction_of(curve)
                assert len(found.points) <= len(curve.points)
                assert {min(found.points), max(found.points)} == {min(points), max(points)}


def test_the_words_of_a_platform_are_kept() -> None:
    text = """
    format = 2
    name = "x"
    dialect = "vitally"
    [measures.use]
    weight = 1
    edge = "top"
    bands = [{to = 60, points = "poor"}, {to = 90, points = "concerning"}, {points = "healthy"}]
    [measures.nps]
    weight = 1
    edge = "top"
    bands = [{to = 50, points = "poor"}, {points = "healthy"}]
    """
    found = learn_weights(Scorecard.from_toml(text), stepped(), ranges=True, bootstrap=0)
    learned = found.ranges[0].learned
    assert isinstance(learned, BandCurve)
    assert learned.points == (0.0, 5.0, 10.0)
    assert learned.bounds == (30.0, 70.0)
    assert found.card.dialect == "vitally"


def test_a_sum_keeps_its_reach_and_labels_stay_where_bands_do() -> None:
    curve = BandCurve(bounds=(60.0, 90.0), points=(-20.0, 0.0, 40.0), edge=Edge.TOP, labels=("r", "y", "g"))
    card = Scorecard(
        name="x", measures=(replace(WRONG, curve=curve), banded("nps", (0.0, 30.0), (50.0,), "top")),
        combine=Combine.SUM, missing=MissingRule.NEUTRAL, groups=(Group(name="g", high=70.0),),
    )  # fmt: skip
    found = learn_weights(card, stepped(), ranges=True, bootstrap=0).ranges[0].learned
    assert isinstance(found, BandCurve)
    assert (found.points[0], found.points[-1], found.bounds) == (-20.0, 40.0, (30.0, 70.0))
    assert found.labels in ((), ("r", "y", "g"))


def test_ranges_that_cannot_be_learned_say_why() -> None:
    humped = replace(WRONG, curve=replace(WRONG.curve, points=(0.0, 100.0, 50.0)))
    card = Scorecard(name="x", measures=(humped, HEALTHY))
    rows = card_rows(card, stepped())
    found = learn_ranges(card, rows, prior=card.weights, pull=1.0)
    assert found.measures[0].reason == "points rise and fall, or do not move"
    few = card_rows(card, stepped(rows=80))
    assert few.churned.sum() < 20
    assert {m.reason for m in learn_ranges(card, few, prior=card.weights, pull=1.0).measures[1:]} == {
        "too few churns with a value"
    }


def test_the_command_shows_the_diff_and_writes_the_card(tmp_path: Path) -> None:
    data = stepped()
    data.frame.assign(id=data.account, left=data.churned).to_csv(tmp_path / "table.csv", index=False)
    card = tmp_path / "card.toml"
    card.write_text(Scorecard(name="x", measures=(WRONG, HEALTHY)).to_toml())
    out = tmp_path / "learned.toml"
    asked = [
        "learn-weights", str(card), str(tmp_path / "table.csv"), "--outcome", "left", "--account", "id",
        "--ranges", "--out", str(out),
    ]  # fmt: skip
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    assert "Use: new ranges" in result.output
    assert "Nps: your ranges stay (no evidence that others do better)." in result.output
    assert max(len(line) for line in result.output.splitlines()) <= 110
    learned = load_scorecard(out).measures[0].curve
    assert isinstance(learned, BandCurve)
    assert learned.bounds == (30.0, 70.0)
