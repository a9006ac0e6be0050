"""Has the score's distribution moved, or is it only a small sample?"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from chs_ml.errors import NotEnoughData
from chs_ml.validation.policy import Policy
from chs_ml.validation.result import Array, Codes, HypothesisTest, Verdict

BINS = 10
LEAST_PER_BIN = 5.0
SMALL_SHIFT, LARGE_SHIFT = 0.1, 0.25


@dataclass(frozen=True, kw_only=True)
class StabilityIndex:
    """Population stability index between two periods.

    Attributes
    ----------
    index : float
        Σ (q - p) log(q / p) over bins, half a row added to each.
    critical : float
        What the index exceeds in 5 % of cases without any drift, at these sample sizes.
    p_value : float
        Chance of such an index without drift.
    bins, first, second : int
        Bins, rows of the first and of the second period.
    """

    index: float
    critical: float
    p_value: float
    bins: int
    first: int
    second: int


def stability_index(first: Array, second: Array, *, bins: int = BINS, alpha: float = 0.05) -> StabilityIndex:
    """Population stability index of scores of shape (n,) and (m,), with its sample-size critical value.

    Without drift the index is about (1/n + 1/m) times a chi-squared variable with bins - 1 degrees of
    freedom (Yurdakul 2018, "Statistical properties of population stability index"): at n = m = 100 and
    ten bins it exceeds 0.1 in most samples, at 2,000 practically never. Bins hold equal shares of both
    periods together, and are fewer where they would hold under five rows of one period.
    """
    n, m = len(first), len(second)
    k = int(min(bins, min(n, m) // LEAST_PER_BIN))
    if k < 2:
        raise NotEnoughData(
            f"Stability needs at least 10 scores in each period; got {n} and {m}. Join periods."
        )
    edges = np.unique(np.quantile(np.concatenate([first, second]), np.arange(1, k) / k))
    p, q = (_shares(values, edges) for values in (first, second))
    used = len(p)
    index = float(np.sum((q - p) * np.log(q / p)))
    scale = 1.0 / n + 1.0 / m
    return StabilityIndex(
        index=index,
        critical=float(chi2.isf(alpha, used - 1)) * scale,
        p_value=float(chi2.sf(index / scale, used - 1)),
        bins=used,
        first=n,
        second=m,
    )


def _shares(values: Array, edges: Array) -> Array:
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1) + 0.5
    return np.asarray(counts / counts.sum())


def stability_test(first: Array, second: Array, *, policy: Policy | None = None) -> HypothesisTest:
    """Ask whether a score's distribution moved between two periods of shape (n,) and (m,).

    Passes where the index is below its critical value at these sample sizes, warns where a drift is
    shown, fails where it is shown and large (0.25 and more). An account in both periods makes the test
    conservative.
    """
    rules = policy or Policy()
    found = stability_index(first, second, alpha=rules.alpha)
    verdict = Verdict.PASS if found.index <= found.critical else Verdict.WARN
    verdict = Verdict.FAIL if verdict is Verdict.WARN and found.index >= LARGE_SHIFT else verdict
    words = {
        Verdict.PASS: "no drift shown",
        Verdict.WARN: "the distribution moved" + (" a little" if found.index < SMALL_SHIFT else ""),
        Verdict.FAIL: "the distribution moved far",
    }
    return HypothesisTest(
        name="stability",
        null="both periods have the same distribution of scores",
        statistic=found.index,
        statistic_name="population stability index",
        p_value=found.p_value,
        n=found.first + found.second,
        events=0,
        policy=f"critical value at these sample sizes, alpha {rules.alpha:g}; {LARGE_SHIFT:g} and more fails",
        verdict=verdict,
        sentence=f"Stability index {found.index:.3f}, critical value {found.critical:.3f} for "
        f"{found.first:,} and {found.second:,} rows: {words[verdict]}.",
    )


def rank_stability(score: Array, account: Codes, period: Codes) -> float:
    """Spearman correlation of accounts' scores between a period and the next, over all neighbouring pairs.

    Parameters
    ----------
    score : ndarray of shape (n,)
        Scores, missing allowed.
    account, period : ndarray of int, shape (n,)
        Account codes and period numbers; one row per account and period.
    """
    from scipy.stats import spearmanr

    order = np.lexsort((period, account))
    s, a, p = score[order], account[order], period[order]
    pairs = (a[1:] == a[:-1]) & (p[1:] == p[:-1] + 1) & ~np.isnan(s[1:]) & ~np.isnan(s[:-1])
    if pairs.sum() < 3:
        raise NotEnoughData("Rank stability needs at least 3 accounts that appear in neighbouring periods.")
    return float(spearmanr(s[:-1][pairs], s[1:][pairs]).statistic)
