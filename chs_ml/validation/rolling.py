"""Rolling out-of-time backtest: at each origin, learn from what was over, judge what came after."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from chs_ml.errors import NotEnoughData, RecipeError
from chs_ml.outcome import outcome_reach
from chs_ml.tiers import Tiers
from chs_ml.validation.blocks import Bullets, Grid, as_text, block
from chs_ml.validation.columns import matched
from chs_ml.validation.history import read_dates
from chs_ml.validation.report import ValidationReport
from chs_ml.validation.result import Array, Codes
from chs_ml.validation.rules import Rules
from chs_ml.validation.suite import validate
from chs_ml.validation.text import amount, interval_text, number, percent

Scorer = Callable[[Codes, Codes], tuple[Array, Array | None]]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """One origin of a backtest: positions of its rows, and how many were purged.

    Attributes
    ----------
    date : str
        First day that is judged.
    train, test : ndarray of int
        Positions of the rows to learn from and to judge.
    purged : int
        Earlier rows whose outcome was not yet over at the origin.
    """

    date: str
    train: Codes
    test: Codes
    purged: int


@dataclass(frozen=True, kw_only=True)
class OriginReport:
    """What one origin showed: its sizes and its validation."""

    date: str
    trained_on: int
    purged: int
    report: ValidationReport


@dataclass(frozen=True, kw_only=True)
class Backtest:
    """A rolling out-of-time backtest.

    Attributes
    ----------
    origins : tuple of OriginReport
        One per origin, in order of time.
    pooled : ValidationReport
        All judged rows together, clustered by account over origins.
    skipped : tuple of str
        Origins that could not be judged, with the reason.
    """

    origins: tuple[OriginReport, ...]
    pooled: ValidationReport
    skipped: tuple[str, ...]

    def frame(self) -> pd.DataFrame:
        """One row per origin: sizes, AUC, log loss and their intervals."""
        rows = []
        for origin in self.origins:
            row: dict[str, Any] = {
                "origin": origin.date,
                "trained_on": origin.trained_on,
                "purged": origin.purged,
                "judged": origin.report.counts.judged,
                "churned": origin.report.counts.churned,
            }
            for statistic in origin.report.statistics:
                row[statistic.name] = statistic.value
            rows.append(row)
        return pd.DataFrame(rows)

    def to_text(self) -> str:
        """Plain text: one line per origin, then the pooled report."""
        rows = []
        for origin in self.origins:
            auc, counts = origin.report.statistic("auc"), origin.report.counts
            rows.append([
                origin.date, amount(origin.trained_on), amount(origin.purged), amount(counts.judged),
                percent(counts.base_rate), number(auc.value), interval_text(auc.interval),
                origin.report.verdict.value,
            ])  # fmt: skip
        headers = ["Origin", "Trained on", "Purged", "Judged", "Churn", "AUC", "Interval", "Verdict"]
        promises = [
            f"{origin.date}, {test.verdict.value}: {test.sentence}"
            for origin in self.origins
            for test in origin.report.tests
            if test.name == "tier_promise"
        ]
        blocks = [block("Backtest, origin by origin", Grid(headers, rows), Bullets(self.skipped))]
        blocks += [block("Promises, origin by origin", Bullets(promises))] if promises else []
        return "\n\n".join([*map(as_text, blocks), str(self.pooled)])

    def __str__(self) -> str:
        return self.to_text()


def rolling_origins(
    snapshot_date: pd.Series,
    *,
    origins: Sequence[str],
    horizon_days: int,
    lead_days: int = 0,
    settle_days: int = 0,
) -> tuple[Origin, ...]:
    """Split rows of shape (n,) at each origin; a row trains only when its outcome was over by then.

    A row trains where snapshot + lead + horizon lies before the origin, and its outcome was known by the end
    of that day, which took `settle_days` more. It is judged where its snapshot lies
    from the origin up to the next one, and is purged where its outcome window reaches over the origin.

    Raises
    ------
    RecipeError
        Where there are no origins, they do not rise, or the horizon is not positive.
    """
    dates = read_dates(snapshot_date.reset_index(drop=True), "snapshot_date").to_numpy()
    marks = [np.datetime64(pd.Timestamp(origin), "us") for origin in origins]
    if not marks or any(b <= a for a, b in pairwise(marks)):
        raise RecipeError(f"origins must be at least one date, rising; got {list(origins)}.")
    if horizon_days < 1 or min(lead_days, settle_days) < 0:
        raise RecipeError(
            f"horizon_days must be at least 1, lead_days and settle_days not negative; got {horizon_days}, "
            f"{lead_days} and {settle_days}."
        )
    ends = [*marks[1:], np.datetime64("9999-12-31", "us")]
    reach = np.timedelta64(
        outcome_reach(horizon_days=horizon_days, lead_days=lead_days, settle_days=settle_days), "D"
    )
    found = []
    for name, start, end in zip(origins, marks, ends, strict=True):
        earlier, over = dates < start, dates + reach < start
        found.append(
            Origin(
                date=str(name),
                train=np.flatnonzero(over),
                test=np.flatnonzero((dates >= start) & (dates < end)),
                purged=int((earlier & ~over).sum()),
            )
        )
    return tuple(found)


def backtest(  # noqa: PLR0913 - one argument per column that may be judged
    outcomes: Any,
    scorer: Scorer,
    *,
    snapshot_date: Any,
    origins: Sequence[str],
    horizon_days: int,
    lead_days: int = 0,
    settle_days: int = 0,
    account: Any = None,
    value: Any = None,
    segment: Any = None,
    tiers: Tiers | None = None,
    rules: Rules | None = None,
) -> Backtest:
    """Backtest a way of scoring, origin by origin.

    Parameters
    ----------
    outcomes : Series or array of shape (n,)
        As in `validate`.
    scorer : callable
        Takes positions of training rows and of rows to judge; returns the health scores of the latter,
        and their churn probabilities or None. A handcrafted score, which learns nothing, just looks its
        column up. It must not look at outcomes of rows that it is not given to train on.
    snapshot_date : Series or array of shape (n,)
        Snapshot of each row.
    origins : sequence of str
        Dates, rising.
    horizon_days, lead_days, settle_days : int
        Of the outcome; rows whose outcome window reaches over an origin are purged.
    account, value, segment, tiers
        As in `validate`.
    rules : Rules, optional
        Policy, promises, outreach and bootstrap, at each origin and for the pool; `Rules.of` reads them from
        a recipe's ``[validation]``.

    Raises
    ------
    NotEnoughData
        Where no origin can be judged.
    """
    given = {"outcomes": outcomes, "snapshot_date": snapshot_date, "account": account, "value": value,
             "segment": segment}  # fmt: skip
    columns = matched({name: column for name, column in given.items() if column is not None})
    n, how = len(columns["outcomes"]), rules or Rules()
    score, probability = np.full(n, np.nan), np.full(n, np.nan)
    reports, skipped = [], []
    splits = rolling_origins(
        columns["snapshot_date"],
        origins=origins,
        horizon_days=horizon_days,
        lead_days=lead_days,
        settle_days=settle_days,
    )
    for split in splits:
        try:
            score[split.test], chances = scorer(split.train, split.test)
            if chances is not None:
                probability[split.test] = chances
            reports.append(
                OriginReport(
                    date=split.date,
                    trained_on=len(split.train),
                    purged=split.purged,
                    report=_judged(columns, score, probability, split.test, tiers, how),
                )
            )
        except NotEnoughData as refusal:
            skipped.append(f"{split.date}: {refusal}")
    if not reports:
        raise NotEnoughData(f"No origin could be judged. {' '.join(skipped)}")
    every = np.flatnonzero(~np.isnan(score))
    pooled = _judged(columns, score, probability, every, tiers, how)
    return Backtest(origins=tuple(reports), pooled=pooled, skipped=tuple(skipped))


def _judged(
    columns: dict[str, pd.Series],
    score: Array,
    probability: Array,
    rows: Codes,
    tiers: Tiers | None,
    rules: Rules,
) -> ValidationReport:
    def part(name: str) -> Any:
        return columns[name].iloc[rows].to_numpy() if name in columns else None

    return validate(
        part("outcomes"),
        score=score[rows],
        probability=None if np.isnan(probability[rows]).all() else probability[rows],
        tiers=tiers,
        value=part("value"),
        account=part("account"),
        segment=part("segment"),
        snapshot_date=part("snapshot_date"),
        out_of_time=True,
        **rules.of_one,
    )
