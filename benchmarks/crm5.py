"""Out of time on saas-crm5: the health model beside boosters with their defaults, on the same rows.

    python benchmarks/crm5.py

Raw tables become month-end snapshots (``training/crm5.toml``): trained to 2023-03, judged 2023-06 to 2023-09,
once with days to renewal stated and once without; all models see the same metrics. A difference in log loss
is paired by row, with its account-clustered standard error. It needs the data set beside the repository, the
extra ``bench`` (CatBoost), and about three minutes.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from quality import BASELINES, OURS, Array, calibration_slope, log_losses, plain_table, verdict
from sklearn.metrics import roc_auc_score

from chs_ml.accounts import account_numbers, mean_difference
from chs_ml.dataset import Dataset, build_dataset
from chs_ml.raw import build_snapshots
from chs_ml.recipe import Recipe, load_recipe
from chs_ml.splits import test_split
from chs_ml.training import fit_health_model, scoring_frame

ROOT = Path(__file__).resolve().parents[1]
STATED = "days_to_renewal"


def print_months(frame: pd.DataFrame) -> None:
    """Rows, churned rows and churn rate of each month's snapshots; what the test holds in all."""
    test = frame[frame["snapshot_date"] >= "2023-06-01"]
    for name, rows in [*test.groupby(test["snapshot_date"].dt.date), ("all four", test)]:
        churned = rows["outcome"] == "churned"
        who = rows.loc[churned, "account_id"].nunique()
        rate = churned.mean()
        print(f"{name!s:12}{len(rows):7,} rows{churned.sum():5} churned of {who} accounts: {rate:.4f}")


def compared(recipe: Recipe, dataset: Dataset, *, without: tuple[str, ...]) -> None:
    """Train on the earlier snapshots, judge on the later ones, and print every model's figures."""
    kept = [metric for metric in dataset.metrics if metric.name not in without]
    names = [metric.name for metric in kept]
    dataset = Dataset(
        frame=dataset.frame[names],
        metrics=tuple(kept),
        churned=dataset.churned,
        account=dataset.account,
        snapshot_date=dataset.snapshot_date,
        horizon_days=dataset.horizon_days,
        settle_days=dataset.settle_days,
    )
    split = test_split(dataset, test_share=0.25, test_from=recipe.split.test_from, random_state=0)
    train, test = dataset.rows(split.train), dataset.rows(split.test)
    model = fit_health_model(train, recipe)
    scores = model.score(scoring_frame(model, test))
    predicted = {OURS: scores["churn_probability"].to_numpy()}
    table = plain_table(dataset)
    for name, make in BASELINES.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = make(table).fit(table.frame.iloc[split.train], train.churned)
            predicted[name] = other.predict_proba(table.frame.iloc[split.test])[:, 1]
    predicted["base rate of the training"] = np.full(test.n, train.base_rate)
    last = train.snapshot_date.max().date()
    print(f"\n{'without ' + ', '.join(without) if without else 'days to renewal stated'}: trained to {last},")
    print(f"{train.n:,} rows, {train.n_churned} churned; judged on {test.n:,}, {test.n_churned} churned")
    print_models(predicted, test)
    tiers = pd.Series(test.churned).groupby(scores["tier"].to_numpy()).agg(["size", "sum", "mean"])
    print(tiers.sort_values("mean").round(4).to_string())


def print_models(predicted: dict[str, Array], test: Dataset) -> None:
    """AUC, calibration slope and log loss of each model, and ours less its."""
    accounts = account_numbers(test.account, test.n)
    losses = {name: log_losses(chances, test.churned) for name, chances in predicted.items()}
    print(f"{'model':32}{'log loss':>9}{'AUC':>7}{'slope':>7}{'ours - it':>11}{'error':>8}")
    for name, chances in predicted.items():
        auc = roc_auc_score(test.churned, chances)
        slope = calibration_slope(chances, test.churned) if np.ptp(chances) else float("nan")
        difference, error = mean_difference(losses[OURS] - losses[name], accounts)
        beside = "" if name == OURS else f"{difference:+11.4f}{error:8.4f}  {verdict(difference, error)}"
        print(f"{name:32}{losses[name].mean():9.4f}{auc:7.3f}{slope:7.2f}{beside}", flush=True)


def main() -> None:
    """Build the snapshots once and compare with and without days to renewal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "saas-crm5")
    parser.add_argument("--without", nargs="*", default=[], help="Models to leave out.")
    given = parser.parse_args()
    for name in given.without:
        BASELINES.pop(name, None)
    recipe = load_recipe(ROOT / "training" / "crm5.toml").with_data(given.data).with_bootstrap(0)
    frame = build_snapshots(recipe).frame
    print_months(frame)
    dataset = build_dataset(recipe, frame)
    compared(recipe, dataset, without=())
    compared(recipe, dataset, without=(STATED,))


if __name__ == "__main__":
    main()
