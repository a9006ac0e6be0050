"""The price of exact SHAP contributions, beside LightGBM's bare prediction and the other ways to get them.

    python benchmarks/explain.py                                     # 1 million rows x 30 metrics x 300 trees
    python benchmarks/explain.py --rows 20000 --trees 50 --slow-seconds 0.5         # well under a minute

Everything in one process, with the same number of threads and the same data. Fast methods run on all rows, in
turns, the best turn counting (another program on the machine can only slow a turn down). Slow methods run on
ever more rows until a run takes `--slow-seconds`; the line through the last two runs, which parts setting up
from the cost of a row, gives the seconds for all rows, marked `~`. shap, fasttreeshap-fixed and
woodelf-explainer take part where they can be imported.
"""

import argparse
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.tree_tables import TreeTables, plan_tables
from chs_ml.tree_tables.tables import Engine

Array = NDArray[np.float64]
Run = Callable[[Array], Array | None]
"""Explain rows: (n, k) contributions, or None where a method has none."""

Rival = Callable[[Any, lgb.Booster, "Options", Array], Array]

CATEGORY_LEVELS = (8, 20)


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    rows: int
    slow_seconds: float
    metrics: int
    categories: int
    trees: int
    leaves: list[int]
    threads: int
    repeat: int
    max_nodes: int


@dataclass(frozen=True)
class Line:
    """One method's result; seconds are for all rows."""

    method: str
    seconds: float
    scaled: bool
    difference: float | None


