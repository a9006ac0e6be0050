"""What stands beside a verdict: value, time and outreach, where columns and numbers are given."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chs_ml.cli.judged import Judged, column_of
from chs_ml.cli.running import remark
from chs_ml.errors import NotEnoughData, TableError, first_few
from chs_ml.recipe import ValueSpec
from chs_ml.table import read_table
from chs_ml.tiers import Tiers
from chs_ml.validation import (
    Campaign,
    InterventionReport,
    Resampling,
    ScoreHistory,
    capture_before_churn,
    expected_maximum_profit,
    expected_maximum_profit_business,
    false_alarms,
    flapping,
    green_churn,
    hysteresis_cost,
    judge_interventions,
    migration_matrix,
    net_benefit_curve,
    score_history,
    stability_test,
    value_at_capacity,
)
from chs_ml.validation.capacity import CapacityValue
from chs_ml.validation.capture import Capture, FalseAlarms
from chs_ml.validation.columns import JudgedColumns, judged_columns
from chs_ml.validation.history import read_dates
from chs_ml.validation.migration import Flapping, HysteresisCost
from chs_ml.validation.net_benefit import NetBenefit
from chs_ml.validation.profit import ExpectedProfit
from chs_ml.validation.result import HypothesisTest

HORIZON_DAYS = 90
MOST_REPLICATES = 500
REASONS = 2


@dataclass(frozen=True, kw_only=True)
class Worth:
    """What acting on a score is worth.

    Attributes
    ----------
    net_benefit : tuple of NetBenefit
        Empty without probabilities.
    capacity : CapacityValue or None
        Where the recipe or an option gives a capacity.
    profit_of : str
        "EMPC" or "EMPB"; empty where no campaign is given.
    profit : ExpectedProfit or None
        Of the campaign.
    """

    net_benefit: tuple[NetBenefit, ...]
    capacity: CapacityValue | None
    profit_of: str
    profit: ExpectedProfit | None


def worth_of(judged: Judged) -> Worth:
    """Net benefit, value at capacity, and a campaign's expected maximum profit on the judged rows."""
    spec = judged.settings.validation
    found = judged_columns(
        judged.outcomes, score=judged.score, probability=judged.probability, value=judged.value,
        account=judged.account,
    )  # fmt: skip
    resampling = Resampling(
        replicates=min(spec.bootstrap, MOST_REPLICATES), random_state=spec.random_state, level=spec.level
    )
    name, profit = _profit(found, spec.value, resampling)
    capacity = None
    if spec.value.capacity is not None:
        capacity = value_at_capacity(
            found.churned, score=found.score, capacity=spec.value.capacity, value=found.value,
            account=found.account, period=_months(judged, found.positions), resampling=resampling,
        )  # fmt: skip
    curve: tuple[NetBenefit, ...] = ()
    if found.probability is not None:
        curve = net_benefit_curve(
            found.churned, probability=found.probability, account=found.account, level=spec.level
        )
    return Worth(net_benefit=curve, capacity=capacity, profit_of=name, profit=profit)


def _profit(
    found: JudgedColumns, spec: ValueSpec, resampling: Resampling
) -> tuple[str, ExpectedProfit | None]:
    """EMPC where one value holds for all customers, EMPB where each account has its own."""
    if spec.incentive is None or spec.contact is None:
        return "", None
    campaign = Campaign(alpha=spec.alpha, beta=spec.beta, incentive=spec.incentive, contact=spec.contact)
    if spec.customer_value is not None:
        return "EMPC", expected_maximum_profit(
            found.churned, score=found.score, account=found.account, customer_value=spec.customer_value,
            campaign=campaign, resampling=resampling,
        )  # fmt: skip
    if found.value is None:
        raise TableError(
            "A campaign's profit needs customer_value, or a column of account values ([data] value, --value)."
        )
    return "EMPB", expected_maximum_profit_business(
        found.churned, score=found.score, account=found.account, value=found.value, campaign=campaign,
        resampling=resampling,
    )  # fmt: skip


