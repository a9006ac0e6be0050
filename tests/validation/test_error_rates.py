"""A small subset of benchmarks/error_rates.py: no family of tests errs too often where it speaks."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="module")
def rates(root: Path) -> ModuleType:
    sys.path.insert(0, str(root / "benchmarks"))  # where the script finds its books
    spec = importlib.util.spec_from_file_location("error_rates", root / "benchmarks" / "error_rates.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["error_rates"] = module
    spec.loader.exec_module(module)
    sys.path.remove(str(root / "benchmarks"))
    return module


@pytest.mark.parametrize(("n", "rows"), [(60, 1), (300, 1), (1200, 6)])
def test_true_nulls_are_seldom_rejected(rates: ModuleType, n: int, rows: int) -> None:
    setting = rates.Setting(n, 0.3, rows)
    rng = np.random.default_rng(7)
    spoke: dict[str, int] = {}
    rejected: dict[str, int] = {}
    for _ in range(120):
        for name, tests in rates.families(rng, setting).items():
            heard = [test for test in tests if test.spoke]
            spoke[name] = spoke.get(name, 0) + bool(heard)
            rejected[name] = rejected.get(name, 0) + any(map(rates.rejects, heard))
    for name, count in spoke.items():
        most = 0.065 + 2.5 * np.sqrt(0.05 * 0.95 / max(count, 1))
        assert count < 5 or rejected[name] / count <= most, (name, count, rejected[name])
    if n == 60:
        tier_tests = {"ordered", "separated", "ordered_by_value", "critical_odds_ratio", "hosmer_lemeshow"}
        assert not any(spoke[name] for name in tier_tests)


def test_findings_know_their_limits(rates: ModuleType) -> None:
    assert rates.size_finding("separated", "", 1000, 1000, 50, large=True).holds
    assert not rates.size_finding("separated", "", 1000, 1000, 100, large=True).holds
    assert not rates.size_finding("separated", "", 1000, 1000, 5, large=True).holds
    assert rates.size_finding("predicted_binomial", "", 1000, 1000, 5, large=True).holds
    assert rates.cover_finding("", "", [True] * 95 + [False] * 5).holds
    assert rates.true_rate(-100.0) == pytest.approx(0.1, abs=1e-3)
