"""Metrics against brute force: one account, one day, one metric at a time, over the tables cut at the day."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chs_ml.raw import build_snapshots, with_catalogue
from chs_ml.recipe import Condition, MetricSpec, load_recipe
from tests.raw.conftest import SPECS, cut_at
from tests.raw.test_look_ahead import random_metrics

Make = Callable[..., Any]
ZERO = ("count", "sum", "distinct", "active_days", "slope")
TIMES = {
    "accounts": "created",
    "contracts": "signed",
    "usage": "at",
    "active_users": "day",
    "tickets": "opened",
    "surveys": "sent",
    "invoices": "issued",
    "touchpoints": "met",
    "activity": "at",
}


def meets(frame: pd.DataFrame, column: str, condition: Condition, day: pd.Timestamp) -> pd.Series:
    values = frame[column]
    kept = pd.Series(True, index=frame.index)
    if condition.one_of is not None:
        kept &= values.isin(condition.one_of).fillna(False).astype(bool)
    if condition.not_in is not None:
        kept &= values.notna() & ~values.isin(condition.not_in)
    if condition.at_least is not None:
        kept &= (values >= condition.at_least).fillna(False).astype(bool)
    if condition.at_most is not None:
        kept &= (values <= condition.at_most).fillna(False).astype(bool)
    if condition.known is not None:
        kept &= values.notna() == condition.known
    if condition.past is not None:
        kept &= (values < day).fillna(False) == condition.past
    return kept


def running(terms: pd.DataFrame, day: pd.Timestamp) -> pd.Series:
    """Terms that run on a day; one of the same product that began later and ends later takes over."""
    alive = (terms["start"] <= day) & (terms["end"] > day)
    for i, term in terms.iterrows():
        others = terms[(terms["product"] == term["product"]) & (terms["start"] > term["start"])]
        others = others[
            (others["start"] < term["end"] - pd.Timedelta(days=5))
            & (others["end"] > term["end"])
            & (others["start"] <= day)
            & (others["signed"] <= day)
        ]
        alive[i] = alive[i] and others.empty
    return alive


def upsells(terms: pd.DataFrame, last: pd.Timestamp, days: int | None) -> float | None:
    """Days of the window whose recurring value lies above that of each of the six days before, not all 0."""
    dates = terms[["start", "end", "signed"]].astype("datetime64[s]").astype("int64") // 86_400
    rows = [
        (*when, what, mrr)
        for when, what, mrr in zip(dates.to_numpy().tolist(), terms["product"], terms["mrr"], strict=True)
    ]
    end = (last - pd.Timestamp(0)).days
    values = {}
    for day in range(min((min(row[0], row[2]) for row in rows), default=end) - 7, end + 1):
        known = [row for row in rows if row[2] <= day and row[0] <= day]
        values[day] = sum(
            round(mrr * 1e6)
            for start, stop, _, product, mrr in known
            if stop > day
            and not any(p == product and start < s < stop - 5 and e > stop for s, e, _, p, _ in known)
        )
    first = end - days if days is not None else min(values) + 5
    rises = [
        day
        for day in values
        if day > max(first, min(values) + 5)
        and values[day] > max(values[day - back] for back in range(1, 7)) > 0
    ]
    return float(len(rises)) or None


class Oracle:
    def __init__(self, tables: dict[str, pd.DataFrame], metrics: dict[str, MetricSpec]) -> None:
        self.tables, self.metrics = tables, metrics

    def values(self, account: int, day: pd.Timestamp) -> dict[str, Any]:
        known = cut_at({table: f[f["account_id"] == account] for table, f in self.tables.items()}, day, SPECS)
        return {name: self.of(spec, known, day, 0) for name, spec in self.metrics.items()}

    def of(self, spec: MetricSpec, known: dict[str, pd.DataFrame], day: pd.Timestamp, skip: int) -> Any:
        found = self.unmultiplied(spec, known, day, skip)
        if found is None or (isinstance(found, float) and np.isnan(found)):
            return np.nan if spec.when_empty is None else spec.when_empty
        return found if spec.times == 1.0 else found * spec.times

    def unmultiplied(
        self, spec: MetricSpec, known: dict[str, pd.DataFrame], day: pd.Timestamp, skip: int
    ) -> Any:
        if spec.measure in ("ratio", "difference"):
            above = self.of(self.metrics[str(spec.of)], known, day, skip)
            below = self.of(self.metrics[str(spec.per)], known, day, skip)
            return above - below if spec.measure == "difference" else above / below if below else np.nan
        if spec.measure in ("change", "growth"):
            part = self.metrics[str(spec.of)]
            ago = spec.days or part.days
            now, before = (self.of(part, known, day, skip) for skip in (0, ago))
            size = abs(before) if spec.measure == "growth" else abs(now) + abs(before)
            return (now - before) / size if size > 0 else np.nan
        if spec.measure == "upsells":
            return upsells(known["contracts"], day, spec.days)
        return self.measured(spec, known[str(spec.from_)], day, skip)

    def measured(self, spec: MetricSpec, frame: pd.DataFrame, day: pd.Timestamp, skip: int) -> Any:
        dates = frame[TIMES[str(spec.from_)]].dt.normalize()
        ago = skip if spec.active else 0
        end = day if spec.active else day - pd.Timedelta(days=skip)
        rows = dates <= end
        if spec.days is not None:
            rows &= dates > end - pd.Timedelta(days=spec.days)
        if spec.active:
            rows &= running(frame, day - pd.Timedelta(days=ago)) if ago == 0 else self.ran(frame, day, ago)
        among = rows.copy()
        for column, condition in spec.among.items():
            among &= meets(frame, column, condition, day)
        for column, condition in spec.where.items():
            rows &= meets(frame, column, condition, day)
        if spec.measure == "share":
            return None if not among.any() else (rows & among).sum() / among.sum()
        return self.summed(spec, frame[rows], dates[rows], day - pd.Timedelta(days=skip))

    def ran(self, frame: pd.DataFrame, day: pd.Timestamp, ago: int) -> pd.Series:
        return running(frame, day - pd.Timedelta(days=ago))

    def summed(  # noqa: PLR0911 - one line per measure
        self, spec: MetricSpec, frame: pd.DataFrame, dates: pd.Series, end: pd.Timestamp
    ) -> Any:
        if spec.measure == "count":
            return float(len(frame)) or None
        if spec.measure == "active_days":
            return float(dates.nunique()) or None
        if spec.measure == "slope":
            return self.slope(spec, frame, dates, end)
        values = dates if spec.of is None else frame[spec.of]
        if spec.since is not None:
            values = (values.dt.normalize() - frame[spec.since].dt.normalize()).dt.days
        elif spec.of is not None and spec.measure in ("recency", "age", "until"):
            values = values.dt.normalize()
        filled = values.notna()
        values, dates = values[filled], dates[filled]
        if values.empty:
            return None
        if spec.measure == "latest":
            return values[dates == dates.max()].max()
        if spec.measure == "distinct":
            return float(values.nunique())
        if spec.measure in ("recency", "age"):
            return float((end - (values.max() if spec.measure == "recency" else values.min())).days)
        if spec.measure == "until":
            return float((values.min() - end).days)
        return float(getattr(values.astype(float), str(spec.measure))())

    def slope(self, spec: MetricSpec, frame: pd.DataFrame, dates: pd.Series, end: pd.Timestamp) -> Any:
        ys = pd.Series(1.0, index=frame.index) if spec.of is None else frame[spec.of].astype(float)
        ys, dates = ys[ys.notna()], dates[ys.notna()]
        if ys.empty:
            return None
        days = pd.date_range(end=end, periods=int(spec.days or 0))
        daily = ys.groupby(dates).sum().reindex(days, fill_value=0.0)
        return float(np.polyfit(np.arange(len(days)), daily, 1)[0]) if len(days) > 1 else 0.0


def compare(content: dict[str, Any], tables: dict[str, pd.DataFrame], *, rows: int) -> None:
    recipe = with_catalogue(load_recipe(content))
    frame = build_snapshots(recipe).frame.sample(rows, random_state=0)
    oracle = Oracle(tables, recipe.metrics)
    for row in frame.to_dict("records"):
        for name, wanted in oracle.values(int(row["account_id"]), row["snapshot_date"]).items():
            found = row[name]
            same = (
                wanted == found
                if isinstance(wanted, str)
                else np.isclose(found, wanted, 1e-9, 1e-6, equal_nan=True)
            )
            blank = pd.isna(wanted) and pd.isna(found)
            assert same or blank, (name, row["account_id"], row["snapshot_date"], found, wanted)


def test_the_catalogue_equals_brute_force(tmp_path: Path, make_company: Make, make_recipe: Make) -> None:
    tables = make_company(7)
    compare(make_recipe(tables, tmp_path), tables, rows=8)


@pytest.mark.parametrize("seed", range(10, 13))
def test_random_recipes_equal_brute_force(
    tmp_path: Path, make_company: Make, make_recipe: Make, seed: int
) -> None:
    tables = make_company(seed)
    content = make_recipe(tables, tmp_path, metrics=random_metrics(seed))
    for table in content["tables"].values():
        table["catalogue"] = False
    compare(content, tables, rows=10)
