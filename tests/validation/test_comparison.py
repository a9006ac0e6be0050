"""Paired comparisons: same rows, same replicates, honest size."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from chs_ml.errors import TableError
from chs_ml.tiers import Tiers
from chs_ml.validation import (
    Comparison,
    Policy,
    Promise,
    Ruling,
    Verdict,
    compare,
    delong_difference,
    validate,
)
from chs_ml.validation.result import holm
from tests.validation.conftest import Book, make_book


def noisy(book: Book, sd: float, seed: int = 0) -> np.ndarray:
    return book.score + np.random.default_rng(seed).normal(scale=sd, size=len(book.score))


def test_better_and_worse_are_told(book: Book) -> None:
    duel = compare(book.churned, {"by hand": noisy(book, 30), "learned": book.score}, n_bootstrap=100)
    assert duel.difference("learned").verdict is Ruling.BETTER
    assert duel.difference("learned").delong_p_value < 0.01
    turned = compare(book.churned, {"learned": book.score, "by hand": noisy(book, 30)}, n_bootstrap=100)
    assert turned.difference("by hand").verdict is Ruling.WORSE
    assert turned.difference("by hand").difference == pytest.approx(-duel.difference("learned").difference)


def test_statistics_equal_those_of_validate(book: Book) -> None:
    other = noisy(book, 30)
    duel = compare(book.churned, {"a": other, "b": book.score}, account=book.account, n_bootstrap=50)
    alone = validate(book.churned, score=book.score, account=book.account, n_bootstrap=50)
    assert duel.contestants[1].statistics == tuple(s for s in alone.statistics if s.name != "auc_delong")
    assert duel.contestants[1].tiers == alone.tiers


def test_replicates_are_shared(book: Book) -> None:
    duel = compare(book.churned, {"a": book.score, "b": book.score + 1e-9}, n_bootstrap=50)
    found = duel.difference("b")
    assert (found.difference, found.interval.low, found.interval.high) == (0.0, 0.0, 0.0)
    assert found.verdict is Ruling.NO_DIFFERENCE
    assert found.equivalent


def test_rows_where_any_score_is_missing_are_left_out(book: Book) -> None:
    holes = pd.Series(book.score).where(np.arange(3000) % 10 != 0)
    duel = compare(pd.Series(book.churned), {"a": pd.Series(book.score), "b": holes}, n_bootstrap=20)
    assert duel.counts.withheld == 300
    assert {s.n for c in duel.contestants for s in c.statistics} == {2700}


def test_log_loss_needs_both_probabilities(book: Book) -> None:
    scores = {"a": noisy(book, 30), "b": book.score}
    one = compare(book.churned, scores, probabilities={"b": book.probability}, n_bootstrap=20)
    assert ("b", "log_loss") not in {(d.second, d.statistic) for d in one.differences}
    flat = np.full(3000, book.churned.mean())
    both = compare(book.churned, scores, probabilities={"a": flat, "b": book.probability}, n_bootstrap=50)
    gap = both.difference("b", "log_loss")
    assert gap.difference < 0
    assert gap.verdict is Ruling.BETTER


def test_what_cannot_be_compared_is_refused(book: Book) -> None:
    with pytest.raises(TableError, match="at least two scores, got 1"):
        compare(book.churned, {"a": book.score})
    with pytest.raises(TableError, match="belong to a score of the same name"):
        compare(book.churned, {"a": book.score, "b": book.score}, probabilities={"c": book.probability})
    with pytest.raises(KeyError, match="'auc'"):
        compare(book.churned, {"a": book.score, "b": book.score}, n_bootstrap=5).difference("c")


def test_sixty_accounts_are_not_enough() -> None:
    book = make_book(60, seed=1)
    duel = compare(book.churned, {"a": noisy(book, 30), "b": book.score}, n_bootstrap=50)
    assert duel.difference("b").verdict is Ruling.NOT_ENOUGH_DATA


def test_comparison_survives_its_dictionary_and_is_narrow(book: Book) -> None:
    names = {"a name of a score that is longer than a column of the table": noisy(book, 30), "b": book.score}
    duel = compare(book.churned, names, value=book.value, n_bootstrap=30)
    again = Comparison.from_dict(json.loads(duel.to_json()))
    assert again.to_json() == duel.to_json()
    assert max(len(line) for line in str(duel).splitlines()) <= 100
    assert set(duel.frame()["statistic"]) >= {"auc", "value_captured"}


def test_equal_models_seldom_differ() -> None:
    """Two scores with the same noise are equally good: they differ in about 5 % of seeds."""
    found = []
    for seed in range(150):
        book = make_book(400, seed=seed, base=0.15)
        pair = {"a": noisy(book, 20, 2 * seed), "b": noisy(book, 20, 2 * seed + 1)}
        duel = compare(book.churned, pair, n_bootstrap=100, random_state=seed)
        found.append([duel.difference("b", s).p_value < 0.05 for s in ("auc", "average_precision")])
    assert np.all(np.mean(found, axis=0) <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 150))


def test_policy_promises_and_segments_are_the_recipes(book: Book) -> None:
    segment = pd.Series(np.where(np.arange(3000) % 3 == 0, "SMB", "Enterprise"))
    segment[:20] = "Tiny"
    duel = compare(
        book.churned, {"a": noisy(book, 30), "b": book.score}, segment=segment, n_bootstrap=20,
        tiers=Tiers(), promises=[Promise(tier="Healthy", at_most=0.01)], policy=Policy(least_expected=500.0),
    )  # fmt: skip
    assert duel.difference("b").verdict is Ruling.NOT_ENOUGH_DATA
    assert [one.promises[0].verdict for one in duel.contestants] == [Verdict.FAIL, Verdict.FAIL]
    assert {d.verdict for d in duel.segments} == {Ruling.NOT_ENOUGH_DATA}
    usual = compare(book.churned, {"a": noisy(book, 30), "b": book.score}, segment=segment, n_bootstrap=20)
    by_name = {d.segment: d for d in usual.segments}
    assert list(by_name) == ["Enterprise", "SMB", "Tiny"]
    inside = (segment == "SMB").to_numpy()
    for score, found in (
        (noisy(book, 30), by_name["SMB"].first_auc),
        (book.score, by_name["SMB"].second_auc),
    ):
        assert found == pytest.approx(roc_auc_score(book.churned[inside], -score[inside]))
    expected = delong_difference(
        noisy(book, 30)[inside], book.score[inside], book.churned[inside], np.arange(inside.sum())
    )
    raw = [expected.p_value, _delong_p(book, (segment == "Enterprise").to_numpy())]
    assert by_name["SMB"].p_value == pytest.approx(holm(raw)[0])
    assert by_name["SMB"].interval == expected.interval
    assert by_name["Tiny"].verdict is Ruling.NOT_ENOUGH_DATA
    text = usual.to_text()
    assert "AUC by segment" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "### AUC by segment" in usual.to_markdown()
    assert Comparison.from_dict(json.loads(usual.to_json())).to_json() == usual.to_json()


def _delong_p(book: Book, inside: np.ndarray) -> float:
    scores = (noisy(book, 30)[inside], book.score[inside])
    return delong_difference(*scores, book.churned[inside], np.arange(inside.sum())).p_value
