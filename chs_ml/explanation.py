"""Explanations in score points: what each metric adds to or takes from a health score.

Contributions to the margin are exact SHAP values (the card is additive; the trees' are TreeSHAP). The
health scale is a function of the margin alone, so points are contributions times one factor per account::

    points_j = c_j * (score(m) - score(m0)) / (m - m0)

which is the path integral of the scale along the straight line from m0 to m, and the slope at m = m0.
Base and points sum to the published score.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.health_model import HealthModel
from chs_ml.inputs import InputSchema
from chs_ml.metric import Kind, Metric
from chs_ml.scale import HealthScale
from chs_ml.scores import Publication
from chs_ml.validation import OverTime

Array = NDArray[np.float64]

Side = Literal["both", "against", "for"]
DRIVERS = 2


@dataclass(frozen=True, eq=False)
class Explanation:
    """Health scores taken apart.

    Attributes
    ----------
    points : DataFrame of shape (n, k)
        A column per metric, in score points, positive = healthier; NaN for rows without a score.
    base : float
        The score that points are counted from: that of the average training account's margin.
    health_score : Series of shape (n,)
        Published scores; ``base + points.sum(axis=1)`` equals them within 1e-6.
    metrics : tuple of k Metric
        What the columns are.
    data : DataFrame of shape (n, k)
        Values as the model read them: numbers, category labels, missing as None or NaN.
    """

    points: pd.DataFrame
    base: float
    health_score: pd.Series
    metrics: tuple[Metric, ...]
    data: pd.DataFrame

    @cached_property
    def groups(self) -> pd.DataFrame:
        """Points per metric group, of shape (n, groups), in order of first appearance."""
        names = list(dict.fromkeys(m.group for m in self.metrics))
        members = {name: [m.name for m in self.metrics if m.group == name] for name in names}
        return pd.DataFrame(
            {name: self.points[list(columns)].sum(axis=1, skipna=False) for name, columns in members.items()}
        )

    @property
    def importance(self) -> pd.Series:
        """Mean absolute points per metric over the rows, largest first."""
        return self.points.abs().mean().sort_values(ascending=False, kind="stable").rename("points")

    def reasons(self, n: int = 3, *, side: Side = "both") -> pd.Series:
        """Say in words what moved each score most.

        Parameters
        ----------
        n : int
            At most so many reasons per account.
        side : {"both", "against", "for"}
            Largest effects either way, only those that cost points, or only those that give some.

        Returns
        -------
        Series of list of str, shape (n,)
            Such as ``"Seats used 41 % → −8.2 points"``; empty for rows without a score.
        """
        if side not in ("both", "against", "for"):
            raise ValueError(f"side must be 'both', 'against' or 'for'; got {side!r}.")
        points = self.points.to_numpy()
        key = {"both": -np.abs(points), "against": points, "for": -points}[side]
        order = np.argsort(np.nan_to_num(key), axis=1, kind="stable")[:, :n]
        told = [
            [self._reason(i, j) for j in row if self._counts(points[i, j], side)]
            for i, row in enumerate(order)
        ]
        return pd.Series(told, index=self.points.index, name="reasons", dtype=object)

    def _counts(self, points: float, side: Side) -> bool:
        smallest = 0.05  # what rounds to 0.0 points is no reason
        signed = {"both": abs(points), "against": -points, "for": points}[side]
        return bool(signed >= smallest)

    def _reason(self, row: int, column: int) -> str:
        metric = self.metrics[column]
        value = said_value(self.data.iat[row, column], metric)
        return f"{metric.title} {value} → {said_points(self.points.to_numpy()[row, column])}"

    def to_shap(self) -> Any:
        """As `shap.Explanation`, for SHAP's own plots; needs the extra ``shap``."""
        import shap

        return shap.Explanation(
            values=self.points.to_numpy(),
            base_values=np.full(len(self.points), self.base),
            data=self.data.to_numpy(dtype=object),
            feature_names=[m.title for m in self.metrics],
            output_names="health score",
        )

    def to_records(self, n: int = 3) -> list[dict[str, Any]]:
        """One plain mapping per row: score, base, points per metric and per group, reasons."""
        reasons = self.reasons(n)
        return [
            {
                "health_score": _plain(self.health_score.iat[i]),
                "base": self.base,
                "points": {name: _plain(v) for name, v in self.points.iloc[i].items()},
                "groups": {name: _plain(v) for name, v in self.groups.iloc[i].items()},
                "reasons": reasons.iat[i],
            }
            for i in range(len(self.points))
        ]


def explain(model: HealthModel, data: pd.DataFrame | Mapping[str, Any]) -> Explanation:
    """Explain health scores in their own points.

    Parameters
    ----------
    model : HealthModel
        A trained model.
    data : DataFrame, or mapping for one account
        What `HealthModel.score` takes; kept columns may be left out.

    Returns
    -------
    Explanation
        One row per input row, same order and index.
    """
    frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame([data])
    return _explained(model, frame)[1]


