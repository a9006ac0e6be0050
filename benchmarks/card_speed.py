"""A million accounts through a card of 30 measures, against the same arithmetic written by hand in NumPy.

    python benchmarks/card_speed.py
    python benchmarks/card_speed.py --rows 100000

Both read the same frame and give the same score, tier, coverage and status; that they do is checked.
"""

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.curves import BandCurve, Edge, LinearCurve
from chs_ml.inputs import InputColumn
from chs_ml.metric import Metric
from chs_ml.scorecard import Group, Measure, Scorecard

Array = NDArray[np.float64]
KNOTS, POINTS = (0.0, 30.0, 60.0, 100.0), (0.0, 50.0, 80.0, 100.0)
BOUNDS, BAND_POINTS = (25.0, 50.0, 75.0), (0.0, 40.0, 70.0, 100.0)


def speed_card(measures: int) -> Scorecard:
    """Bands and lines in turn, in groups of six with weights; gaps drop out."""
    bands = BandCurve(bounds=BOUNDS, points=BAND_POINTS, edge=Edge.TOP)
    line = LinearCurve(x=KNOTS, points=POINTS)
    lines = tuple(
        Measure(
            column=InputColumn(metric=Metric(name=f"m{k}", group=f"g{k // 6}")),
            curve=bands if k % 2 else line,
            weight=1.0 + k % 4,
        )
        for k in range(measures)
    )
    groups = tuple(Group(name=f"g{g}", weight=2.0 + g) for g in range((measures + 5) // 6))
    return Scorecard(name="speed", measures=lines, groups=groups)


def main() -> int:
    """Time both, check that they agree, and print; 1 where ours takes more than three times as long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--measures", type=int, default=30)
    asked = parser.parse_args()
    ours, theirs = timed(asked.rows, asked.measures)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    print(
        f"{asked.rows:,} accounts x {asked.measures} measures, from a frame to score, tier, coverage, status"
    )
    print(f"Scorecard.score: {ours:.2f} s; NumPy by hand: {theirs:.2f} s; ratio {ours / theirs:.2f} (<= 3)")
    print(f"peak memory {peak:,.0f} MB, of which the frame {asked.rows * asked.measures * 8 / 2**20:,.0f} MB")
    return int(ours > 3.0 * theirs)


def timed(rows: int, measures: int) -> tuple[float, float]:
    """Seconds of ``Scorecard.score``, and of the same columns by hand in NumPy; best of three each."""
    rng, card = np.random.default_rng(0), speed_card(measures)
    frame = pd.DataFrame({f"m{k}": _with_gaps(rng, rows) for k in range(measures)})
    ours, theirs = _best(lambda: card.score(frame)), _best(lambda: _by_hand(frame, card.weights))
    few = frame.head(1000)
    pd.testing.assert_frame_equal(
        card.score(few)[["health_score", "tier", "coverage", "status"]], _by_hand(few, card.weights),
        check_dtype=False, check_categorical=False, atol=1e-8,
    )  # fmt: skip
    return ours, theirs


def _with_gaps(rng: np.random.Generator, rows: int) -> Array:
    values = rng.uniform(0.0, 100.0, rows)
    values[rng.random(rows) < 0.1] = np.nan
    return values


def _by_hand(frame: pd.DataFrame, weights: Array) -> pd.DataFrame:
    """What an analyst writes: column by column, tiers by searchsorted."""
    total, present = np.zeros(len(frame)), np.zeros(len(frame))
    table = np.array(BAND_POINTS)
    for k, weight in enumerate(weights):
        values = frame[f"m{k}"].to_numpy()
        known = ~np.isnan(values)
        points = (
            table[np.minimum(np.searchsorted(BOUNDS, values, side="left"), 3)]
            if k % 2
            else np.interp(values, KNOTS, POINTS)
        )
        total += weight * np.where(known, points, 0.0)
        present += weight * known
    score = np.round(total / np.where(present > 0, present, np.nan), 9)
    tier = 2 - np.searchsorted(np.array([50.0, 75.0]), score, side="right")
    tier = np.where(np.isnan(score), -1, tier)
    names = ["Healthy", "At-Risk", "Critical"]
    status = np.where(present > 0, "ok", "withheld")
    return pd.DataFrame(
        {
            "health_score": score,
            "tier": pd.Categorical.from_codes(tier, names, ordered=True),
            "coverage": np.round(present, 9),
            "status": pd.array(status, dtype="str"),
        },
        index=frame.index,
    )


def _best(job: Callable[[], object], runs: int = 3) -> float:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


if __name__ == "__main__":
    raise SystemExit(main())
