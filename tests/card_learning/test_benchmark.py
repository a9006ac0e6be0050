"""Small runs of benchmarks/cards.py: what its families say, and that they say it of known truth."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="module")
def cards(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("cards_benchmark", root / "benchmarks" / "cards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["cards_benchmark"] = module
    spec.loader.exec_module(module)
    return module


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
    assert all(result.holds for result in cards.many_churns(1))


def test_cards_are_told_the_truth(cards: ModuleType) -> None:
    results = {result.what.split(":")[0]: result.found for result in cards.audits(3)}
    assert results["true card"] >= 2 / 3
    assert results["wrong sign and useless measure named"] >= 2 / 3
    assert results["random card"] >= 2 / 3


def test_the_cards_sum_is_that_by_hand(cards: ModuleType) -> None:
    # also asserts that both give the same scores
    result = next(cards.speed(1, rows=2000, measures=4))
    assert result.found > 0