def score_and_explain(
    model: HealthModel, frame: pd.DataFrame, *, threads: int | None = None, once: bool = False
) -> tuple[pd.DataFrame, Explanation]:
    """What `HealthModel.score` and `explain` give, in one pass over the rows.

    Parameters
    ----------
    model : HealthModel
        A trained model.
    frame : DataFrame
        What `HealthModel.score` takes.
    threads : int, optional
        Threads; all cores by default.
    once : bool
        A few rows are to be explained and no others, as in `TreeEnsemble.explained`.
    """
    publication, explanation = _explained(model, frame, threads=threads, once=once)
    return model.with_carried(publication.columns(), frame), explanation


def with_drivers(
    time: OverTime, model: HealthModel, frame: pd.DataFrame, account: pd.Series, snapshot_date: pd.Series
) -> OverTime:
    """Put coverage and reasons beside the green churns of a report whose scores are the model's.

    Parameters
    ----------
    time : OverTime
        From a report.
    model : HealthModel
        Whose scores were judged.
    frame : DataFrame of shape (n, any)
        The rows of the history, as the model scores them.
    account, snapshot_date : Series of shape (n,)
        Keys of those rows.
    """
    keys = list(zip(account.astype("str"), snapshot_date.dt.strftime("%Y-%m-%d"), strict=True))
    wanted = {(one.account, one.snapshot_date) for one in time.green_churn}
    rows = [i for i, key in enumerate(keys) if key in wanted]
    if not rows:
        return time
    table, why = score_and_explain(model, frame.iloc[rows])
    said = zip(table["coverage"], why.reasons(DRIVERS), strict=True)
    known = {keys[i]: (float(share), tuple(told)) for i, (share, told) in zip(rows, said, strict=True)}
    return replace(
        time,
        green_churn=tuple(
            replace(one, coverage=found[0], reasons=found[1])
            if (found := known.get((one.account, one.snapshot_date)))
            else one
            for one in time.green_churn
        ),
    )


def _explained(
    model: HealthModel, frame: pd.DataFrame, *, threads: int | None = None, once: bool = False
) -> tuple[Publication, Explanation]:
    encoded = model.encode(frame)
    parts = model.margin_parts(encoded.values, threads=threads, once=once)
    publication = model.published(encoded, parts.margin)
    score = publication.numbers["health_score"]
    factor = points_per_logit(model.scale, parts.margin, parts.expected)
    points = parts.contributions * factor[:, None]
    points[np.isnan(score)] = np.nan
    explanation = Explanation(
        points=pd.DataFrame(points, index=frame.index, columns=list(model.schema.names)),
        base=float(model.scale.score(np.array([parts.expected]))[0]),
        health_score=pd.Series(score, index=frame.index, name="health_score"),
        metrics=model.schema.metrics,
        data=readable(encoded.values, model.schema, frame.index),
    )
    return publication, explanation


def points_per_logit(scale: HealthScale, margin: Array, expected: float) -> Array:
    """Factor from log-odds to points, of shape (n,): the mean slope of the scale from `expected` on."""
    start = np.array([expected])
    distance = margin - expected
    near = np.abs(distance) < 1e-9
    rise = scale.score(margin) - scale.score(start)
    return np.where(near, scale.slope(start), rise / np.where(near, 1.0, distance))


def readable(values: Array, schema: InputSchema, index: pd.Index) -> pd.DataFrame:
    """Turn an encoded matrix of shape (n, k) back into numbers and labels."""
    columns: dict[str, Any] = {}
    for i, column in enumerate(schema.columns):
        if column.metric.is_category:
            labels = np.array([*column.categories, "(new category)", None], dtype=object)
            codes = np.where(np.isnan(values[:, i]), len(labels) - 1, values[:, i]).astype(np.intp)
            columns[column.metric.name] = labels[codes]
        else:
            columns[column.metric.name] = values[:, i]
    return pd.DataFrame(columns, index=index)


def said_value(value: Any, metric: Metric) -> str:
    """A value as people say it: "41 %", "yes", "Month-to-month", "unknown"."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "unknown"
    if metric.kind is Kind.YES_NO:
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    unit = metric.unit or ("days ago" if metric.kind is Kind.DATE else "")
    return f"{said_number(float(value))} {unit}".rstrip()


def said_number(value: float) -> str:
    """A number with about three significant digits and thousands separated.

    >>> said_number(1234567.0), said_number(0.04567), said_number(-3.0)
    ('1,234,567', '0.0457', '−3')
    """
    size = abs(value)
    whole = size >= 100 or value == int(value)
    decimals = 0 if whole else min(2 - math.floor(math.log10(size)), 10)
    text = f"{size:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"−{text}" if value < 0 and text.strip("0.,") else text


def said_points(points: float) -> str:
    """Points with their sign: "−8.2 points"."""
    return f"{'−' if points < 0 else '+'}{abs(points):.1f} points"


def _plain(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