def simulate(rows: int, options: Options, seed: int) -> tuple[Array, NDArray[np.int64]]:
    """Metrics of several kinds (skewed, counts, with gaps, categories) and an outcome with interactions."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, options.metrics))
    kind = np.arange(options.metrics) % 6
    X[:, kind == 2] = np.exp(X[:, kind == 2])
    X[:, kind == 3] = np.round(3 * X[:, kind == 3])
    gaps = X[:, kind == 4]
    gaps[rng.random(gaps.shape) < 0.15] = np.nan
    X[:, kind == 4] = gaps
    for place in range(options.categories):
        X[:, -1 - place] = rng.integers(0, CATEGORY_LEVELS[place % 2], rows)
    filled = np.nan_to_num(X)
    effects = np.sin(filled) @ np.linspace(0.6, 0.05, options.metrics)
    pairs = filled[:, :-1:2] * filled[:, 1::2] / (1 + np.abs(filled[:, :-1:2]) + np.abs(filled[:, 1::2]))
    margin = effects + pairs.sum(axis=1) - 2
    return X, (margin + rng.logistic(size=rows) > 0).astype(np.int64)


def train(options: Options, leaves: int) -> lgb.Booster:
    """A booster of the wanted size; 20,000 rows keep every tree from stopping early."""
    X, y = simulate(20_000, options, seed=0)
    names = [f"m{i}" for i in range(options.metrics)]
    categories = names[options.metrics - options.categories :]
    data = lgb.Dataset(X, y, feature_name=names, categorical_feature=categories)
    parameters = {"objective": "binary", "num_leaves": leaves, "learning_rate": 0.05, "verbose": -1}
    return lgb.train(parameters | {"num_threads": options.threads}, data, options.trees)


def fast_runs(booster: lgb.Booster, options: Options) -> dict[str, Run]:
    """Methods that can take all rows."""
    runs: dict[str, Run] = {"LightGBM predict (margin alone)": partial(_predict, booster, options)}
    for engine in _engines():
        tables = TreeTables.from_boosters(booster, max_nodes=options.max_nodes, engine=engine)
        runs[f"tables, {engine}: margin alone"] = partial(_only_margin, tables, options)
        runs[f"tables, {engine}: margin + contributions"] = partial(_explain, tables, options)
    return runs


def slow_runs(booster: lgb.Booster, options: Options) -> dict[str, Run | str]:
    """Methods for a subset of the rows, or why one is missing."""
    runs: dict[str, Run | str] = {"LightGBM pred_contrib": partial(_with_lightgbm, booster, options)}
    rivals = {
        "shap": ("shap", _with_shap),
        "fasttreeshap-fixed": ("fasttreeshap_fixed", _with_fasttreeshap),
        "woodelf-explainer": ("woodelf", _with_woodelf),
    }
    for name, (module, explain) in rivals.items():
        if find_spec(module) is None:
            runs[name] = "not installed"
            continue
        runs[f"{name} {_version(name)}"] = partial(_with_rival, module, explain, booster, options)
    return runs


def _engines() -> list[Engine]:
    return ["numpy", "numba"] if find_spec("numba") else ["numpy"]


def _predict(booster: lgb.Booster, options: Options, X: Array) -> None:
    booster.predict(X, raw_score=True, num_threads=options.threads)


def _only_margin(tables: TreeTables, options: Options, X: Array) -> None:
    tables.margin(X, n_threads=options.threads)


def _explain(tables: TreeTables, options: Options, X: Array) -> Array:
    return tables.contributions(X, n_threads=options.threads)[1]


def _with_lightgbm(booster: lgb.Booster, options: Options, X: Array) -> Array:
    return np.asarray(booster.predict(X, pred_contrib=True, num_threads=options.threads))


def _with_rival(module: str, explain: Rival, booster: lgb.Booster, options: Options, X: Array) -> Array:
    return explain(import_module(module), booster, options, X)


def _with_shap(shap: Any, booster: lgb.Booster, options: Options, X: Array) -> Array:
    return np.asarray(shap.TreeExplainer(booster)(X).values)


def _with_fasttreeshap(fasttreeshap: Any, booster: lgb.Booster, options: Options, X: Array) -> Array:
    explainer = fasttreeshap.TreeExplainer(booster, algorithm="v2", n_jobs=options.threads)
    return _positive_class(explainer.shap_values(X, check_additivity=False))


def _with_woodelf(woodelf: Any, booster: lgb.Booster, options: Options, X: Array) -> Array:
    frame = pd.DataFrame(X, columns=booster.feature_name())
    return _positive_class(woodelf.WoodelfExplainer(booster).shap_values(frame, verbose=False))


def _positive_class(values: Any) -> Array:
    return np.asarray(values[-1] if isinstance(values, list) else values)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"


def timed(run: Run, X: Array) -> tuple[float, Array | None]:
    """Seconds and result."""
    start = time.perf_counter()
    result = run(X)
    return time.perf_counter() - start, result


def measure_fast(runs: dict[str, Run], X: Array, expected: Array, repeat: int) -> list[Line]:
    """Best of several turns; the methods alternate, so that all meet the same disturbances."""
    best = dict.fromkeys(runs, float("inf"))
    differences: dict[str, float | None] = {}
    for name, run in runs.items():
        run(X[:100])  # compiling and first touches
        found = run(X[: len(expected)])
        differences[name] = None if found is None else float(np.abs(found - expected).max())
    for _ in range(repeat):
        for name, run in runs.items():
            best[name] = min(best[name], timed(run, X)[0])
    return [Line(name, seconds, False, differences[name]) for name, seconds in best.items()]


def measure_slow(runs: dict[str, Run | str], X: Array, expected: Array, limit: float) -> list[Line]:
    """Seconds for all rows, told from fewer."""
    lines = []
    for name, run in runs.items():
        if isinstance(run, str):
            print(f"  ({name}: {run})")
            continue
        try:
            found = run(X[: len(expected)])
            seconds = extrapolated(run, X, limit)
        except Exception as error:  # a rival's failure is a result, not ours
            print(f"  ({name}: failed with {type(error).__name__}: {str(error)[:90]})")
            continue
        assert found is not None
        difference = float(np.abs(found[:, : expected.shape[1]] - expected).max())
        lines.append(Line(name, seconds, True, difference))
    return lines


def extrapolated(run: Run, X: Array, limit: float) -> float:
    """Seconds for all rows: four times more rows each time, until rows and not setting up take the time."""
    rows, before = 250, (0, 0.0)
    while True:
        rows = min(rows, len(X))
        seconds = timed(run, X[:rows])[0]
        enough = seconds > limit and 0 < 2 * before[1] < seconds
        if enough or seconds > 20 * limit or rows == len(X):
            per_row = (seconds - before[1]) / (rows - before[0])
            return seconds + per_row * (len(X) - rows)
        rows, before = 4 * rows, (rows, seconds)


def print_table(lines: list[Line], rows: int) -> None:
    """Seconds for all rows, and both ratios that the targets are about."""
    predict = lines[0].seconds
    contrib = next(line.seconds for line in lines if line.method == "LightGBM pred_contrib")
    print(f"  {'method':<40}{'seconds':>10}{'x predict':>12}{'x faster than':>15}{'largest':>12}")
    print(f"  {f'for {rows:,} rows':<40}{'':>10}{'':>12}{'pred_contrib':>15}{'difference':>12}")
    for line in lines:
        seconds = f"{'~' if line.scaled else ''}{line.seconds:.2f}"
        difference = "" if line.difference is None else f"{line.difference:.0e}"
        print(
            f"  {line.method:<40}{seconds:>10}{line.seconds / predict:>12.2f}"
            f"{contrib / line.seconds:>15.1f}{difference:>12}"
        )


def print_one_row(booster: lgb.Booster, X: Array, options: Options) -> None:
    """Median over different rows: the tables must come from memory, as in a service."""
    runs: dict[str, Callable[[Array], Any]] = {
        "LightGBM predict": lambda row: booster.predict(row, raw_score=True, num_threads=1),
        "LightGBM pred_contrib": lambda row: booster.predict(row, pred_contrib=True, num_threads=1),
    }
    for engine in _engines():
        tables = TreeTables.from_boosters(booster, max_nodes=options.max_nodes, engine=engine)
        runs[f"tables, {engine}: margin + contributions"] = tables.contributions
    print("  one row, microseconds (median of 300 different rows)")
    for name, run in runs.items():
        run(X[:1])
        seconds = [timed(run, X[place : place + 1])[0] for place in range(1, min(301, len(X)))]
        print(f"  {name:<40}{1e6 * float(np.median(seconds)):>10.0f}")


def measure(options: Options, leaves: int, X: Array) -> None:
    """All methods for one size of tree."""
    booster = train(options, leaves)
    expected = np.asarray(booster.predict(X[:250], pred_contrib=True, num_threads=options.threads))[:, :-1]
    start = time.perf_counter()
    plan = plan_tables(booster, max_nodes=options.max_nodes)
    planned = time.perf_counter() - start
    print(
        f"\n{leaves} leaves: {booster.num_trees()} trees, tables of {plan.nbytes / 1e6:.1f} MB in "
        f"{len(plan.groups)} groups (said after {planned:.1f} s, before building)"
    )
    lines = measure_fast(fast_runs(booster, options), X, expected, options.repeat)
    lines += measure_slow(slow_runs(booster, options), X, expected, options.slow_seconds)
    print_table(lines, len(X))
    print_one_row(booster, X, options)


def parse() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--slow-seconds", type=float, default=3.0, help="when a slow method has run enough")
    parser.add_argument("--metrics", type=int, default=30)
    parser.add_argument(
        "--categories", type=int, default=0, help="how many metrics are categories (not all rivals can)"
    )
    parser.add_argument("--trees", type=int, default=300)
    parser.add_argument("--leaves", type=int, nargs="+", default=[8, 31])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--max-nodes", type=int, default=10)
    return Options(**vars(parser.parse_args()))


def main() -> None:
    """Measure and print."""
    options = parse()
    print(
        f"{options.rows:,} rows x {options.metrics} metrics x {options.trees} trees, "
        f"{options.threads} threads\n"
        f"Python {platform.python_version()}, numpy {np.__version__}, lightgbm {lgb.__version__}"
    )
    X, _ = simulate(options.rows, options, seed=1)
    for leaves in options.leaves:
        measure(options, leaves, X)


if __name__ == "__main__":
    main()
