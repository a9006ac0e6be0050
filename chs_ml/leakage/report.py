"""The leak report: every suspicion, what was measured, and what could not be looked at."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from chs_ml.dataset import Dataset
from chs_ml.errors import NotEnoughData
from chs_ml.findings import Finding
from chs_ml.leakage.dates import dates_after_snapshot, negative_ages, snapshots_after_churn
from chs_ml.leakage.healing import healing_scores
from chs_ml.leakage.lags import LagAuc, aucs_by_lag, steep_lags
from chs_ml.leakage.renewal_distance import renewal_column, renewal_proxies
from chs_ml.leakage.split_gap import SplitComparison, compare_splits, split_gaps
from chs_ml.leakage.today import frozen_metrics
from chs_ml.validation.text import interval_text, number, percent, section, table, wrapped

AT_THE_DOOR = frozenset({"suspected-leak", "strong-alone"})
SHOWN_METRICS = 8


@dataclass(frozen=True)
class LeakReport:
    """What the leak meter found.

    Attributes
    ----------
    findings : tuple of Finding
        Suspicions; empty is good.
    lags : tuple of LagAuc
        AUC of each metric by the lag to the churn.
    splits : SplitComparison or None
        The same model under three splits.
    skipped : dict of str to str
        Tests that could not be run, and why.
    """

    findings: tuple[Finding, ...]
    lags: tuple[LagAuc, ...] = ()
    splits: SplitComparison | None = None
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether nothing is suspected; strict mode fails where it is not."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; infinite ends of ranges are None."""
        return {
            "clean": self.clean,
            "findings": [asdict(finding) for finding in self.findings],
            "auc_by_lag": [_plain(asdict(lag)) for lag in self.lags],
            "splits": [] if self.splits is None else [asdict(score) for score in self.splits.scores],
            "split_gaps": [] if self.splits is None else _gaps(self.splits),
            "skipped": self.skipped,
        }

    def to_text(self) -> str:
        """Text for people, at most 100 columns wide."""
        head = "No leak is suspected." if self.clean else f"Suspicions: {len(self.findings)}."
        lines = [wrapped(f"{f.code}: {f.message}", indent="  ", first="- ") for f in self.findings]
        parts = [section("Leak meter", head, *lines)]
        if self.splits is not None:
            parts.append(section("The same model under three splits", _split_table(self.splits)))
        if self.lags:
            parts.append(section("AUC of single metrics by days to the churn", _lag_table(self.lags)))
        if self.skipped:
            reasons = [
                wrapped(f"{name}: {why}", indent="  ", first="- ") for name, why in self.skipped.items()
            ]
            parts.append(section("Not looked at", *reasons))
        return "\n\n".join(parts)


def leak_report(
    dataset: Dataset,
    *,
    churn_dates: pd.Series | None = None,
    renewal_date: Any = None,
    score_history: pd.DataFrame | None = None,
    random_state: int = 0,
) -> LeakReport:
    """Run every test for leaks that the data allow.

    Parameters
    ----------
    dataset : Dataset
        From `build_dataset`; suspicions of its checks at the door are taken over.
    churn_dates : Series of dates, optional
        By account id. Without it, lags are measured to the last snapshot that counts as churned.
    renewal_date : array of dates of shape (n,), optional
        The renewal each row looks ahead to; a carried column ``renewal_date`` by default.
    score_history : DataFrame, optional
        Columns account_id, date, score (larger = healthier); needs `churn_dates`.
    random_state : int
        Seed of halves and random splits.

    Returns
    -------
    LeakReport
        A test that cannot be run is in `skipped`, with the reason.
    """
    findings = [found for found in dataset.findings if found.code in AT_THE_DOOR]
    findings += [*dates_after_snapshot(dataset), *negative_ages(dataset)]
    skipped: dict[str, str] = {}
    lags: tuple[LagAuc, ...] = ()
    splits: SplitComparison | None = None
    if dataset.snapshot_date is None:
        why = "there are no snapshot dates ([data] snapshot_date)"
        skipped |= dict.fromkeys(("metrics by lag", "frozen metrics", "days to renewal", "splits"), why)
    else:
        findings += frozen_metrics(dataset)
        lags = aucs_by_lag(dataset, churn_dates, random_state=random_state)
        findings += steep_lags(lags)
        findings += _renewal(dataset, renewal_date, skipped)
        if not lags:
            skipped["metrics by lag"] = "there are too few churned rows with a lag"
        elif len({(lag.low, lag.high) for lag in lags}) == 1:
            lags, why = (), "every churned row lies at one distance from its churn"
            skipped["metrics by lag"] = why
        try:
            splits = compare_splits(dataset, random_state=random_state)
            findings += split_gaps(splits)
        except NotEnoughData as error:
            skipped["splits"] = str(error)
        if churn_dates is not None:
            findings += snapshots_after_churn(dataset, churn_dates)
    findings += _history(score_history, churn_dates, skipped)
    return LeakReport(tuple(findings), lags, splits, skipped)


def _renewal(dataset: Dataset, given: Any, skipped: dict[str, str]) -> Iterable[Finding]:
    column = renewal_column(dataset, given)
    if column is None:
        skipped["days to renewal"] = "there is no renewal date; carry it with [data] keep = ['renewal_date']"
        return ()
    return renewal_proxies(dataset, column)


def _history(
    history: pd.DataFrame | None, churn_dates: pd.Series | None, skipped: dict[str, str]
) -> Iterable[Finding]:
    if history is None or churn_dates is None:
        skipped["score history"] = "it takes a score history and churn dates"
        return ()
    return healing_scores(history, churn_dates)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not np.isfinite(value) else value
        for key, value in values.items()
    }


def _gaps(splits: SplitComparison) -> list[dict[str, Any]]:
    gaps = []
    for first, second in ((splits.rows, splits.accounts), (splits.accounts, splits.out_of_time)):
        gap, interval = splits.gap(first, second)
        ends = {"low": interval.low, "high": interval.high, "level": 0.95}
        gaps.append({"first": first.split, "second": second.split, "auc_gap": gap, **ends})
    return gaps


def _split_table(splits: SplitComparison) -> str:
    rows = []
    for score in splits.scores:
        gap = "" if score is splits.out_of_time else _gap_text(splits, score)
        counts = (f"{count:,}" for count in (score.n_train, score.n_test, score.churns))
        rows.append([score.split, *counts, number(score.auc), percent(score.log_loss), gap])
    head = ["split", "train", "test", "churns", "AUC", "log loss removed", "AUC above out of time (95 %)"]
    return table(head, rows)


def _gap_text(splits: SplitComparison, score: Any) -> str:
    gap, interval = splits.gap(score, splits.out_of_time)
    return f"{gap:+.3f} ({interval_text(interval)})"


def _lag_table(lags: tuple[LagAuc, ...]) -> str:
    """The metrics with the largest rise towards the churn."""
    ranges = list(dict.fromkeys((lag.low, lag.high) for lag in lags))
    by_metric = {
        name: {(a.low, a.high): a for a in lags if a.metric == name} for name in {a.metric for a in lags}
    }
    rise = {
        name: parts[ranges[0]].auc - parts[ranges[-1]].auc if len(parts) > 1 else 0.0
        for name, parts in by_metric.items()
    }
    shown = sorted(rise, key=lambda name: (-rise[name], name))[:SHOWN_METRICS]
    head = ["metric", *(by_metric[shown[0]][part].words for part in ranges), "rise"]
    rows = [
        [name, *(number(by_metric[name][part].auc) for part in ranges), f"{rise[name]:+.3f}"]
        for name in shown
    ]
    return table(head, rows)
