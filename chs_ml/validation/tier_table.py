"""What happened in each tier."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from chs_ml.errors import TableError, first_few, nearest
from chs_ml.tiers import Tiers
from chs_ml.validation.columns import JudgedColumns
from chs_ml.validation.intervals import churn_rate, inner_correlation, jeffreys
from chs_ml.validation.result import NAN, UNKNOWN, Array, Codes, Interval, Mask


@dataclass(frozen=True, kw_only=True)
class TierRow:
    """One tier, judged.

    Attributes
    ----------
    tier : str
        Its name.
    accounts, rows, churned : int
        Distinct accounts, rows, churns.
    churn_rate : float
        Churns per row; NaN in an empty tier.
    interval : Interval
        Jeffreys interval of the churn rate, clustered by account.
    design_effect : float
        Variance inflation by repeated accounts, at least 1.
    lift : float
        Churn rate over the base rate.
    predicted : float
        Mean predicted churn probability; NaN without probabilities.
    share_of_rows : float
        Share of the judged rows.
    value, share_of_value, value_lost : float
        Value of its rows, its share of all value, value of its churned rows; NaN without values.
    value_churn_rate : float
        Value lost over value.
    value_interval : Interval
        Jeffreys interval of the value churn rate on its effective sample size.
    """

    tier: str
    accounts: int
    rows: int
    churned: int
    churn_rate: float
    interval: Interval
    design_effect: float
    lift: float
    predicted: float
    share_of_rows: float
    value: float = NAN
    share_of_value: float = NAN
    value_lost: float = NAN
    value_churn_rate: float = NAN
    value_interval: Interval = UNKNOWN


@dataclass(frozen=True)
class TierCodes:
    """Tiers of rows of shape (n,).

    Attributes
    ----------
    names : tuple of str
        Healthiest first.
    codes : ndarray of int, shape (n,)
        Position of each row's tier, -1 for none.
    note : str
        Where their order comes from, when nobody said.
    correlation : float
        Correlation of outcomes inside accounts, tiers taken out; 0 where no account repeats.
    """

    names: tuple[str, ...]
    codes: Codes
    note: str = ""
    correlation: float = 0.0


def tier_codes(columns: JudgedColumns, tiers: Tiers | None) -> TierCodes | None:
    """Take the tiers as given, or cut them from the score.

    Given labels are ordered by `tiers`, else by their own ordered categories, else by the default names,
    else by mean score. Without labels the score is cut at the bounds of `tiers` (75 and 50 by default);
    None where the score is plainly not on the 0-100 scale and nobody gave bounds.
    """
    if columns.tier is not None:
        return with_correlation(columns, _given(columns.tier, columns.score, tiers))
    if tiers is None and not _on_health_scale(columns.score):
        return None
    cut = tiers or Tiers()
    assigned = cut.assign(columns.score)
    return with_correlation(columns, TierCodes(cut.names, np.asarray(assigned.codes, dtype=np.intp)))


def with_correlation(columns: JudgedColumns, tiers: TierCodes) -> TierCodes:
    """Measure how alike the outcomes of an account are, once its tiers are known."""
    if not columns.counts.clustered:
        return tiers
    known = tiers.codes + 1  # 0 = no tier, a group like the others
    sizes = np.maximum(np.bincount(known), 1)
    means = np.bincount(known, weights=columns.churned) / sizes
    residuals = columns.churned - means[known]
    return replace(tiers, correlation=inner_correlation(residuals, columns.account))


def _on_health_scale(score: Array) -> bool:
    return bool(score.min() >= 0.0 and 1.0 < score.max() <= 100.0)


def _given(labels: pd.Series, score: Array, tiers: Tiers | None) -> TierCodes:
    known = labels.dropna()
    found = [str(label) for label in pd.unique(known)]
    note = ""
    if tiers is not None:
        names = tiers.names
    elif isinstance(labels.dtype, pd.CategoricalDtype) and labels.dtype.ordered:
        names = tuple(str(category) for category in labels.dtype.categories)
    elif set(found) <= set(Tiers().names):
        names = Tiers().names
    else:
        means = pd.Series(score).groupby(labels.astype("object").to_numpy()).mean()
        names = tuple(str(name) for name in means.sort_values(ascending=False).index)
        note = f"Tiers were ordered by their mean score, healthiest first: {', '.join(names)}."
    strangers = [name for name in found if name not in names]
    if strangers:
        raise TableError(
            f"Tier labels must be among {', '.join(names)}; found also {first_few(strangers)}."
            f"{nearest(strangers[0], names)}"
        )
    position = {name: i for i, name in enumerate(names)}
    codes = [-1 if pd.isna(label) else position[str(label)] for label in labels]
    return TierCodes(names, np.array(codes, dtype=np.intp), note)


def tier_rows(columns: JudgedColumns, tiers: TierCodes, *, level: float = 0.95) -> tuple[TierRow, ...]:
    """Judge each tier; rows without a tier belong to none."""
    return tuple(_row(columns, tiers, code, level=level) for code in range(len(tiers.names)))


def _row(columns: JudgedColumns, tiers: TierCodes, code: int, *, level: float) -> TierRow:
    inside = tiers.codes == code
    rate = churn_rate(
        columns.churned[inside], columns.account[inside], level=level, correlation=tiers.correlation
    )
    predicted = NAN
    if columns.probability is not None and rate.n:
        predicted = float(columns.probability[inside].mean())
    row = TierRow(
        tier=tiers.names[code],
        accounts=rate.accounts,
        rows=rate.n,
        churned=rate.events,
        churn_rate=rate.value,
        interval=rate.interval,
        design_effect=rate.design_effect,
        lift=rate.value / columns.counts.base_rate,
        predicted=predicted,
        share_of_rows=rate.n / columns.counts.judged,
    )
    return row if columns.value is None else _with_value(row, columns, inside, level=level)


def _with_value(row: TierRow, columns: JudgedColumns, inside: Mask, *, level: float) -> TierRow:
    every = np.nan_to_num(np.asarray(columns.value), nan=0.0)
    value, churned, account = every[inside], columns.churned[inside], columns.account[inside]
    total = float(value.sum())
    lost = float((value * churned).sum())
    rate, interval = weighted_rate(churned, value, account, level=level)
    kept = {f: getattr(row, f) for f in row.__dataclass_fields__}
    kept |= {"value": total, "value_lost": lost, "value_churn_rate": rate, "value_interval": interval}
    kept["share_of_value"] = total / float(every.sum()) if every.sum() > 0 else NAN
    return TierRow(**kept)


def weighted_rate(
    churned: Array, weight: Array, account: Codes, *, level: float = 0.95
) -> tuple[float, Interval]:
    """Weighted churn rate of rows of shape (n,) and its Jeffreys interval on the effective sample size.

    The effective size is p (1 - p) over the linearised variance of the weighted rate, clustered by
    account, and at most Kish's (Σw)² / Σw² over accounts.
    """
    total = float(weight.sum())
    if total <= 0.0:
        return NAN, Interval()
    rate = float((weight * churned).sum()) / total
    _, codes = np.unique(account, return_inverse=True)
    per_account = np.bincount(codes, weights=weight)
    kish = total**2 / float(np.sum(per_account**2))
    if rate <= 0.0 or rate >= 1.0:
        return rate, jeffreys(rate * kish, kish, level=level)
    residuals = np.bincount(codes, weights=weight * (churned - rate))
    accounts = len(per_account)
    variance = accounts / max(accounts - 1, 1) * float(np.sum(residuals**2)) / total**2
    effective = min(kish, rate * (1.0 - rate) / variance) if variance > 0 else kish
    return rate, jeffreys(rate * effective, effective, level=level)


def tier_frame(rows: tuple[TierRow, ...]) -> pd.DataFrame:
    """One row per tier, healthiest first, intervals as two columns."""
    flat = []
    for row in rows:
        fields = {f: getattr(row, f) for f in row.__dataclass_fields__}
        interval, value_interval = fields.pop("interval"), fields.pop("value_interval")
        fields |= {"low": interval.low, "high": interval.high}
        fields |= {"value_low": value_interval.low, "value_high": value_interval.high}
        flat.append(fields)
    return pd.DataFrame(flat).set_index("tier")
