"""All metrics together, for people, for machines, and as a tidy frame to draw from."""

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from chs_ml.dataset import Dataset
from chs_ml.errors import InputError, nearest
from chs_ml.metric_profile.association import BOUND, associations, metric_groups
from chs_ml.metric_profile.profiles import MAX_BINS, MetricProfile, metric_profiles
from chs_ml.validation.intervals import Rate
from chs_ml.validation.text import clipped, interval_text, number, percent, percent_interval, section, table

BAR = 24
MISSING = "(missing)"


@dataclass(frozen=True, eq=False)
class MetricReport:
    """Profiles of all metrics, and which of them tell the same story.

    Attributes
    ----------
    profiles : tuple of MetricProfile
        In the order of the metrics.
    association : DataFrame of shape (k, k)
        From `associations`.
    groups : tuple of tuple of str
        From `metric_groups`.
    base_rate : float
        Churn rate of all rows with a known outcome.
    bound : float
        Association from which metrics are a group.
    """

    profiles: tuple[MetricProfile, ...]
    association: pd.DataFrame
    groups: tuple[tuple[str, ...], ...]
    base_rate: float
    bound: float = BOUND

    def to_frame(self) -> pd.DataFrame:
        """One row per metric and bin, missing values last: what a chart needs.

        Returns
        -------
        DataFrame
            metric, bin (from 0), label, low, high, is_missing, n, accounts, churns, churn_rate, rate_low,
            rate_high (shares of 1).
        """
        rows = []
        for profile in self.profiles:
            parts = [(part.label, part.low, part.high, False, part.rate) for part in profile.bins]
            if profile.missing.n:
                parts.append((MISSING, math.nan, math.nan, True, profile.missing))
            for i, (label, low, high, is_missing, rate) in enumerate(parts):
                about = {"metric": profile.metric.name, "bin": i, "label": label, "low": low, "high": high}
                rows.append({**about, "is_missing": is_missing, **_rate_columns(rate)})
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; None where there is no number."""
        frame = self.to_frame()
        metrics = []
        for profile in self.profiles:
            bins = frame[frame["metric"] == profile.metric.name].drop(columns="metric").to_dict("records")
            metrics.append(
                {
                    "name": profile.metric.name,
                    "group": profile.metric.group,
                    "kind": profile.metric.kind.value,
                    "direction": profile.metric.direction.value,
                    "n": profile.n,
                    "missing_share": _plain(profile.missing_share),
                    "auc": _plain(profile.auc),
                    "auc_low": _plain(profile.auc_interval.low),
                    "auc_high": _plain(profile.auc_interval.high),
                    "against_direction": profile.against_direction,
                    "bins": [{str(key): _plain(value) for key, value in part.items()} for part in bins],
                }
            )
        groups = [list(group) for group in self.groups]
        return {"base_rate": self.base_rate, "bound": self.bound, "groups": groups, "metrics": metrics}

    def to_text(self) -> str:
        """An overview, the groups, and a text chart per metric; at most 100 columns wide."""
        return "\n\n".join(
            [
                section(f"Metrics (churn rate {percent(self.base_rate)})", self._overview()),
                section(
                    f"Metrics that tell the same story (association {self.bound:g} or more)", self._groups()
                ),
                *(self.chart(profile.metric.name) for profile in self.profiles),
            ]
        )

    def chart(self, name: str) -> str:
        """Churn rate by bin of one metric, as bars of text with intervals."""
        by_name = {profile.metric.name: profile for profile in self.profiles}
        if name not in by_name:
            raise InputError(f"There is no metric {name!r}.{nearest(name, by_name)}")
        profile = by_name[name]
        rows = [(part.label, part.rate) for part in profile.bins]
        if profile.missing.n:
            rows.append((MISSING, profile.missing))
        largest = max((rate.value for _, rate in rows), default=0.0)
        lines = [
            [clipped(label, 28), f"{rate.n:,}", percent(rate.value), percent_interval(rate.interval), ""]
            for label, rate in rows
        ]
        for line, (_, rate) in zip(lines, rows, strict=True):
            line[-1] = ("█" * round(BAR * rate.value / largest) if largest > 0.0 else "").ljust(BAR)
        head = [f"{clipped(profile.metric.unit, 28) or 'value'}", "rows", "churn", "95 % interval", " " * BAR]
        return section(f"{profile.metric.title} ({name})", table(head, lines))

    def _overview(self) -> str:
        ranked = sorted(self.profiles, key=lambda p: (-_or(p.auc), p.metric.name))
        rows = []
        for p in ranked:
            note = "against its direction" if p.against_direction else ""
            missing = percent(p.missing_share) if p.missing.n else ""
            churn = percent(p.missing.value) if p.missing.n else ""
            cells = [number(p.auc), interval_text(p.auc_interval), missing, churn]
            rows.append([clipped(p.metric.name, 30), *cells, note])
        head = ["metric", "AUC alone", "interval", "missing", "churn if missing", ""]
        return table(head, rows)

    def _groups(self) -> str:
        return "\n".join(f"- {', '.join(group)}" for group in self.groups) or "None."


def metric_report(
    dataset: Dataset, *, bins: int = MAX_BINS, level: float = 0.95, bound: float = BOUND
) -> MetricReport:
    """Profile all metrics of a dataset and group those that tell the same story.

    Parameters
    ----------
    dataset : Dataset
        From `build_dataset`.
    bins : int
        Most quantile bins, 2 to 10.
    level : float
        Coverage of the intervals.
    bound : float
        Association from which metrics are a group, in (0, 1].
    """
    profiles = metric_profiles(dataset, bins=bins, level=level)
    association = associations(dataset)
    groups = metric_groups(association, bound=bound)
    return MetricReport(profiles, association, groups, dataset.base_rate, bound)


def _rate_columns(rate: Rate) -> dict[str, Any]:
    counts = {"n": rate.n, "accounts": rate.accounts, "churns": rate.events}
    return {
        **counts,
        "churn_rate": rate.value,
        "rate_low": rate.interval.low,
        "rate_high": rate.interval.high,
    }


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _or(value: float) -> float:
    return -1.0 if math.isnan(value) else value
