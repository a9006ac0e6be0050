"""The same model under three splits: random rows, random accounts, and out of time.

A model that shines on random rows and not out of time knew something that a score for tomorrow cannot.
About equal numbers of rows train under each split, so that only the split differs; the random splits
test every row once.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from chs_ml.additive import AdditiveFit, Hats, fit_additive, place_knots
from chs_ml.dataset import Dataset
from chs_ml.findings import Finding, warning
from chs_ml.inputs import InputSchema
from chs_ml.leakage.columns import Array, Codes, account_codes
from chs_ml.splits import test_split
from chs_ml.validation.delong import delong_auc
from chs_ml.validation.result import Interval

Positions = Codes

MAX_ROWS = 30_000
MAX_LEVELS = 150
SMOOTHING = 3.0
FOLDS = 4
LEVEL = 0.99
MEMORY_GAP, MEMORY_SURE = 0.10, 0.05
"""Snapshots of one account resemble each other, so that random rows always look a little better."""
TIME_GAP, TIME_SURE = 0.05, 0.02


@dataclass(frozen=True)
class SplitScore:
    """The model under one split.

    Attributes
    ----------
    split : str
        'random rows', 'random accounts' or 'out of time'.
    n_train, n_test, churns : int
        Rows, and churned rows of the test.
    auc, auc_error : float
        On the test, with its account-clustered standard error; of random splits the mean over folds.
    log_loss, log_loss_error : float
        Share of the base rate's log loss that the model removes, and its standard error.
    """

    split: str
    n_train: int
    n_test: int
    churns: int
    auc: float
    auc_error: float
    log_loss: float
    log_loss_error: float


@dataclass(frozen=True)
class SplitComparison:
    """The three splits side by side, in the order random rows, random accounts, out of time."""

    rows: SplitScore
    accounts: SplitScore
    out_of_time: SplitScore

    @property
    def scores(self) -> tuple[SplitScore, SplitScore, SplitScore]:
        """All three."""
        return self.rows, self.accounts, self.out_of_time

    def gap(self, first: SplitScore, second: SplitScore, *, level: float = 0.95) -> tuple[float, Interval]:
        """AUC under the first split less that under the second, with a normal interval.

        The two tests are taken as independent, which is cautious: they share rows.
        """
        difference = first.auc - second.auc
        half = float(norm.isf((1.0 - level) / 2.0)) * float(np.hypot(first.auc_error, second.auc_error))
        return difference, Interval(difference - half, difference + half)


def compare_splits(
    dataset: Dataset, *, test_share: float = 0.25, random_state: int = 0, folds: int = FOLDS
) -> SplitComparison:
    """Fit one additive logistic regression (a curve per metric) under three splits.

    Parameters
    ----------
    dataset : Dataset
        With snapshot dates; more than 30,000 rows are thinned out by account.
    test_share : float
        Share of rows after the first test snapshot.
    random_state, folds : int
        Seed, and the number of folds of the random splits.

    Raises
    ------
    NotEnoughData
        Where a side lacks churned or renewed rows.
    """
    few = _thinned(dataset.matured, random_state)
    late = test_split(few, test_share=test_share, random_state=random_state)
    train, test = late.train.astype(np.intp), late.test.astype(np.intp)
    model = _Model(few)
    out_of_time = model.score("out of time", [(train, test)])
    rng = np.random.default_rng(random_state)
    numbers = account_codes(few)
    place = rng.permutation(few.n)
    by_row = [_fold(place, fold, folds, len(train)) for fold in range(folds)]
    place = rng.permutation(int(numbers.max()) + 1)[numbers]
    by_account = [_fold(place, fold, folds, len(train)) for fold in range(folds)]
    return SplitComparison(
        rows=model.score("random rows", by_row),
        accounts=model.score("random accounts", by_account),
        out_of_time=out_of_time,
    )


def split_gaps(comparison: SplitComparison) -> tuple[Finding, ...]:
    """Name gaps between splits that are large and beyond doubt.

    Returns
    -------
    tuple of Finding
        Codes ``account-memory`` (random rows beat random accounts by at least .10 AUC, and surely, 99 %, by
        more than .05) and ``not-out-of-time`` (random accounts beat out of time by at least .05, surely .02).
    """
    pairs = (
        (
            "account-memory",
            (MEMORY_GAP, MEMORY_SURE),
            comparison.rows,
            comparison.accounts,
            "A metric tells which account a row is of, and other rows of the account give its outcome "
            "away. Drop metrics that name accounts; never test on random rows.",
        ),
        (
            "not-out-of-time",
            (TIME_GAP, TIME_SURE),
            comparison.accounts,
            comparison.out_of_time,
            "Something that tells churn in the past does not in the latest snapshots: a column that is "
            "filled in afterwards, or a business that changed. Look at the strongest metrics by month.",
        ),
    )
    found = []
    for code, (large, surely), first, second, advice in pairs:
        gap, sure = comparison.gap(first, second, level=LEVEL)
        if gap >= large and sure.low > surely:
            text = (
                f"The same model has an AUC of {first.auc:.3f} on {first.split} and {second.auc:.3f} on "
                f"{'accounts it never saw' if code == 'account-memory' else 'later snapshots'}: a gap of "
                f"{gap:.3f} ({LEVEL:.0%} interval {sure.low:.3f} to {sure.high:.3f}; {second.churns:,} "
                f"churned rows). {advice}"
            )
            found.append(warning(code, "", text, count=second.churns))
    return tuple(found)


def _thinned(dataset: Dataset, random_state: int) -> Dataset:
    if dataset.n <= MAX_ROWS:
        return dataset
    numbers = account_codes(dataset)
    draw = np.random.default_rng(random_state).random(int(numbers.max()) + 1)
    return dataset.rows(draw[numbers] < MAX_ROWS / dataset.n)


def _fold(place: Codes, fold: int, folds: int, n_train: int) -> tuple[Positions, Positions]:
    """Rows to train on, about so many, and a fold to test on; rows of one place stay together."""
    inside = place % folds == fold
    others = np.flatnonzero(~inside)
    cut = np.sort(place[others])[min(n_train, len(others)) - 1]
    return others[place[others] <= cut].astype(np.intp), np.flatnonzero(inside).astype(np.intp)


class _Model:
    """Additive logistic regression on the metrics of one dataset, as learned from any of its rows."""

    def __init__(self, dataset: Dataset) -> None:
        frame = dataset.frame.copy()
        for metric in dataset.metrics:
            if metric.is_category:
                frame[metric.name] = _common_levels(frame[metric.name])
        schema = InputSchema.learn(frame, dataset.metrics, snapshot=dataset.snapshot_date)
        values = schema.encode(frame, snapshot=dataset.snapshot_date).values
        self._hats = [
            Hats.of(x, place_knots(x, column)) for x, column in zip(values.T, schema.columns, strict=True)
        ]
        self._churned, self._accounts = dataset.churned, account_codes(dataset)

    def score(self, name: str, splits: list[tuple[Positions, Positions]]) -> SplitScore:
        """Mean over splits whose tests are disjoint: their errors average out."""
        each = np.array([self._one(train, test) for train, test in splits])
        auc, _, removed, _ = each.mean(axis=0).tolist()
        _, auc_error, _, removed_error = (np.sqrt(np.mean(each**2, axis=0) / len(each))).tolist()
        n_train = round(float(np.mean([len(train) for train, _ in splits])))
        tested = np.concatenate([test for _, test in splits])
        churns = int(self._churned[tested].sum())
        return SplitScore(name, n_train, len(tested), churns, auc, auc_error, removed, removed_error)

    def _one(self, train: Positions, test: Positions) -> tuple[float, float, float, float]:
        y, accounts = self._churned[test], np.unique(self._accounts[test], return_inverse=True)[1]
        margin = self._margin(train, test)
        found = delong_auc(-margin, y, accounts)
        base = float(np.clip(self._churned[train].mean(), 1e-6, 1.0 - 1e-6))
        loss = np.logaddexp(0.0, margin) - y * margin
        plain = -(y * np.log(base) + (1.0 - y) * np.log1p(-base))
        removed = (plain - loss) / float(plain.mean())
        sums = np.bincount(accounts, weights=removed - removed.mean())
        return found.auc, found.error, float(removed.mean()), float(np.sqrt(np.sum(sums**2)) / len(y))

    def _margin(self, train: Positions, test: Positions) -> Array:
        fit = fit_additive(
            [hat.rows(train) for hat in self._hats],
            self._churned[train],
            smoothing=SMOOTHING,
            row_weight=np.ones(len(train)),
        )
        return margin_of(fit, [hat.rows(test) for hat in self._hats])


def margin_of(fit: AdditiveFit, hats: list[Hats]) -> Array:
    """Log-odds of churn of the rows of the hats."""
    margin = np.full(len(hats[0].left), fit.intercept)
    for hat, risk in zip(hats, fit.coefficients, strict=True):
        margin = margin + hat.evaluate(risk)
    return margin


def _common_levels(series: pd.Series) -> pd.Series:
    """The 150 most frequent levels; the others are one."""
    text = series.astype("str")
    common = text.value_counts().index[:MAX_LEVELS]
    return text.where(text.isin(common) | series.isna(), "(other)").mask(series.isna())


__all__ = ["SplitComparison", "SplitScore", "compare_splits", "split_gaps"]
