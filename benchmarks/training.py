"""Time and memory of training on a large table.

    python benchmarks/training.py --rows 500000 --metrics 30

A simulated table (numbers, yes/no and categories; 10 % churn), trained with everything in: curves, weights
with intervals, trees, blend, test. Prints seconds per stage and the peak memory of the process. On a real
table: ``--recipe training/telco.toml``.
"""

import argparse
import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit

from chs_ml.dataset import Dataset, build_dataset
from chs_ml.recipe import Recipe, load_recipe
from chs_ml.training import train


def simulated_table(rows: int, metrics: int, seed: int = 0) -> pd.DataFrame:
    """Numbers with missing values, a fifth yes/no, a tenth categories; churn from ten of them."""
    rng = np.random.default_rng(seed)
    columns: dict[str, object] = {"account_id": [f"A{i:07d}" for i in range(rows)]}
    margin = np.full(rows, -2.6)
    for k in range(metrics):
        latent = rng.normal(size=rows)
        if k < 10:
            margin += 0.4 * np.tanh(latent) + 0.3 * (latent > 1.0)
        if k % 10 == 3:
            columns[f"metric_{k}"] = np.array([f"level {i}" for i in range(8)])[
                np.digitize(latent, [-1.5, -1, -0.5, 0, 0.5, 1, 1.5])
            ]
        elif k % 5 == 1:
            columns[f"metric_{k}"] = (latent > 0.3).astype(int)
        else:
            columns[f"metric_{k}"] = np.where(rng.random(rows) < 0.05, np.nan, latent)
    columns["outcome"] = np.where(rng.random(rows) < expit(margin), "churned", "renewed")
    return pd.DataFrame(columns)


def dataset_of(arguments: argparse.Namespace) -> tuple[Recipe, Dataset]:
    """The dataset that the arguments name."""
    if arguments.recipe is not None:
        recipe = load_recipe(arguments.recipe)
        return recipe, build_dataset(recipe)
    recipe = load_recipe({"data": {"account": "account_id", "outcome": "outcome"}})
    return recipe, build_dataset(recipe, simulated_table(arguments.rows, arguments.metrics))


def main() -> None:
    """Train once, and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--metrics", type=int, default=30)
    parser.add_argument("--recipe", type=Path)
    arguments = parser.parse_args()
    recipe, dataset = dataset_of(arguments)
    began = time.perf_counter()
    last = ["", began]

    def progress(stage: str, done: int, total: int) -> None:
        now = time.perf_counter()
        if stage != last[0]:
            print(f"{now - began:8.1f} s  {stage}", flush=True)
            last[0] = stage

    model = train(dataset, recipe, progress=progress)
    seconds = time.perf_counter() - began
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    size = f"{dataset.n:,} rows x {len(dataset.metrics)} metrics"
    print(f"{size}: {seconds:.0f} s, peak memory {gigabytes:.1f} GB")
    print(f"trees: {model.facts['trees']}")
    if model.report is not None:
        print("\n".join(str(model.report).splitlines()[:3]))


if __name__ == "__main__":
    main()
