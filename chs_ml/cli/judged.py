"""What the judging commands judge: a table of any scores, or a model's scores of a table."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.cli.provenance import fitted_accounts, out_of_time
from chs_ml.errors import TableError, first_few, nearest
from chs_ml.later import Later, read_later
from chs_ml.outcome import churn_codes, coded_by_value
from chs_ml.recipe import Recipe, load_recipe
from chs_ml.table import read_table
from chs_ml.tiers import Tiers
from chs_ml.validation import Rules, ScoreHistory, ValidationReport, score_history
from chs_ml.validation import validate as validated
from chs_ml.validation.columns import numbers, probabilities
from chs_ml.validation.history import read_dates

if TYPE_CHECKING:
    from chs_ml.health_model import HealthModel

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of the columns of a table of scores, by the part they play; `churned` is an outcome's value."""

    score: str = "health_score"
    outcome: str | None = None
    churned: str | None = None
    probability: str | None = None
    tier: str | None = None
    account: str | None = None
    value: str | None = None
    segment: str | None = None
    snapshot_date: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """Columns that are judged, and how.

    Attributes
    ----------
    table : DataFrame of shape (n, any)
        The table as read.
    outcomes, score, probability, value : ndarray of shape (n,)
        Churn codes, scores, probabilities and values; the last two may be None.
    tier, account, segment : ndarray of object, shape (n,), or None
        Labels.
    snapshot_date : Series of shape (n,), or None
        Dates as read.
    tiers : Tiers or None
        Where the score is cut; None leaves that to validation.
    settings : Recipe
        Its ``[validation]`` and ``[data]`` say how to judge.
    columns : Columns
        Names, for other tables of the same form.
    model : HealthModel or None
        Whose scores they are.
    """

    table: pd.DataFrame
    outcomes: Array
    score: Array
    probability: Array | None = None
    value: Array | None = None
    tier: Any = None
    account: Any = None
    segment: Any = None
    snapshot_date: pd.Series | None = None
    tiers: Tiers | None = None
    settings: Recipe
    columns: Columns
    model: "HealthModel | None" = None

    def rows(self, mask: Mask) -> "Judged":
        """Take the rows of a mask of shape (n,)."""
        taken: dict[str, Any] = {}
        for part in fields(self):
            column = getattr(self, part.name)
            if isinstance(column, np.ndarray):
                taken[part.name] = column[mask]
            elif isinstance(column, pd.Series | pd.DataFrame):
                taken[part.name] = column[mask].reset_index(drop=True)
        return replace(self, **taken)

    def column(self, name: str) -> pd.Series:
        """A column of the table, by name."""
        return column_of(self.table, name)

    def report(self, history: Path | None = None, *, horizon_days: int | None = None) -> ValidationReport:
        """Judge.

        Parameters
        ----------
        history : Path, optional
            Table of all snapshots, judged over time instead of the judged table itself.
        horizon_days : int, optional
            Days within which a churn confirms an alarm; the recipe's lead and horizon by default.
        """
        spec, data = self.settings.validation, self.settings.data
        told = None if history is None else _History.of(self, read_table(history))
        days = horizon_days or (data.lead_days + data.horizon_days if data.horizon_days else None)
        later, told_notes = (None, ()) if self.model is None else out_of_time(self)
        known, seen = fitted_accounts(self), self._later(told)
        report = validated(
            self.outcomes,
            score=self.score,
            probability=self.probability,
            tier=self.tier,
            tiers=self.tiers,
            value=self.value,
            account=self.account,
            segment=self.segment,
            snapshot_date=self.snapshot_date,
            history=None if told is None else told.scores,
            horizon_days=days,
            as_of=None if data.as_of is None else str(data.as_of),
            new_account=None if known is None else ~known,
            out_of_time=later,
            remarks=(*told_notes, *seen.remarks),
            treated=seen.treated,
            churn_date=seen.churn_date,
            **Rules.of(spec.model_dump()).of_one,
        )
        return self._with_drivers(report, told)

    def _later(self, told: "_History | None") -> Later:
        """Outreach and churn dates of the judged table; dates that the history has are taken there."""
        spec = self.settings.validation
        own = told is None or told.scores.churn_dates is None
        return read_later(
            self.table,
            pd.Series(np.arange(len(self.table)) if self.account is None else self.account),
            treated=spec.treated,
            churn_date=spec.churn_date if own else None,
            dated=self.model is None or told is not None or self.snapshot_date is not None,
        )

    def _with_drivers(self, report: ValidationReport, told: "_History | None") -> ValidationReport:
        if self.model is None or report.time is None or not report.time.green_churn:
            return report
        from chs_ml.explanation import with_drivers

        rows = told or _History.of(self, self.table)
        return replace(
            report, time=with_drivers(report.time, self.model, rows.table, rows.account, rows.snapshot_date)
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _History:
    """A table of all snapshots, and its scores over time."""

    table: pd.DataFrame
    account: pd.Series
    snapshot_date: pd.Series
    scores: ScoreHistory

    @classmethod
    def of(cls, judged: Judged, table: pd.DataFrame) -> "_History":
        """Score the table, or read its column of scores."""
        names = judged.columns
        if names.account is None or names.snapshot_date is None:
            raise TableError(
                "A history needs the columns of accounts and of snapshot dates: --account and "
                "--snapshot-date, or [data] account and snapshot_date in the model's recipe."
            )
        account = column_of(table, names.account).astype("str")
        dates = read_dates(column_of(table, names.snapshot_date), names.snapshot_date)
        score = (
            column_of(table, names.score)
            if judged.model is None
            else judged.model.score(table)["health_score"]
        )
        name = judged.settings.validation.churn_date
        left = table[name] if name in table.columns else None
        scores = score_history(
            account, snapshot_date=dates, score=score, tiers=judged.tiers or Tiers(), churn_date=left
        )
        return cls(table=table, account=account, snapshot_date=dates, scores=scores)


def column_of(table: pd.DataFrame, name: str) -> pd.Series:
    """A column by name; a TableError names the nearest one."""
    if name not in table.columns:
        hint = nearest(name, table.columns) or f" It has {first_few(table.columns)}."
        raise TableError(f"The table has no column {name!r}.{hint}")
    return table[name]


def outcomes_of(table: pd.DataFrame, name: str, churned: str | None) -> Array:
    """Churn codes of a column of outcomes, in which one value may mean churned."""
    outcomes = column_of(table, name)
    return churn_codes(outcomes) if churned is None else coded_by_value(outcomes, churned=churned)


def settings_of(
    plain: Mapping[str, Any], recipe: Path | None, validation: Mapping[str, Any] | None = None
) -> Recipe:
    """How to judge: [validation] and [tiers] of a recipe file where one is given, with options over them.

    Parameters
    ----------
    plain : mapping
        The recipe otherwise, as `load_recipe` takes it.
    recipe : Path, optional
        Recipe file.
    validation : mapping, optional
        Keys of [validation] over all others; None is not given.
    """
    content = dict(plain)
    if recipe is not None:
        given = load_recipe(recipe).to_dict()
        content |= {name: given[name] for name in ("tiers", "validation")}
    said = {name: value for name, value in (validation or {}).items() if value not in (None, {})}
    merged = {**content.get("validation", {}), **said}
    if "value" in said:
        merged["value"] = {**content.get("validation", {}).get("value", {}), **said["value"]}
    return load_recipe({**content, "validation": merged})


def judged_scores(
    path: Path, columns: Columns, recipe: Path | None, validation: Mapping[str, Any] | None = None
) -> Judged:
    """Columns of a table of scores; without a column of outcomes every outcome is open."""
    settings = settings_of({"data": {"outcome": columns.outcome or "outcome"}}, recipe, validation)
    table = read_table(path)
    given = {
        part: None if name is None else column_of(table, name)
        for part in ("probability", "tier", "account", "value", "segment", "snapshot_date")
        for name in [getattr(columns, part)]
    }
    labels = {part: _objects(given[part]) for part in ("tier", "account", "segment")}
    dates, value, probability = (given[part] for part in ("snapshot_date", "value", "probability"))
    score = numbers(column_of(table, columns.score), columns.score)
    return Judged(
        table=table,
        outcomes=np.full(len(table), np.nan)
        if columns.outcome is None
        else outcomes_of(table, columns.outcome, columns.churned),
        score=score,
        probability=None if probability is None else probabilities(probability),
        value=None if value is None else numbers(value, "value"),
        snapshot_date=None if dates is None else read_dates(dates, str(dates.name)),
        tiers=None if recipe is None else Tiers.from_bounds(settings.tiers),
        settings=settings,
        columns=columns,
        **labels,
    )


def _objects(series: pd.Series | None) -> Any:
    return None if series is None else series.to_numpy(dtype=object)


def judged_model(
    path: Path, data: Path, recipe: Path | None, validation: Mapping[str, Any] | None = None
) -> Judged:
    """A model's scores of a table, which is read as the model's recipe says."""
    from chs_ml.bundle import load_model
    from chs_ml.dataset import build_dataset

    model, table = load_model(path), read_table(data)
    # without [metrics]: which columns are metrics is the model's business, the recipe is for the outcomes
    settings = settings_of({**model.facts["recipe"], "metrics": {}}, recipe, validation)
    dataset = build_dataset(settings, table)
    scores = model.score(table)
    return Judged(
        table=table,
        outcomes=dataset.churned,
        score=scores["health_score"].to_numpy(),
        probability=scores["churn_probability"].to_numpy(),
        value=dataset.value,
        account=dataset.account.to_numpy(dtype=object),
        segment=_objects(dataset.segment),
        snapshot_date=dataset.snapshot_date,
        tiers=model.tiers if recipe is None else Tiers.from_bounds(settings.tiers),
        settings=settings,
        columns=Columns(account=model.carried.account, snapshot_date=model.carried.snapshot_date),
        model=model,
    )
