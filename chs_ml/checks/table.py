"""Checks of a table as a whole: its columns, its keys, its outcomes."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.errors import first_few, nearest
from chs_ml.findings import Finding, error, note, warning

if TYPE_CHECKING:
    from chs_ml.recipe import DataSpec, Recipe

Array = NDArray[np.float64]


def check_names(recipe: "Recipe", table: pd.DataFrame) -> list[Finding]:
    """Find columns that the recipe names and the table lacks, names that stand twice, and no rows."""
    data, found = recipe.data, list(table.columns)
    parts = ("account", "outcome", "snapshot_date", "value", "segment")
    wanted = [(f"[data] {part}", getattr(data, part)) for part in parts if getattr(data, part) is not None]
    wanted += [("[data] keep", name) for name in data.keep]
    wanted += [(f"[metrics.{name}]", name) for name in recipe.metrics]
    findings = [_no_column(where, name, found) for where, name in wanted if name not in found]
    for name in data.ignore:
        if name not in found:
            text = f"[data] ignore names {name!r}, and the table has no such column.{nearest(name, found)}"
            findings.append(warning("missing-column", name, text))
    twice = sorted(set(table.columns[table.columns.duplicated()]) - set(data.ignore))
    if twice:
        text = f"Each column must have its own name; the table has more than once: {first_few(twice)}."
        findings.append(error("duplicate-columns", twice[0], text, count=len(twice)))
    if not len(table):
        findings.append(error("no-rows", "", "The table must have rows; it has none."))
    return findings


def _no_column(where: str, name: str, found: list[str]) -> Finding:
    same = [other for other in found if other.casefold() == name.casefold()]
    columns = f" The table has {len(found)} columns: {first_few(found)}."
    hint = nearest(same[0] if same else name, found) or columns
    return error("missing-column", name, f"{where} names the column {name!r}, which the table lacks.{hint}")


def check_outcome(data: "DataSpec", churned: Array, series: pd.Series) -> list[Finding]:
    """Find outcomes of which none is known or all are one; count those that are open."""
    name, n = data.outcome, len(churned)
    open_rows = int(np.isnan(churned).sum())
    churns, kept = int((churned == 1.0).sum()), int((churned == 0.0).sum())
    if open_rows == n:
        text = f"{name}: outcomes must be known for some rows; all {n:,} are blank or open."
        return [error("outcome-missing", name, text, count=n)]
    if not churns or not kept:
        lacking = "churned" if not churns else "renewed"
        text = (
            f"{name}: there must be churned and renewed rows; none of {n - open_rows:,} is {lacking}. "
            f"The column holds {first_few(pd.unique(series.dropna()))}; say which value means churn "
            f"([data] churned = ...{'' if data.churned is None else f', now {data.churned!r}'})."
        )
        return [error("outcome-one-sided", name, text, count=n - open_rows)]
    if open_rows:
        text = f"{name}: {open_rows:,} of {n:,} outcomes are open; these rows neither train nor judge."
        return [note("open-outcomes", name, text, count=open_rows)]
    return []


def check_keys(account: pd.Series, snapshot: pd.Series | None) -> list[Finding]:
    """Find accounts, or accounts on a day, that stand in more than one row."""
    keys = account.to_frame("account")
    if snapshot is not None:
        keys["snapshot"] = snapshot.dt.strftime("%Y-%m-%d")
    again = keys.duplicated() & (account != "")
    if not again.any():
        return []
    repeated = keys[again].drop_duplicates().head(5)
    first = [" on ".join(map(str, key)) for key in repeated.itertuples(index=False)]
    what = "account" if snapshot is None else "account and snapshot date"
    hint = (
        " If rows are monthly snapshots, name their date in [data] snapshot_date." if snapshot is None else ""
    )
    text = f"Each {what} must stand in one row; {again.sum():,} rows repeat one: {first_few(first)}.{hint}"
    return [error("duplicate-keys", str(account.name), text, count=int(again.sum()))]
