"""What scoring costs beside LightGBM's bare prediction.

    python benchmarks/scoring.py --rows 1000000

A model of 30 metrics and 300 trees of 31 leaves in total (five boosters of 60). Beside it, in the same run
with the same threads: the boosters' own `predict` on a ready matrix, plus converting the frame to that
matrix. Then one account as a frame and as a mapping, and the peak memory of scoring a Parquet file.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from chs_ml.bundle import load_model, save_model
from chs_ml.curves import LinearCurve
from chs_ml.health_model import Blend, CarriedColumns, HealthModel
from chs_ml.inputs import InputColumn
from chs_ml.metric import Metric
from chs_ml.scale import AnchoredScale
from chs_ml.scorecard import Measure, MissingRule, Scorecard
from chs_ml.tiers import Tiers
from chs_ml.tree_ensemble import TreeEnsemble

METRICS, BOOSTERS, TREES, LEAVES = 30, 5, 60, 31


def simulated_frame(rows: int, seed: int = 0) -> pd.DataFrame:
    """Accounts with 30 numeric metrics, one in twenty values missing."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, METRICS))
    values[rng.random(values.shape) < 0.05] = np.nan
    return pd.DataFrame(values, columns=[f"metric_{k}" for k in range(METRICS)])


def model_of(frame: pd.DataFrame) -> HealthModel:
    """A health model of the size in question; what it predicts does not matter here."""
    rng = np.random.default_rng(1)
    values = frame.to_numpy()[:20_000]
    churned = rng.random(len(values)) < 1 / (1 + np.exp(2 - np.nan_to_num(values[:, :5]).sum(axis=1)))
    boosters = [
        lgb.train(
            {
                "objective": "binary",
                "num_leaves": LEAVES,
                "seed": seed,
                "verbosity": -1,
                "bagging_fraction": 0.8,
                "bagging_freq": 1,
            },
            lgb.Dataset(values, churned),
            num_boost_round=TREES,
        )
        for seed in range(BOOSTERS)
    ]
    knots = tuple(np.linspace(-2.0, 2.0, 10).tolist())
    points = tuple(np.linspace(0.0, 100.0, 10).tolist())
    measures = tuple(
        Measure(
            column=InputColumn(metric=Metric(name=name)),
            curve=LinearCurve(x=knots, points=points, missing=50.0),
            weight=1.0,
        )
        for name in frame.columns
    )
    return HealthModel(
        card=Scorecard(name="benchmark", measures=measures, missing=MissingRule.OWN),
        blend=Blend(-2.0, 0.01, 0.5),
        scale=AnchoredScale(0.1),
        tiers=Tiers(),
        baseline=tuple([50.0 / METRICS] * METRICS),
        trees=TreeEnsemble(tuple(b.model_to_string() for b in boosters)),
        carried=CarriedColumns(),
    )


def median_seconds(
    work: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Median time of several runs, after one that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        began = clock()
        work()
        times.append(clock() - began)
    return statistics.median(times)


def in_bulk(model: HealthModel, frame: pd.DataFrame, repeats: int) -> None:
    """Scoring a frame beside the bare prediction."""
    trees = model.trees
    assert trees is not None
    boosters = trees.boosters
    ready = np.ascontiguousarray(frame.to_numpy())
    cases = {
        "bare predict": lambda: [b.predict(ready, raw_score=True) for b in boosters],
        "conversion": lambda: np.ascontiguousarray(frame.to_numpy(dtype=np.float64)),
        "HealthModel.score": lambda: model.score(frame),
    }
    for clock, name in ((time.perf_counter, "wall"), (time.process_time, "processor")):
        seconds = {case: median_seconds(work, repeats, clock) for case, work in cases.items()}
        ratio = seconds["HealthModel.score"] / (seconds["bare predict"] + seconds["conversion"])
        listed = ", ".join(f"{case} {value:.2f} s" for case, value in seconds.items())
        print(f"{len(frame):,} rows, {name} time: {listed}; ratio {ratio:.2f} (at most 1.5)", flush=True)


def one_by_one(model: HealthModel, frame: pd.DataFrame) -> None:
    """One account, as a frame and as a mapping."""
    row, mapping = frame.iloc[:1], frame.iloc[0].to_dict()
    ready = np.ascontiguousarray(row.to_numpy())
    boosters = model.trees.boosters if model.trees else ()
    for name, work in (
        (
            "bare predict of the boosters, one thread",
            lambda: [b.predict(ready, num_threads=1) for b in boosters],
        ),
        ("one row as a frame", lambda: model.score(row)),
        ("one row as a mapping", lambda: model.score(mapping)),
    ):
        print(f"{name}: {1e3 * median_seconds(work, 300):.3f} ms")


def streamed(model: HealthModel, frame: pd.DataFrame) -> None:
    """Peak memory of scoring a Parquet file, once and ten times the rows."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        save_model(model, place / "model")
        for times in (1, 10):
            source = place / f"{times}.parquet"
            pd.concat([frame] * times, ignore_index=True).to_parquet(source, row_group_size=100_000)
            command = [sys.executable, __file__, "--stream", str(place / "model"), str(source)]
            print(
                subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip(), flush=True
            )


def stream(bundle: Path, source: Path) -> None:
    """Score one file in this process, and say what memory it took."""
    from chs_ml.batch import score_file

    model = load_model(bundle)
    before = peak_megabytes()
    score_file(model, source, source.with_suffix(".scores.parquet"))
    rows = pq.ParquetFile(source).metadata.num_rows
    print(f"streamed {rows:,} rows: peak {peak_megabytes():.0f} MB ({before:.0f} MB before the first row)")


def peak_megabytes() -> float:
    """Peak memory of this process since it began; unlike getrusage's, not inherited from its parent."""
    status = Path("/proc/self/status").read_text()
    return float(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1e3  # type: ignore[index]


def main() -> None:
    """Measure all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--stream", nargs=2, type=Path, metavar=("MODEL", "SOURCE"))
    arguments = parser.parse_args()
    if arguments.stream:
        stream(*arguments.stream)
        return
    frame = simulated_frame(arguments.rows)
    model = model_of(frame)
    one_by_one(model, frame)
    in_bulk(model, frame, arguments.repeats)
    streamed(model, frame.iloc[:200_000])


if __name__ == "__main__":
    main()
