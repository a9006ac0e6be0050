"""The dataset that models learn from: metrics and outcomes of accounts, checked at the door."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from chs_ml import checks
from chs_ml.errors import TableError, first_few
from chs_ml.findings import ORDER, Finding, error, note, raise_errors
from chs_ml.metric import Direction, Kind, Metric
from chs_ml.outcome import churn_codes, coded_by_value, outcome_reach, plain_text
from chs_ml.recipe import DataSpec, MetricSpec, Recipe
from chs_ml.table import read_table
from chs_ml.values import BLANKS, read_values

__all__ = ["Dataset", "Finding", "build_dataset", "check_dataset"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Metrics and renewal outcomes, row by row.

    Attributes
    ----------
    frame : DataFrame of shape (n, k)
        One column per metric, in the order of `metrics`; values as read.
    metrics : tuple of k Metric
        In the order of the table's columns.
    churned : ndarray of shape (n,)
        1.0 churned, 0.0 kept, NaN open.
    account : Series of str, shape (n,)
        Account ids.
    snapshot_date : Series of datetime64, shape (n,), or None
        The day at whose end the metrics were known.
    value : ndarray of shape (n,), or None
        Contract value in the table's currency; NaN where blank.
    segment : Series of str, shape (n,), or None
        Segment of the account.
    keep : DataFrame of shape (n, any)
        Columns that are carried to the output untouched, and those that only judging reads.
    horizon_days, lead_days : int
        The outcome window: churn counts within the horizon, which begins after the lead time.
    settle_days : int
        Days after the outcome window until the outcome is known, such as the grace period of a renewal.
    findings : tuple of Finding
        What the checks at the door said; warnings only.
    """

    frame: pd.DataFrame
    metrics: tuple[Metric, ...]
    churned: Array
    account: pd.Series
    snapshot_date: pd.Series | None = None
    value: Array | None = None
    segment: pd.Series | None = None
    keep: pd.DataFrame = field(default_factory=pd.DataFrame)
    horizon_days: int | None = None
    lead_days: int = 0
    settle_days: int = 0
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.keep.columns):
            object.__setattr__(self, "keep", pd.DataFrame(index=pd.RangeIndex(self.n)))
        lengths = {name: len(column) for name, column in self._columns()}
        if len(set(lengths.values())) > 1:
            raise TableError(f"All parts of a dataset must have the same number of rows; got {lengths}.")

    def _columns(self) -> Iterator[tuple[str, Any]]:
        for part in fields(self):
            column = getattr(self, part.name)
            if isinstance(column, pd.DataFrame | pd.Series | np.ndarray):
                yield part.name, column

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.frame)

    @cached_property
    def is_matured(self) -> Mask:
        """Rows whose outcome is known, of shape (n,)."""
        return ~np.isnan(self.churned)

    @property
    def reach_days(self) -> int:
        """A training row lies more than so many days before the first row that is judged."""
        return outcome_reach(
            horizon_days=self.horizon_days or 0, lead_days=self.lead_days, settle_days=self.settle_days
        )

    @property
    def n_churned(self) -> int:
        """Number of rows that churned."""
        return int((self.churned == 1.0).sum())

    @property
    def base_rate(self) -> float:
        """Share of churned rows among those whose outcome is known; NaN where there are none."""
        matured = int(self.is_matured.sum())
        return self.n_churned / matured if matured else float("nan")

    @property
    def matured(self) -> "Dataset":
        """The rows whose outcome is known."""
        return self.rows(self.is_matured)

    def rows(self, positions: ArrayLike) -> "Dataset":
        """Take rows by position, or by a mask of shape (n,); they are numbered anew."""
        chosen = np.asarray(positions)
        taken = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen.astype(np.intp)
        return replace(self, **{name: _taken(column, taken) for name, column in self._columns()})


def _taken(column: Any, positions: NDArray[np.intp]) -> Any:
    if isinstance(column, np.ndarray):
        return column[positions]
    return column.iloc[positions].reset_index(drop=True)


