"""Out-of-fold quality of the health model beside the models people would train instead.

    python benchmarks/quality.py training/telco.toml training/business.toml training/mlc.toml --seeds 3

For every table: 5 folds by account, repeated with other fold seeds; the health model is trained,
calibrated and anchored inside each training part. The others see the same folds. Log losses are means
over rows and seeds; a difference is paired by row, with its account-clustered standard error.
Needs the extra ``bench`` (CatBoost).
"""

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, SplineTransformer

from chs_ml.accounts import account_numbers, mean_difference
from chs_ml.dataset import Dataset, build_dataset
from chs_ml.inputs import InputSchema
from chs_ml.metric import Kind
from chs_ml.recipe import Recipe, load_recipe
from chs_ml.splits import grouped_folds
from chs_ml.training import fit_health_model, scoring_frame

Array = NDArray[np.float64]
FOLDS = 5
OURS = "health model"


@dataclass(frozen=True)
class Table:
    """A dataset in the form that other libraries take."""

    frame: pd.DataFrame
    numbers: list[str]
    categories: list[str]
    churned: Array


def plain_table(dataset: Dataset) -> Table:
    """Numbers as float, categories as text, a missing category as a category."""
    schema = InputSchema.learn(dataset.frame, dataset.metrics, snapshot=dataset.snapshot_date)
    values = schema.encode(dataset.frame, snapshot=dataset.snapshot_date).values
    columns: dict[str, Any] = {}
    for i, column in enumerate(schema.columns):
        if column.metric.kind is Kind.CATEGORY:
            labels = np.array([*column.categories, "missing"], dtype=object)
            codes = np.where(np.isnan(values[:, i]), len(column.categories), values[:, i])
            columns[column.metric.name] = labels[codes.astype(int)]
        else:
            columns[column.metric.name] = values[:, i]
    categories = [m.name for m in dataset.metrics if m.kind is Kind.CATEGORY]
    numbers = [name for name in columns if name not in categories]
    return Table(pd.DataFrame(columns), numbers, categories, dataset.churned)


def splines(table: Table) -> Any:
    """Logistic regression on quantile splines (5 knots) and one-hot categories, C = 1."""
    number = make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True), SplineTransformer(n_knots=5, knots="quantile")
    )
    one_hot = OneHotEncoder(handle_unknown="ignore")
    columns = make_column_transformer((number, table.numbers), (one_hot, table.categories))
    return make_pipeline(columns, LogisticRegression(C=1.0, max_iter=5000))


def integer_categories(table: Table) -> Any:
    """Columns for tree libraries: categories first, as integers."""
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return make_column_transformer((ordinal, table.categories), ("passthrough", table.numbers))


class LightGBMDefaults:
    """`LGBMClassifier()` with native categories."""

    def __init__(self, table: Table) -> None:
        from lightgbm import LGBMClassifier

        self.columns, self.model = integer_categories(table), LGBMClassifier(verbosity=-1)
        self.categories = list(range(len(table.categories)))

    def fit(self, frame: pd.DataFrame, churned: Array) -> "LightGBMDefaults":
        """Fit columns and model."""
        self.model.fit(self.columns.fit_transform(frame), churned, categorical_feature=self.categories)
        return self

    def predict_proba(self, frame: pd.DataFrame) -> Array:
        """Probabilities of shape (n, 2)."""
        return np.asarray(self.model.predict_proba(self.columns.transform(frame)))


def hist_defaults(table: Table) -> Any:
    """`HistGradientBoostingClassifier()` with native categories up to its limit of 255 levels."""
    few = [i for i, name in enumerate(table.categories) if table.frame[name].nunique() < 255]
    model = HistGradientBoostingClassifier(categorical_features=few, random_state=0)
    return make_pipeline(integer_categories(table), model)


def catboost_defaults(table: Table) -> Any:
    """`CatBoostClassifier()` with native categories."""
    from catboost import CatBoostClassifier

    return CatBoostClassifier(
        verbose=False, random_seed=0, allow_writing_files=False, cat_features=table.categories
    )


