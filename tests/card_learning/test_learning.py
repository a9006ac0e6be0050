"""Weights learned in a card's own form, against portfolios whose truth is known."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from typer.testing import CliRunner

from chs_ml.card_learning import Finding, learn_segment_weights, learn_weights
from chs_ml.card_learning.health import card_rows
from chs_ml.card_learning.rounding import capped, whole_percents
from chs_ml.card_learning.strength import choose_strength
from chs_ml.card_learning.written import with_shares
from chs_ml.cli import app
from chs_ml.dataset import Dataset
from chs_ml.errors import NotEnoughData, ScorecardError, TableError
from chs_ml.metric import Metric
from chs_ml.scorecard import Combine, Group, Limit, MissingRule, Scorecard, load_book, load_scorecard
from chs_ml.validation.delong import delong_auc
from chs_ml.weights import Penalty, fit_weights
from tests.card_learning.simulated import card_of, portfolio
from tests.scorecard.cards import NAN, banded, straight

TRUTH = (0.5, 0.3, 0.2)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        # 33.3.. three times: one percent left, to the first.   41.7, 41.7, 16.6: 41 + 41 + 16 = 98, two left
        ([1.0, 1.0, 1.0], [34, 33, 33]),
        ([41.7, 41.7, 16.6], [42, 42, 16]),
        ([0.29, 0.58, 0.13], [29, 58, 13]),
        ([0.005, 0.995, 0.0], [1, 99, 0]),
    ],
)
def test_whole_percents_sum_to_100(shares: list[float], expected: list[int]) -> None:
    assert whole_percents(np.array(shares)).tolist() == expected


def test_many_whole_percents_sum_to_100_and_none_is_off_by_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        shares = rng.dirichlet(np.ones(rng.integers(1, 15)))
        percents = whole_percents(shares)
        assert percents.sum() == 100
        assert np.abs(percents - 100 * shares).max() < 1.0


def test_groups_are_held_to_their_cap() -> None:
    # a and b 0.6 + 0.2 held at 0.5: 0.375, 0.125; c and d share the other half 3 : 1
    found = capped(np.array([0.6, 0.2, 0.15, 0.05]), ["u", "u", "m", "s"], {"u": 0.5})
    np.testing.assert_allclose(found, [0.375, 0.125, 0.375, 0.125])
    # then m would exceed 0.3 as well, and s takes the rest
    found = capped(np.array([0.6, 0.2, 0.15, 0.05]), ["u", "u", "m", "s"], {"u": 0.5, "m": 0.3})
    np.testing.assert_allclose(found, [0.375, 0.125, 0.3, 0.2])
    with pytest.raises(ScorecardError, match="must leave room for 100 %"):
        capped(np.array([0.5, 0.5]), ["u", "m"], {"u": 0.4, "m": 0.4})


def test_many_churns_find_the_truth_from_a_wrong_card() -> None:
    found = learn_weights(card_of((0.1, 0.1, 0.8)), portfolio(TRUTH, rows=12_000), bootstrap=60)
    np.testing.assert_allclose([m.learned for m in found.measures], TRUTH, atol=0.05)
    assert sum(m.percent for m in found.measures) == 100
    for m, true in zip(found.measures, TRUTH, strict=True):
        assert m.interval.low - 0.02 <= true <= m.interval.high + 0.02
        assert m.evidence.finding is Finding.WORKS
    assert "deserves more" in found.measures[0].verdict
    assert "deserves less" in found.measures[2].verdict
    assert found.improvement is not None
    assert found.improvement.interval.low > 0


def test_with_many_churns_the_weights_are_those_of_the_unpenalised_fit() -> None:
    rows = card_rows(card_of((0.1, 0.1, 0.8)), portfolio(TRUTH, rows=14_000))
    assert rows.churned.sum() > 2000
    free = fit_weights(
        rows.health, rows.churned, penalty=Penalty(np.ones(3) / 3, 0.0), row_weight=np.ones(len(rows.churned))
    )
    found = learn_weights(card_of((0.1, 0.1, 0.8)), portfolio(TRUTH, rows=14_000), bootstrap=0)
    np.testing.assert_allclose([m.learned for m in found.measures], free.beta / free.beta.sum(), atol=0.01)


def test_a_card_that_is_right_is_left_alone() -> None:
    found = learn_weights(card_of(TRUTH), portfolio(TRUTH, rows=1500, seed=3), bootstrap=60)
    assert all("lies within" in m.verdict for m in found.measures)
    assert found.improvement is not None
    assert found.improvement.interval.holds(0.0)
    assert found.strength.belief[-1] > found.strength.belief[0]


def test_a_wrong_sign_and_a_useless_measure_are_named() -> None:
    data = portfolio((0.5, -0.3, 0.0, 0.4), rows=3000, seed=5)
    found = learn_weights(card_of((0.25, 0.25, 0.25, 0.25)), data, bootstrap=20)
    findings = [m.evidence.finding for m in found.measures]
    assert findings == [Finding.WORKS, Finding.WRONG_WAY, Finding.NO_EVIDENCE, Finding.WORKS]
    assert found.measures[1].percent == 0
    text = found.to_text()
    assert "Points the wrong way" in text
    assert "No evidence" in text
    assert max(len(line) for line in text.splitlines()) < 160


def test_the_card_keeps_its_form_and_survives_as_toml() -> None:
    bands = (banded("m0", (0.0, 50.0, 100.0), (30.0, 70.0), "top", group="u"), straight("m1", 2.0, group="u"),
             straight("m2", 5.0, group="m"))  # fmt: skip
    groups = (Group(name="u", weight=1.0), Group(name="m", weight=1.0))
    card = Scorecard(name="x", measures=bands, groups=groups,
                     missing=MissingRule.REDISTRIBUTE)  # fmt: skip
    found = learn_weights(card, portfolio(TRUTH, rows=1500), bootstrap=20)
    assert [m.curve for m in found.card.measures] == [m.curve for m in card.measures]
    assert found.card.missing is MissingRule.REDISTRIBUTE
    again = Scorecard.from_toml(found.to_toml())
    np.testing.assert_allclose(100 * again.weights, [m.percent for m in found.measures], atol=1e-9)
    table = found.frame()
    assert table["learned weight %"].sum() == 100
    assert table["metric"].tolist() == ["m0", "m1", "m2"]
    assert abs(found.rounding_auc) < 0.01
    assert found.to_dict()["learned_card"] == found.to_toml()


def test_caps_hold() -> None:
    card = card_of((0.4, 0.3, 0.3), ["u", "m", "m"])
    found = learn_weights(card, portfolio(TRUTH, rows=1500), caps={"u": 0.35}, bootstrap=0)
    assert found.measures[0].learned == pytest.approx(0.35)
    assert found.measures[0].percent == 35
    assert "held at its largest share" in " ".join(found.notes)


def test_a_sum_keeps_its_reach() -> None:
    lines = (
        banded("m0", (-20.0, 40.0), (50.0,), "top"),
        banded("m1", (0.0, 30.0), (50.0,), "top", group="h"),
    )
    card = Scorecard(name="x", measures=lines, combine=Combine.SUM, missing=MissingRule.NEUTRAL,
                     groups=(Group(name="g", high=40.0), Group(name="h", high=30.0)))  # fmt: skip
    changed = with_shares(card, [0.25, 0.75])
    np.testing.assert_allclose(changed.weights, [0.25, 0.75])
    # reach 60 and 30 of 90 become 22.5 and 67.5; the most of both groups stays 70 in all
    assert [m.weight for m in changed.measures] == pytest.approx([22.5 / 60, 67.5 / 30])
    assert sum(g.high or 0 for g in changed.groups) == pytest.approx(70.0)
    found = learn_weights(card, portfolio((0.9, 0.1), rows=2500), bootstrap=0)
    assert found.measures[0].learned > 0.75


def test_a_dropped_measure_counts_what_the_others_say() -> None:
    data = portfolio(TRUTH, rows=400)
    holes = data.frame.mask(np.random.default_rng(0).random(data.frame.shape) < 0.3)
    holes.iloc[0] = NAN
    card = card_of(TRUTH)
    rows = card_rows(card, replace(data, frame=holes))
    assert 0 not in rows.positions
    # whatever is missing, the weighted sum of the filled shares is the card's own score
    np.testing.assert_allclose(100.0 * rows.health @ card.weights, rows.score, atol=1e-9)


def test_too_few_churns_are_refused() -> None:
    data = portfolio(TRUTH, rows=60, churn=0.1)
    with pytest.raises(NotEnoughData, match="Learning weights needs at least 10 churns"):
        learn_weights(card_of(TRUTH), data)


def test_strengths_are_weighed_by_held_out_likelihood() -> None:
    rows = card_rows(card_of(TRUTH), portfolio(TRUTH, rows=500))
    strength = choose_strength([(rows.health, rows.churned, rows.account)], prior=np.array(TRUTH))
    losses = np.array(strength.loss) * len(rows.churned)
    expected = np.exp(-(losses - losses.min()))
    np.testing.assert_allclose(strength.belief, expected / expected.sum(), rtol=1e-9)
    assert strength.pull == pytest.approx(np.exp(np.dot(strength.belief, np.log(strength.tried))))


def test_the_pull_is_told_in_churns() -> None:
    found = learn_weights(card_of(TRUTH), portfolio(TRUTH, rows=1500, seed=3), bootstrap=0)
    rows = card_rows(card_of(TRUTH), portfolio(TRUTH, rows=1500, seed=3))
    # a churn adds about p (1 - p) times the variance of a uniform share, 1 / 12, per row; p is .15 or so
    per_churn = len(rows.churned) * 0.15 * 0.85 / 12.0 / rows.churned.sum()
    assert found.prior_churns == pytest.approx(found.strength.pull / per_churn, rel=0.4)
    assert f"about {found.prior_churns:.0f} churns, beside the {found.events} in" in " ".join(
        found.to_text().split()
    )


def test_segments_are_pooled(tmp_path: Path) -> None:
    big, small = portfolio(TRUTH, rows=4000, seed=1), portfolio((0.1, 0.3, 0.6), rows=4000, seed=2)
    few = portfolio(TRUTH, rows=100, seed=3)
    frame = pd.concat([big.frame, small.frame, few.frame], ignore_index=True)
    data = replace(
        big,
        frame=frame,
        churned=np.concatenate([big.churned, small.churned, few.churned]),
        account=pd.Series([f"a{i}" for i in range(len(frame))]),
        segment=pd.Series(["big"] * 4000 + ["other"] * 4000 + ["few"] * 100),
        keep=pd.DataFrame(index=frame.index),
        metrics=tuple(Metric(name=f"m{k}") for k in range(3)),
    )
    found = learn_segment_weights(card_of((1, 1, 1)), data, bootstrap=0)
    overall, big_one, other, little = (
        found.overall.exact.weights,
        *(found.segments[name].exact.weights for name in ("big", "other", "few")),
    )
    np.testing.assert_allclose(big_one, TRUTH, atol=0.1)
    np.testing.assert_allclose(other, (0.1, 0.3, 0.6), atol=0.1)
    assert np.abs(little - overall).max() < 0.2
    book = found.book("segment")
    scored = book.score(frame.assign(segment=data.segment).iloc[[0, 4000, 8000]])
    assert scored["card"].str.rsplit(": ").str[-1].tolist() == ["big", "other", "few"]
    table = found.frame()
    assert table["big"].tolist() == [m.percent for m in found.segments["big"].measures]
    assert (table[["all", "big", "other", "few"]].sum() == 100).all()
    text = found.to_text()
    shown = next(line for line in text.splitlines() if line.startswith("M0 "))
    assert [float(word) for word in shown.replace("%", "").split()[1:]] == pytest.approx(
        table.loc["M0"].tolist(), abs=0.5
    )
    assert max(len(line) for line in text.splitlines()) <= 100
    for name, toml in found.files("segment").items():
        (tmp_path / name).write_text(toml)
    again = load_book(tmp_path / "cards.toml").score(frame.assign(segment=data.segment))
    pd.testing.assert_series_equal(
        again["health_score"], book.score(frame.assign(segment=data.segment))["health_score"]
    )
    with pytest.raises(TableError, match="needs a segment column"):
        learn_segment_weights(card_of((1, 1, 1)), big)


def test_the_improvement_is_that_of_the_whole_card_with_its_floors() -> None:
    # whatever else is known, 50 points on m2 hold an account at 100: the floor hides the weights
    card = replace(
        card_of((0.1, 0.1, 0.8)), limits=(Limit(measure="m2", points_at_least=50.0, score_at_least=100.0),)
    )
    data = portfolio(TRUTH, rows=4000, seed=1)
    plain = learn_weights(card_of((0.1, 0.1, 0.8)), data, bootstrap=0).improvement
    held = learn_weights(card, data, bootstrap=0)
    assert held.improvement is not None
    assert plain is not None
    ours = delong_auc(held.card.raw_score(card_rows(card, data).values), data.churned, np.arange(data.n)).auc
    theirs = delong_auc(card_rows(card, data).score, data.churned, np.arange(data.n)).auc
    assert held.improvement.difference == pytest.approx(ours - theirs, abs=0.01)
    assert plain.difference > held.improvement.difference + 0.05


def test_a_weight_that_comes_from_silence_says_so() -> None:
    rng = np.random.default_rng(0)
    n = 3000
    values, silent = rng.uniform(0.0, 100.0, (n, 2)), rng.random(n) < 0.4
    churned = (rng.random(n) < expit(-1.5 - 0.02 * values[:, 0] + 1.5 * silent)).astype(np.float64)
    frame = pd.DataFrame(values, columns=["m0", "m1"]).assign(m1=np.where(silent, NAN, values[:, 1]))
    account = pd.Series([f"a{i}" for i in range(n)])
    card = replace(card_of((1, 1)), missing=MissingRule.WORST)
    data = Dataset(frame=frame, metrics=card.schema.metrics, churned=churned, account=account)
    found = learn_weights(card, data, bootstrap=60).measures[1]
    assert found.evidence.finding is Finding.NO_EVIDENCE
    assert found.learned > 0.2
    with_one, without = churned[~silent].mean(), churned[silent].mean()
    assert f"accounts without a value: {without:.1%} of them churned, against {with_one:.1%}" in found.verdict


def test_caps_of_the_cards_own_groups_hold_in_segments() -> None:
    card = replace(
        card_of((1, 1, 1), ["u", "m", "m"]), groups=(Group(name="u", largest_share=0.3), Group(name="m"))
    )
    data = portfolio(TRUTH, rows=3000)
    data = replace(data, segment=pd.Series(["a", "b"] * 1500))
    found = learn_segment_weights(card, data, bootstrap=0)
    for one in (found.overall, *found.segments.values()):
        assert one.measures[0].learned == pytest.approx(0.3)


def test_the_command_writes_a_card_per_segment_and_the_resolver(tmp_path: Path) -> None:
    data = portfolio(TRUTH, rows=2000)
    table = data.frame.assign(id=data.account, left=data.churned, size=["big", "small"] * 1000)
    table.to_csv(tmp_path / "table.csv", index=False)
    (tmp_path / "card.toml").write_text(card_of((1, 1, 1)).to_toml())
    asked = [
        "learn-weights", str(tmp_path / "card.toml"), str(tmp_path / "table.csv"), "--outcome", "left",
        "--account", "id", "--segment", "size", "--per-segment", "--out", str(tmp_path / "cards"),
    ]  # fmt: skip
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    assert "big" in result.output
    book = load_book(tmp_path / "cards" / "cards.toml")
    assert [e.when[0].among for e in book.entries[:2]] == [("big",), ("small",)]
    scores = book.score(table)
    assert scores["card"].str.rsplit(": ").str[-1].tolist() == table["size"].tolist()
    assert load_scorecard(tmp_path / "cards" / "card_of_all.toml").weights.sum() == pytest.approx(1.0)
    refused = CliRunner().invoke(app, [*asked, "--ranges"])
    assert refused.exit_code == 2
