"""Weighted statistics of a ranking, for many sets of weights at once.

Rows are sorted once, riskiest first; every statistic is then a cumulative sum over groups of tied
scores. Bootstrap replicates, point estimates and value-weighted versions are all the same sums with
other weights, so that they cannot disagree.
"""

from dataclasses import dataclass

import numpy as np

from chs_ml.validation.result import Array, Codes

TOP_SHARE = 0.1
SMALLEST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Ranking:
    """Rows sorted by score, riskiest first.

    Attributes
    ----------
    order : ndarray of int, shape (n,)
        Positions of the rows, riskiest first.
    starts : ndarray of int, shape (g,)
        Where each group of tied scores starts.
    churned : ndarray of shape (n,)
        Outcomes, sorted.
    value : ndarray of shape (n,) or None
        Value, sorted, missing as 0.
    """

    order: Codes
    starts: Codes
    churned: Array
    value: Array | None = None

    @classmethod
    def of(cls, score: Array, churned: Array, value: Array | None = None) -> "Ranking":
        """Sort rows of shape (n,) by score, larger = healthier."""
        order = np.argsort(score, kind="stable")
        ordered = score[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        filled = None if value is None else np.nan_to_num(value[order], nan=0.0)
        return cls(order, starts, churned[order], filled)

    def groups(self, weighted: Array) -> Array:
        """Sum rows of shape (b, n) over tied scores, to shape (b, g)."""
        if len(self.starts) == len(self.order):
            return weighted
        return np.add.reduceat(weighted, self.starts, axis=1)


def rank_statistics(ranking: Ranking, weights: Array) -> dict[str, Array]:
    """AUC, average precision, top-decile lift and Kolmogorov-Smirnov distance, for b sets of weights.

    Parameters
    ----------
    ranking : Ranking
        The sorted rows.
    weights : ndarray of shape (b, n)
        Non-negative weights in the ranking's order (``weights[:, ranking.order]``).

    Returns
    -------
    dict of str to ndarray of shape (b,)
        ``auc``: chance that a churned row scores below a renewed one, ties half.
        ``average_precision``: Σ (recall step) · precision over distinct scores, riskiest first.
        ``top_decile_lift``: churn rate in the riskiest tenth over the base rate; rows tied at the edge
        count with the share that a random tie-break would take.
        ``ks``: largest gap between the score distributions of churned and renewed rows.
        ``value_captured``: share of the churned value that stands in the riskiest tenth (with value).
        Weights without churns, or without renewals, give NaN.
    """
    every = ranking.groups(weights)
    churns = ranking.groups(weights * ranking.churned)
    cum_all, cum_churns = np.cumsum(every, axis=1), np.cumsum(churns, axis=1)
    total, events = cum_all[:, -1:], cum_churns[:, -1:]
    kept = total - events
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = cum_churns / np.maximum(cum_all, 1e-300)
        found = {
            "auc": _auc(every, churns, cum_all, cum_churns),
            "average_precision": np.sum(churns * precision, axis=1) / events[:, 0],
            "top_decile_lift": at_share(cum_all, cum_churns, TOP_SHARE) / events[:, 0] / TOP_SHARE,
            "ks": np.max(np.abs(cum_churns / events - (cum_all - cum_churns) / kept), axis=1),
        }
        if ranking.value is not None:
            lost = np.cumsum(ranking.groups(weights * (ranking.churned * ranking.value)), axis=1)
            found["value_captured"] = at_share(cum_all, lost, TOP_SHARE) / lost[:, -1]
    one_sided = (events[:, 0] <= 0.0) | (kept[:, 0] <= 0.0)
    return {name: np.where(one_sided, np.nan, values) for name, values in found.items()}


def _auc(every: Array, churns: Array, cum_all: Array, cum_churns: Array) -> Array:
    """Pairs won by churned rows (renewed rows ranked safer), tied pairs half (Mann-Whitney)."""
    kept = every - churns
    kept_below = (cum_all[:, -1:] - cum_churns[:, -1:]) - (cum_all - cum_churns)
    pairs = cum_churns[:, -1] * (cum_all[:, -1] - cum_churns[:, -1])
    return np.asarray(np.sum(churns * (kept_below + 0.5 * kept), axis=1) / pairs)


def at_share(cum_weight: Array, cumulated: Array, share: float) -> Array:
    """Cumulated amount, shape (b, g), at a share of the weight; linear inside a group of ties."""
    target = share * cum_weight[:, -1]
    rows = np.arange(len(cum_weight))
    at = np.sum(cum_weight < target[:, None], axis=1)  # the first group that reaches the share
    inside = at > 0
    weight_before = np.where(inside, cum_weight[rows, at - 1], 0.0)
    before = np.where(inside, cumulated[rows, at - 1], 0.0)
    step = cum_weight[rows, at] - weight_before
    part = np.divide(target - weight_before, step, out=np.zeros_like(step), where=step > 0.0)
    return np.asarray(before + part * (cumulated[rows, at] - before))


@dataclass(frozen=True)
class ProbabilitySums:
    """Sums per account from which the proper scores of any weights follow.

    Attributes
    ----------
    rows, churned, log_loss, brier : ndarray of shape (g,)
        Per account: rows, churns, summed log loss, summed squared error.
    """

    rows: Array
    churned: Array
    log_loss: Array
    brier: Array

    @classmethod
    def of(cls, probability: Array, churned: Array, account: Codes) -> "ProbabilitySums":
        """Add up rows of shape (n,) by account."""
        inside = np.clip(probability, SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)
        loss = -(churned * np.log(inside) + (1.0 - churned) * np.log1p(-inside))
        square = (probability - churned) ** 2
        columns = (np.ones_like(churned), churned, loss, square)
        return cls(*(np.bincount(account, weights=column).astype(np.float64) for column in columns))


def probability_statistics(sums: ProbabilitySums, counts: Array) -> dict[str, Array]:
    """Log loss and Brier score, and the share of the base rate's that they remove.

    Parameters
    ----------
    sums : ProbabilitySums
        Of g accounts.
    counts : ndarray of shape (b, g)
        How often each account was drawn.

    Returns
    -------
    dict of str to ndarray of shape (b,)
        ``log_loss``, ``brier`` (means per row), ``log_loss_removed``, ``brier_removed`` (1 minus the
        ratio to the same score of the base rate of the same weights).
    """
    rows, churns, loss, square = (
        np.sum(counts * column, axis=1) for column in (sums.rows, sums.churned, sums.log_loss, sums.brier)
    )
    rate = churns / rows
    rate = np.where((rate > 0.0) & (rate < 1.0), rate, np.nan)  # one outcome only: nothing to remove
    base_loss, base_square = entropy(rate), rate * (1.0 - rate)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "log_loss": loss / rows,
            "log_loss_removed": 1.0 - loss / rows / base_loss,
            "brier": square / rows,
            "brier_removed": 1.0 - square / rows / base_square,
        }


def entropy(rate: Array) -> Array:
    """Log loss of the base rate: -q log q - (1 - q) log(1 - q)."""
    inside = np.clip(rate, SMALLEST_PROBABILITY, 1.0 - SMALLEST_PROBABILITY)
    return np.asarray(-(rate * np.log(inside) + (1.0 - rate) * np.log1p(-inside)))
