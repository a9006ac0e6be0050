"""Small runs of benchmarks/cards.py: what its families say, and that they say it of known truth."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


def loaded(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{file.stem}_benchmark", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def cards(root: Path) -> ModuleType:
    return loaded(root / "benchmarks" / "cards.py")


def test_the_simulation_has_the_churn_it_was_asked_for(cards: ModuleType) -> None:
    data = cards.simulated(cards.true_weights(5), rows=40_000, seed=1)
    assert data.base_rate == pytest.approx(0.1, abs=0.006)
    assert cards.auc(np.array([1.0, 2.0, 3.0, 3.0]), np.array([1.0, 0.0, 0.0, 1.0])) == pytest.approx(0.625)


@pytest.mark.slow
def test_with_40_churns_learned_weights_stay_near_the_better_and_leave_the_worse(cards: ModuleType) -> None:
    truth = cards.true_weights(5)
    for prior in (truth, truth[::-1]):
        found = np.array([cards._few(truth, prior, seed) for seed in range(12)]).mean(axis=0)
        by_hand, free, learned = found
        assert learned > max(by_hand, free) - 0.012
        assert learned > min(by_hand, free)


def test_with_many_churns_the_pull_does_not_matter(cards: ModuleType) -> None:
    assert next(cards.many_churns(range(2))).holds


def test_cards_are_told_the_truth(cards: ModuleType) -> None:
    results = {result.what.split(":")[0]: result.found for result in cards.audits(range(3))}
    assert results["true card"] >= 2 / 3
    assert results["wrong sign and useless measure named"] >= 2 / 3
    assert results["random card"] >= 2 / 3


def test_pooled_segment_cards_are_no_worse_than_either_extreme(cards: ModuleType) -> None:
    pooled, overall, separate = np.array([cards._segments(seed) for seed in range(4)]).mean(axis=0)
    assert pooled > overall
    assert pooled > separate - 0.002


def test_intervals_of_equal_scores_cover_zero(cards: ModuleType) -> None:
    results = list(cards.equal_cards(range(2)))  # 20 draws: P(fewer than 15 cover at 95 %) < 0.01 %
    assert {r.what.split(" in ")[1] for r in results} >= {
        f"{name} covers 0" for name in ("auc", "top_decile_lift", "value_captured")
    }
    assert min(r.found for r in results) >= 15 / 20


def test_ranges_with_wrong_ends_are_replaced_and_true_ones_mostly_stay(cards: ModuleType) -> None:
    replaced, gain, _, loss = (result.found for result in cards.ranges(range(3)))
    assert replaced >= 2 / 3
    assert gain > 0
    assert loss > -0.005


def test_the_cards_scores_are_those_by_hand(root: Path) -> None:
    module = loaded(root / "benchmarks" / "card_speed.py")
    ours, theirs = module.timed(2000, 9)  # also asserts that both give the same columns
    assert min(ours, theirs) > 0
