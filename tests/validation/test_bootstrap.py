"""The clustered bootstrap against a loop that copies rows, and against the number of threads."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from chs_ml.validation.bootstrap import Judged, account_counts, replicates

rng = np.random.default_rng(0)
ACCOUNT = np.repeat(np.arange(60), rng.integers(1, 4, 60))
N = len(ACCOUNT)
CHURNED = (rng.random(60) < 0.4).astype(float)[ACCOUNT]
SCORE = rng.normal(size=N).round(1) - CHURNED
PROBABILITY = rng.uniform(0.1, 0.9, N)


def judged() -> Judged:
    return Judged.of(CHURNED, score=SCORE, account=ACCOUNT, probability=PROBABILITY)


def test_replicates_equal_copying_the_rows_of_drawn_accounts() -> None:
    found = replicates(judged(), n_bootstrap=20, random_state=3, threads=1)
    seed = np.random.SeedSequence(3).spawn(1)[0]
    counts = account_counts(60, size=20, rng=np.random.default_rng(seed))
    assert np.all(counts.sum(axis=1) == 60)
    for b in range(20):
        rows = np.concatenate(
            [np.repeat(np.flatnonzero(a == ACCOUNT), int(c)) for a, c in enumerate(counts[b])]
        )
        assert found["auc"][b] == pytest.approx(roc_auc_score(CHURNED[rows], -SCORE[rows]), abs=1e-12)
        assert found["brier"][b] == pytest.approx(np.mean((PROBABILITY[rows] - CHURNED[rows]) ** 2))


def test_threads_do_not_change_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chs_ml.validation.bootstrap.CELLS_PER_BLOCK", 1000)
    one = replicates(judged(), n_bootstrap=100, random_state=5, threads=1)
    three = replicates(judged(), n_bootstrap=100, random_state=5, threads=3)
    assert one.keys() == three.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, three[name])


def test_seeds_differ_and_repeat() -> None:
    first, again, other = (replicates(judged(), n_bootstrap=5, random_state=s)["auc"] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_clusters_widen_the_spread() -> None:
    copies = np.repeat(np.arange(N), 4)
    account = copies
    many = Judged.of(CHURNED[copies], score=SCORE[copies], account=account)
    naive = Judged.of(CHURNED[copies], score=SCORE[copies], account=np.arange(4 * N))
    spread = {
        name: replicates(one, n_bootstrap=300, random_state=0)["auc"].std()
        for name, one in (("clustered", many), ("naive", naive))
    }
    assert spread["clustered"] == pytest.approx(2 * spread["naive"], rel=0.2)