BASELINES: dict[str, Callable[[Table], Any]] = {
    "logistic, splines": splines,
    "LightGBM defaults": LightGBMDefaults,
    "HistGradientBoosting defaults": hist_defaults,
    "CatBoost defaults": catboost_defaults,
}


def out_of_fold(recipe: Recipe, dataset: Dataset, seed: int) -> dict[str, Array]:
    """Churn probabilities of every row by every model, each trained on the other folds."""
    table = plain_table(dataset)
    folds = grouped_folds(dataset.account, dataset.churned, n_folds=FOLDS, random_state=seed)
    predicted = {name: np.empty(dataset.n) for name in [OURS, *BASELINES]}
    for fold in range(FOLDS):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        model = fit_health_model(dataset.rows(train), recipe)
        scores = model.score(scoring_frame(model, dataset.rows(test)))
        predicted[OURS][test] = scores["churn_probability"]
        for name, make in BASELINES.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # each library's own, on unseen categories and names
                other = make(table).fit(table.frame.iloc[train], table.churned[train])
                predicted[name][test] = other.predict_proba(table.frame.iloc[test])[:, 1]
    return predicted


def log_losses(probability: Array, churned: Array) -> Array:
    """Log loss of each row; a probability of exactly 0 or 1 counts as 1e-15 off."""
    p = np.clip(probability, 1e-15, 1 - 1e-15)
    return -np.where(churned == 1.0, np.log(p), np.log1p(-p))


def calibration_slope(probability: Array, churned: Array) -> float:
    """Slope of the outcome on the log-odds of the probability; 1 is right."""
    p = np.clip(probability, 1e-9, 1 - 1e-9)
    fit = LogisticRegression(C=np.inf, max_iter=1000).fit(logit(p)[:, None], churned)
    return float(fit.coef_[0, 0])


def verdict(difference: float, error: float) -> str:
    """Where our log loss stands against another's."""
    return "below" if difference < 0 else "within 1 SE" if difference <= error else "ABOVE"


def measure(path: Path, seeds: int) -> None:
    """Print the comparison on one table."""
    recipe = load_recipe(path)
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update={"bootstrap": 0})})
    dataset = build_dataset(recipe).matured
    accounts = account_numbers(dataset.account, dataset.n)
    began = time.perf_counter()
    runs = [out_of_fold(recipe, dataset, seed) for seed in range(seeds)]
    losses = {
        name: np.mean([log_losses(run[name], dataset.churned) for run in runs], axis=0) for name in runs[0]
    }
    seconds = time.perf_counter() - began
    size = f"{dataset.n:,} rows, {dataset.n_churned:,} churned"
    print(f"\n{path.stem}: {size}, {seeds} fold seeds, {seconds:.0f} s")
    print(f"{'model':32}{'log loss':>9}{'AUC':>7}{'ours - it':>11}{'error':>8}")
    for name, loss in losses.items():
        auc = np.mean([roc_auc_score(dataset.churned, run[name]) for run in runs])
        difference, error = mean_difference(losses[OURS] - loss, accounts)
        beside = "" if name == OURS else f"{difference:+11.4f}{error:8.4f}  {verdict(difference, error)}"
        print(f"{name:32}{loss.mean():9.4f}{auc:7.3f}{beside}")
    slopes = [calibration_slope(run[OURS], dataset.churned) for run in runs]
    p = np.concatenate([run[OURS] for run in runs])
    print(
        f"calibration: slope {np.mean(slopes):.3f} ({min(slopes):.3f} to {max(slopes):.3f}), "
        f"mean p - base rate {100 * (p.mean() - dataset.base_rate):+.2f} points, "
        f"p from {p.min():.2g} to {p.max():.6g}",
        flush=True,
    )


def main() -> None:
    """Measure every recipe named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    for path in arguments.recipes:
        measure(path, arguments.seeds)


if __name__ == "__main__":
    main()
