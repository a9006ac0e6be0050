"""Weights that people can read: whole percents that sum to 100, and groups that are not too large."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from chs_ml.errors import ScorecardError

Array = NDArray[np.float64]


def whole_percents(shares: Array) -> NDArray[np.int64]:
    """Round shares of shape (k,), summing to 1, to whole percents that sum to 100, by largest remainder.

    Each share is rounded down; what is left to 100 goes, one percent each, to the largest remainders (ties to
    the earlier measure).

    >>> whole_percents(np.array([1 / 3, 1 / 3, 1 / 3])).tolist()
    [34, 33, 33]
    """
    exact = 100.0 * np.asarray(shares, dtype=np.float64) / float(np.sum(shares))
    # a share of 0.29 is 28.999999999999996 percent: a rounding error must not cost a point
    down = np.floor(exact + 1e-9)
    left = round(100.0 - float(down.sum()))
    order = np.argsort(-(exact - down), kind="stable")
    down[order[:left]] += 1.0
    return down.astype(np.int64)


def capped(shares: Array, groups: Sequence[str], caps: Mapping[str, float]) -> Array:
    """Hold groups to their largest share; what they lose goes to the other groups in proportion.

    Parameters
    ----------
    shares : ndarray of shape (k,)
        Summing to 1.
    groups : sequence of k str
        Group of each measure.
    caps : mapping of str to float
        Largest share per group, 0-1; groups without one are free.

    Raises
    ------
    ScorecardError
        Where the caps leave no room for 100 %.
    """
    capped_shares = np.asarray(shares, dtype=np.float64).copy()
    names = list(dict.fromkeys(groups))
    held: set[str] = set()
    for _ in names:
        totals = {
            g: float(sum(s for s, of in zip(capped_shares, groups, strict=True) if of == g)) for g in names
        }
        over = [g for g in names if g not in held and totals[g] > caps.get(g, 1.0) + 1e-12]
        if not over:
            break
        held |= set(over)
        room = 1.0 - sum(caps[g] for g in held)
        free = sum(totals[g] for g in names if g not in held)
        if room < -1e-12 or (free <= 0.0 and room > 1e-12):
            raise ScorecardError(
                f"The largest shares of groups must leave room for 100 %; got {dict(caps)} for {names}, "
                f"and the "
                "groups that are left have no weight."
            )
        for i, group in enumerate(groups):
            target = caps[group] / totals[group] if group in held else (room / free if free > 0 else 0.0)
            capped_shares[i] *= target
    return capped_shares


def roundest(low: float, high: float, *, near: float) -> float:
    """The roundest number from low to high: the largest of ..., 10, 5, 2, 1, 0.5, ... with a multiple there.

    Of several multiples the one nearest to `near` is taken.

    >>> roundest(47.0, 63.0, near=52.0)
    50.0
    """
    size = max(abs(low), abs(high))
    if low <= 0.0 <= high:
        return 0.0
    for power in range(int(np.floor(np.log10(size))) + 1, -15, -1):
        for digit in (10, 5, 2):
            unit = digit * 10.0 ** (power - 1)
            first, last = np.ceil(low / unit - 1e-9), np.floor(high / unit + 1e-9)
            if first <= last:
                return float(f"{float(np.clip(np.round(near / unit), first, last)) * unit:.12g}")
    return near
