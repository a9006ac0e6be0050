"""Times that a snapshot cannot know: dates after it, ages below zero, snapshots after the churn."""

import re

import numpy as np
import pandas as pd

from chs_ml.dataset import Dataset
from chs_ml.findings import Finding, warning
from chs_ml.leakage.columns import (
    Days,
    Mask,
    days_as_floats,
    first_keys,
    read_numbers_of,
    snapshot_days,
)
from chs_ml.metric import Kind, Metric
from chs_ml.values import calendar_days

_AGE = re.compile(r"\b(?:since|ago|age|tenure|recency)\b")


def words_of(metric: Metric) -> str:
    """Name, label and unit of a metric in lower case, words apart."""
    return re.sub(r"[^a-z0-9%]+", " ", f"{metric.name} {metric.label} {metric.unit}".lower())


def dates_after_snapshot(dataset: Dataset) -> tuple[Finding, ...]:
    """Name the date metrics that hold days after their snapshot.

    Returns
    -------
    tuple of Finding
        Code ``dates-after-snapshot``; count is the number of rows.
    """
    found = []
    for metric, before in read_numbers_of(dataset):
        after = before < 0.0
        if metric.kind is not Kind.DATE or not after.any():
            continue
        known = int((~np.isnan(before)).sum())
        text = (
            f"{metric.name}: {after.sum():,} of {known:,} dates ({after.sum() / known:.0%}) lie after their "
            f"snapshot, by up to {-np.nanmin(before):,.0f} days: {first_keys(dataset, after)}. Was the "
            "record made later? Then add the column to [data] ignore, or blank it where it was not yet "
            "known. A date that is planned ahead, such as a renewal, is better taken as keep."
        )
        found.append(warning("dates-after-snapshot", metric.name, text, count=int(after.sum())))
    return tuple(found)


def negative_ages(dataset: Dataset) -> tuple[Finding, ...]:
    """Name the metrics that count time since something, and are below zero.

    Returns
    -------
    tuple of Finding
        Code ``negative-age``: that something had not happened yet.
    """
    found = []
    for metric, values in read_numbers_of(dataset):
        below = values < 0.0
        if metric.kind is not Kind.NUMBER or not _AGE.search(words_of(metric)) or not below.any():
            continue
        text = (
            f"{metric.name} counts the time since something, and {below.sum():,} of {dataset.n:,} values are "
            f"below zero, down to {np.nanmin(values):g}: {first_keys(dataset, below)}. It happened after the "
            f"snapshot: compute the metric from what was known on that day."
        )
        found.append(warning("negative-age", metric.name, text, count=int(below.sum())))
    return tuple(found)


def churn_days(dataset: Dataset, churn_dates: pd.Series) -> Days:
    """The churn date of each row's account, NaT where it did not churn; shape (n,).

    Parameters
    ----------
    dataset : Dataset
        n rows.
    churn_dates : Series of dates
        Indexed by account id; the first one counts where there are several.
    """
    dates = pd.Series(calendar_days(churn_dates), index=churn_dates.index.astype("str"))
    first = dates.sort_values().groupby(level=0).first()
    days: Days = first.reindex(dataset.account).to_numpy().astype("datetime64[D]")
    return days


def snapshots_after_churn(dataset: Dataset, churn_dates: pd.Series) -> tuple[Finding, ...]:
    """Name snapshots that were taken on or after the account's churn date.

    Parameters
    ----------
    dataset, churn_dates
        As for `churn_days`.

    Returns
    -------
    tuple of Finding
        Code ``snapshots-after-churn``; at most one.
    """
    late: Mask = snapshot_days(dataset) >= churn_days(dataset, churn_dates)
    late &= dataset.churned == 1.0  # an account that came back may renew
    if not late.any():
        return ()
    after = days_as_floats(snapshot_days(dataset) - churn_days(dataset, churn_dates))[late]
    text = (
        f"{late.sum():,} of {dataset.n:,} rows are snapshots on or after the day on which the account "
        f"churned, by up to {after.max():,.0f} days, and count as churned: {first_keys(dataset, late)}. Such "
        "rows know the outcome: leave them out."
    )
    return (warning("snapshots-after-churn", "", text, count=int(late.sum())),)