def _months(judged: Judged, positions: Any) -> Any:
    if judged.snapshot_date is None:
        return None
    months = judged.snapshot_date.iloc[positions].dt.strftime("%Y-%m")
    return pd.factorize(months)[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class OverTime:
    """What a score's history shows.

    Attributes
    ----------
    accounts, snapshots : int
        Of the history.
    migration : DataFrame
        Moves between neighbouring snapshots, from (rows) to (columns).
    flapping : Flapping
        Changes, and those taken back.
    stability : HypothesisTest or None
        The newest snapshot against the one before; None where either is too small.
    capture, green, false_alarms, hysteresis
        Where churn dates are given: seen coming, the green-churn list, alarms without churn, and what
        hysteresis costs.
    """

    accounts: int
    snapshots: int
    migration: pd.DataFrame
    flapping: Flapping
    stability: HypothesisTest | None
    capture: tuple[Capture, ...] = ()
    green: pd.DataFrame | None = None
    false_alarms: FalseAlarms | None = None
    hysteresis: tuple[HysteresisCost, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the moves as {from: {to: count}}."""
        names = ("accounts", "snapshots", "flapping", "stability", "capture", "false_alarms", "hysteresis")
        green = [] if self.green is None else self.green.to_dict("records")
        listed = [{str(key): _plain(value) for key, value in record.items()} for record in green]
        return {
            **{name: getattr(self, name) for name in names},
            "migration": self.migration.to_dict("index"),
            "green_churn": listed,
        }


def _plain(value: Any) -> Any:
    return str(value.date()) if isinstance(value, pd.Timestamp) else value


def over_time(judged: Judged, path: Path | None, *, horizon_days: int | None = None) -> OverTime:
    """Judge a history of scores: moves, and where churn dates are known, whether churn was seen coming.

    Parameters
    ----------
    judged : Judged
        Its model scores the history, or its columns are read there; its table is the history where
        `path` is None.
    path : Path, optional
        Table of all snapshots.
    horizon_days : int, optional
        Days within which a churn confirms an alarm; the recipe's lead and horizon where it has one, else 90.
    """
    table = judged.table if path is None else read_table(path)
    account, dates, score = _history_columns(judged, table)
    history = score_history(account, snapshot_date=dates, score=score, tiers=judged.tiers or Tiers())
    known = OverTime(
        accounts=int(account.nunique()),
        snapshots=len(history.frame),
        migration=migration_matrix(history),
        flapping=flapping(history),
        stability=_stability(history, judged),
    )
    name = judged.settings.validation.churn_date
    if name is None:
        return known
    churns = _churn_dates(judged, table, account, name)
    data = judged.settings.data
    until = data.as_of or history.frame["snapshot_date"].max().date()
    days = horizon_days or (data.lead_days + data.horizon_days if data.horizon_days else HORIZON_DAYS)
    level = judged.settings.validation.level
    green = green_churn(history, churns)
    return replace(
        known,
        capture=capture_before_churn(history, churns, level=level),
        green=_with_drivers(green, judged, table, account, dates),
        false_alarms=false_alarms(history, churns, as_of=str(until), horizon_days=days, level=level),
        hysteresis=hysteresis_cost(history, churns),
    )


def _history_columns(judged: Judged, table: pd.DataFrame) -> tuple[pd.Series, pd.Series, Any]:
    names = judged.columns
    if names.account is None or names.snapshot_date is None:
        raise TableError(
            "A history needs the columns of accounts and of snapshot dates: --account and --snapshot-date, "
            "or [data] account and snapshot_date in the model's recipe."
        )
    account = column_of(table, names.account).astype("str")
    dates = read_dates(column_of(table, names.snapshot_date), names.snapshot_date)
    if judged.model is not None:
        return account, dates, judged.model.score(table)["health_score"]
    return account, dates, column_of(table, names.score)


def _stability(history: ScoreHistory, judged: Judged) -> HypothesisTest | None:
    frame = history.frame.dropna(subset="score")
    last = sorted(frame["snapshot_date"].unique())[-2:]
    if len(last) < 2:
        return None
    before, now = (frame.loc[frame["snapshot_date"] == day, "score"].to_numpy() for day in last)
    try:
        return stability_test(before, now, policy=judged.policy)
    except NotEnoughData:
        return None  # as the text then says: two snapshots of ten scores are needed


def _churn_dates(judged: Judged, table: pd.DataFrame, account: pd.Series, name: str) -> pd.Series:
    """One date per churned account, from the history where it has the column, else from the judged table."""
    if name not in table.columns and judged.columns.account is not None:
        table, account = judged.table, judged.column(judged.columns.account).astype("str")
    series = column_of(table, name)
    said = series.notna()
    found = pd.DataFrame({"account": account[said], "date": read_dates(series[said], name)}).drop_duplicates()
    if found.empty:
        raise NotEnoughData(f"{name} must hold the day an account left; it is blank in all rows.")
    twice = found.loc[found["account"].duplicated(), "account"]
    if len(twice):
        raise TableError(
            f"{name} must be one day per account; {twice.nunique():,} accounts have several: "
            f"{first_few(twice.unique())}."
        )
    return pd.Series(found["date"].to_numpy(), index=found["account"].to_numpy(), name=name)


def _with_drivers(
    green: pd.DataFrame, judged: Judged, table: pd.DataFrame, account: pd.Series, dates: pd.Series
) -> pd.DataFrame:
    """Coverage and reasons beside each green churn, where a model can say them."""
    if judged.model is None or green.empty:
        return green
    from chs_ml.explanation import explain

    keys = pd.MultiIndex.from_frame(green[["account", "snapshot_date"]])
    rows = np.asarray(pd.MultiIndex.from_arrays([account, dates]).isin(keys))
    frame = table[rows]
    reasons = explain(judged.model, frame).reasons(REASONS)
    details = pd.DataFrame(
        {
            "account": account[rows],
            "snapshot_date": dates[rows],
            "coverage": judged.model.score(frame)["coverage"],
            "reasons": [list(told) for told in reasons],
        }
    )
    return green.merge(details, on=["account", "snapshot_date"], how="left")


def interventions_of(judged: Judged) -> InterventionReport | None:
    """Churn with and without outreach; None where no column says who was worked on."""
    spec = judged.settings.validation
    if spec.treated is None:
        return None
    if spec.treated not in judged.table.columns:
        remark(f"Note: no column {spec.treated!r}, so churn with and without outreach is not shown.")
        return None
    return judge_interventions(
        judged.outcomes,
        score=judged.score,
        treated=judged.yes_or_no(spec.treated),
        randomised=spec.randomised,
        tier=judged.tier,
        tiers=judged.tiers,
        account=judged.account,
        policy=judged.policy,
    )
