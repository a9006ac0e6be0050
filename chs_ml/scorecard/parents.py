"""A parent account as the average of its children."""

from math import fsum
from typing import Any

import numpy as np
import pandas as pd

from chs_ml.errors import TableError
from chs_ml.scale import published_score
from chs_ml.tiers import Tiers


def parent_scores(
    scores: pd.DataFrame, parent: Any, *, weight: Any = None, tiers: Tiers | None = None
) -> pd.DataFrame:
    """Average the scores of children by parent.

    Sums are exact (`math.fsum`), so the order of the children does not matter.

    Parameters
    ----------
    scores : DataFrame of shape (n, any)
        Has ``health_score`` (missing where a child has none: it does not count).
    parent : Series or array of shape (n,)
        Parent of each row; rows without one belong to no parent.
    weight : Series or array of shape (n,), optional
        What a child counts, such as its contract value, >= 0; all the same by default.
    tiers : Tiers, optional
        75 / 50 / 0 by default.

    Returns
    -------
    DataFrame
        A row per parent, sorted: ``health_score``, ``tier``, ``children``, ``children_scored``.
    """
    weights = np.ones(len(scores)) if weight is None else np.asarray(weight, dtype=np.float64)
    names = pd.Series(np.asarray(parent), dtype=object)
    if len(names) != len(scores) or len(weights) != len(scores):
        raise TableError(
            f"parent and weight must have one value per score ({len(scores)}); got {len(names)} and "
            f"{len(weights)}."
        )
    if not np.all(weights >= 0):
        raise TableError("The weights of children must be numbers that are not negative.")
    points = scores["health_score"].to_numpy(dtype=np.float64)
    rows = []
    for name, positions in names.dropna().groupby(names.dropna(), sort=True).groups.items():
        at = positions.to_numpy()
        at_scored = at[~np.isnan(points[at])]
        total = fsum(weights[at_scored])
        mean = fsum(weights[at_scored] * points[at_scored]) / total if total > 0 else np.nan
        rows.append((name, mean, len(at), len(at_scored)))
    index = pd.Index([row[0] for row in rows], name="parent")
    score = published_score(np.array([row[1] for row in rows], dtype=np.float64))
    return pd.DataFrame(
        {
            "health_score": score,
            "tier": (tiers or Tiers()).assign(score),
            "children": [row[2] for row in rows],
            "children_scored": [row[3] for row in rows],
        },
        index=index,
    )