def build_dataset(recipe: Recipe, frame: pd.DataFrame | None = None) -> Dataset:
    """Build the dataset that a recipe describes, and check it.

    Parameters
    ----------
    recipe : Recipe
        Which table, and what its columns are; or which raw tables, from which the table is built first.
    frame : DataFrame, optional
        Used instead of reading the recipe's table.

    Returns
    -------
    Dataset
        With the warnings of the checks in `findings`.

    Raises
    ------
    TableError
        Where the table cannot be read, or a check finds an error; all errors are named.
    """
    dataset, findings = _examined(recipe, frame)
    raise_errors(findings)
    if dataset is None:
        raise TableError("The table cannot be used.")
    return dataset


def check_dataset(recipe: Recipe, frame: pd.DataFrame | None = None) -> tuple[Finding, ...]:
    """Run the checks at the door and return all findings, errors first, instead of raising them.

    Parameters
    ----------
    recipe, frame
        As for `build_dataset`.

    Raises
    ------
    TableError
        Only where the table itself cannot be read.
    """
    findings = _examined(recipe, frame)[1]
    return tuple(sorted(findings, key=lambda finding: ORDER.index(finding.severity)))


def _examined(recipe: Recipe, frame: pd.DataFrame | None) -> tuple[Dataset | None, list[Finding]]:
    early: tuple[Finding, ...] = ()
    if recipe.tables:
        from chs_ml.raw import snapshots_of  # only raw tables need an engine

        recipe, frame, early = snapshots_of(recipe, frame)
        if frame is None:
            return None, list(early)
    table = read_table(recipe.data_path) if frame is None else frame.reset_index(drop=True)
    table = table.set_axis([str(name) for name in table.columns], axis=1)
    findings = [*early, *checks.check_names(recipe, table)]
    if any(finding.severity == "error" for finding in findings):
        return None, findings
    data = recipe.data
    account = _account(data, table, findings)
    snapshot = _snapshot(data, table, findings)
    churned = _outcome(data, table, snapshot, findings)
    findings += checks.check_keys(account, snapshot)
    metrics = _metrics(recipe, table, checks.Facts.of(account, snapshot, churned), findings)
    dataset = Dataset(
        frame=table[[metric.name for metric in metrics]],
        metrics=metrics,
        churned=churned,
        account=account,
        snapshot_date=snapshot,
        value=_value(data, table, findings),
        segment=None if data.segment is None else _text(table[data.segment]),
        keep=table[[c for c in dict.fromkeys((*data.keep, *recipe.validation.later_columns)) if c in table]],
        horizon_days=data.horizon_days,
        lead_days=data.lead_days,
        settle_days=data.settle_days,
        findings=tuple(finding for finding in findings if finding.severity != "error"),
    )
    return dataset, findings


# --- columns and their parts ---


def _text(series: pd.Series) -> pd.Series:
    """Ids and names as text, the same for 1, 1.0 and "1"; blanks are missing."""
    if isinstance(series.dtype, pd.StringDtype):
        text = series.str.strip()
        return text.mask(text == "").astype("str")
    codes, values = pd.factorize(series)
    words = [plain_text(value) for value in values]
    table = np.array([*(word or None for word in words), None], dtype=object)
    return pd.Series(table[codes], dtype="str", name=series.name)


def _account(data: DataSpec, table: pd.DataFrame, findings: list[Finding]) -> pd.Series:
    if data.account is None:
        text = "The recipe names no account column: every row counts as an account of its own."
        findings.append(note("no-account", "", text))
        return pd.Series(np.arange(1, len(table) + 1), name="account_id").astype("str")
    account = _text(table[data.account])
    blank = account.isna()
    if blank.any():
        text = (
            f"{data.account}: every row must have an account id; {blank.sum():,} of {len(table):,} have "
            f"none, the first in row {int(np.argmax(blank)) + 1}."
        )
        findings.append(error("blank-account", data.account, text, count=int(blank.sum())))
    return account.fillna("")


def _snapshot(data: DataSpec, table: pd.DataFrame, findings: list[Finding]) -> pd.Series | None:
    if data.snapshot_date is None:
        return None
    dates = _days(table[data.snapshot_date])
    bad = dates.isna().to_numpy()
    if bad.any():
        examples = first_few(pd.unique(table[data.snapshot_date][bad]), limit=3)
        text = (
            f"{data.snapshot_date}: every snapshot must have a date such as 2024-01-31; {bad.sum():,} of "
            f"{len(table):,} rows have none: {examples}."
        )
        findings.append(error("snapshot-dates", data.snapshot_date, text, count=int(bad.sum())))
    return dates


def _days(series: pd.Series) -> pd.Series:
    """Dates without time of day and time zone, as written; NaT where there is none."""
    if pd.api.types.is_datetime64_any_dtype(series.dtype):
        dates = series.dt.tz_localize(None)
    else:
        text = _text(series).str.slice(0, 10)  # the rest is the time of day
        dates = pd.to_datetime(text, errors="coerce", format="ISO8601")
    days: pd.Series = dates.dt.normalize().astype("datetime64[us]").rename(series.name)
    return days


def _value(data: DataSpec, table: pd.DataFrame, findings: list[Finding]) -> Array | None:
    if data.value is None:
        return None
    series = table[data.value]
    values, unreadable = read_values(series, Kind.NUMBER)
    if data.value not in {finding.subject for finding in findings}:  # as a metric it was checked before
        findings += checks.check_values(data.value, series, values=values, unreadable=unreadable)
    return np.asarray(values, dtype=np.float64)


# --- outcomes ---


def _outcome(
    data: DataSpec, table: pd.DataFrame, snapshot: pd.Series | None, findings: list[Finding]
) -> Array:
    try:
        churned = _coded(data, table[data.outcome])
    except TableError as problem:
        findings.append(error("outcome-values", data.outcome, f"{data.outcome}: {problem}"))
        return np.full(len(table), np.nan)
    if data.as_of is not None and snapshot is not None:
        window = pd.Timedelta(days=data.lead_days + (data.horizon_days or 0) + data.settle_days)
        churned = np.where(snapshot + window > pd.Timestamp(data.as_of), np.nan, churned)
    findings += checks.check_outcome(data, churned, table[data.outcome])
    return churned


def _coded(data: DataSpec, series: pd.Series) -> Array:
    if pd.api.types.is_numeric_dtype(series.dtype):  # booleans too
        plain = series
    else:
        plain = _text(series)
        plain = plain.mask(plain.str.lower().isin(BLANKS))
    codes, words = pd.factorize(plain)
    distinct = pd.Series(words) if len(words) else plain.head(0)
    if data.churned is not None:
        coded = coded_by_value(distinct, churned=data.churned, renewed=data.renewed)
    else:
        try:
            coded = churn_codes(distinct, contracted_is_churn=data.contracted_is_churn)
        except TableError:  # once more over all rows, for a message that counts them
            return churn_codes(plain, contracted_is_churn=data.contracted_is_churn)
    return np.append(coded, np.nan)[codes]


# --- metrics ---


def _metrics(
    recipe: Recipe, table: pd.DataFrame, facts: checks.Facts, findings: list[Finding]
) -> tuple[Metric, ...]:
    metrics = []
    for name in _candidates(recipe, table.columns):
        spec = recipe.metrics.get(name)
        metric = _metric(name, spec or MetricSpec(), table[name])
        fits, found = checks.check_metric(table[name], metric, facts=facts, declared=spec is not None)
        findings += found
        if fits:
            metrics.append(metric)
    if not metrics:
        text = "There must be at least one metric; no column is left after the checks."
        findings.append(error("no-metrics", "", text))
    return tuple(metrics)


def _candidates(recipe: Recipe, columns: Iterable[str]) -> list[str]:
    data = recipe.data
    carried = {*data.key_columns, *data.ignore, *data.keep, data.value, data.segment}
    listed = recipe.metrics
    return [name for name in columns if (listed[name].model if name in listed else name not in carried)]


def _metric(name: str, spec: MetricSpec, series: pd.Series) -> Metric:
    return Metric(
        name=name,
        kind=Kind(spec.kind) if spec.kind else checks.infer_kind(series),
        group=spec.group,
        direction=Direction(spec.direction),
        unit=spec.unit,
        label=spec.label,
        required=spec.required,
    )
