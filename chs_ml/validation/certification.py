"""Tiers with a guarantee: "churn in Healthy is at most 3 %, with 95 % confidence"."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import ndtri
from scipy.stats import binom

from chs_ml.errors import NotEnoughData, RecipeError
from chs_ml.tiers import Tiers
from chs_ml.validation.columns import JudgedColumns, judged_columns
from chs_ml.validation.intervals import clopper_pearson_upper
from chs_ml.validation.result import NAN, Array, Codes

STEP = 0.01
PLANNING_SHARE = 0.2
POWER = 0.8
_MOST_ACCOUNTS = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What a tier promises.

    Attributes
    ----------
    tier : str
        Name of the tier.
    at_most : float
        Largest churn rate, in (0, 1).
    confidence : float
        With which the promise was certified.
    """

    tier: str
    at_most: float
    confidence: float = 0.95


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The outcome of a certification.

    Attributes
    ----------
    promise : Promise
        What was asked.
    certified : bool
        Whether a cut-off could be certified.
    lower_bound : float
        Health score from which the tier may start (inclusive); NaN where nothing could be certified.
    n, churned : int
        Accounts at or above the cut-off, and churns among them; of the first set tested where it failed.
    upper_bound : float
        Exact upper bound of their churn rate at the confidence.
    share : float
        Their share of the accounts that certified; 0 where nothing could be certified.
    accounts : int
        Accounts that certified, one row each.
    steps : int
        Sets tested.
    needed : int
        About how many accounts would certify some set with 80 % power, if sets churn as predicted (without
        probabilities: as they did here); 0 where one is certified, -1 where no number would do.
    sentence : str
        The answer in one sentence.
    drawn : str
        Which rows it stands on: one per account, drawn at random with a seed where accounts repeat.
    """

    promise: Promise
    certified: bool
    lower_bound: float
    n: int
    churned: int
    upper_bound: float
    share: float
    accounts: int
    steps: int
    needed: int
    sentence: str
    drawn: str = ""

    def tiers(self, others: Tiers | None = None) -> Tiers:
        """Tiers whose healthiest bound is the certified one; bounds of `others` above it are dropped.

        Raises
        ------
        RecipeError
            Where nothing could be certified, or no bound above 0 is left.
        """
        if not self.certified:
            raise RecipeError(f"There is no certified bound to cut at. {self.sentence}")
        base = others or Tiers()
        below = [
            (name, bound)
            for name, bound in zip(base.names[1:], base.lower_bounds[1:], strict=True)
            if bound < self.lower_bound
        ]
        return Tiers((base.names[0], *(n for n, _ in below)), (self.lower_bound, *(b for _, b in below)))


def certify(
    outcomes: Any,
    *,
    score: Any,
    at_most: float,
    probability: Any = None,
    account: Any = None,
    confidence: float = 0.95,
    tier: str = "Healthy",
    random_state: int = 0,
) -> Certificate:
    """Find the largest healthiest tier whose churn rate is certified to stay below a promise.

    Fixed-sequence testing (learn then test: Angelopoulos et al. 2021): sets of the healthiest accounts, each
    containing the one before, are tested one after the other by the exact binomial test of "churn rate
    above the promise", each at the full error rate; the last set before the first that is not rejected is
    certified. Because the order of the sets is chosen without their outcomes, the chance that a certified
    tier breaks its promise is at most 1 - confidence, however many sets are tried.

    The sequence starts where the test has the most power: at the size that maximises (promise - mean
    probability) · √size, from probabilities alone. Without probabilities a fifth of the accounts, drawn
    at random, chooses the start by its outcomes and does not certify. It grows by 1 % of the accounts.

    Use rows on which nothing was fitted or chosen. Accounts that repeat are represented by one row each,
    drawn at random: the binomial test needs independent rows.

    Parameters
    ----------
    outcomes, score, probability, account : Series or array of shape (n,)
        As in `validate`.
    at_most : float
        The promised largest churn rate, in (0, 1).
    confidence : float, default=0.95
        Of the promise.
    tier : str, default="Healthy"
        Name of the tier that promises.
    random_state : int, default=0
        Seed of the draws named above.

    Returns
    -------
    Certificate
        With the cut-off, or with the number of accounts that would be needed.
    """
    for name, value in (("at_most", at_most), ("confidence", confidence)):
        if not 0.0 < value < 1.0:
            raise RecipeError(f"{name} must lie between 0 and 1, got {value!r}.")
    promise = Promise(tier=tier, at_most=at_most, confidence=confidence)
    columns = judged_columns(outcomes, score=score, probability=probability, account=account, two_sided=False)
    rng = np.random.default_rng(random_state)
    rows = one_row_per_account(columns.account, rng)
    start_share, rows = _start(columns, rows, at_most, rng)
    if len(rows) == 0:
        raise NotEnoughData("No account is left to certify with. Judge more accounts, or pass probabilities.")
    risk = None if columns.probability is None else columns.probability[rows]
    found = _certificate(columns.score[rows], columns.churned[rows], start_share, promise, risk)
    return replace(found, drawn=_drawn(columns, len(rows), random_state))


def _drawn(columns: JudgedColumns, certifying: int, random_state: int) -> str:
    counts, seed = columns.counts, f"drawn at random (seed {random_state})"
    said = f"{counts.accounts:,} accounts with one row each"
    if counts.clustered:
        said = f"One row of each of {counts.accounts:,} accounts, {seed} from {counts.judged:,} rows"
    if certifying == counts.accounts:
        return f"{said}."
    return (
        f"{said}; {counts.accounts - certifying:,} of them, {seed}, chose where testing starts and do not "
        "certify."
    )


def one_row_per_account(account: Codes, rng: np.random.Generator) -> Codes:
    """Draw one row of each account; returns positions in increasing order."""
    shuffled = rng.permutation(len(account))
    _, first = np.unique(account[shuffled], return_index=True)
    return np.asarray(np.sort(shuffled[first]), dtype=np.intp)


def _start(
    columns: JudgedColumns, rows: Codes, at_most: float, rng: np.random.Generator
) -> tuple[float, Codes]:
    """Share of accounts at which testing starts, and the rows that are left to certify."""
    if columns.probability is not None:
        return strongest_share(columns.score[rows], columns.probability[rows], at_most), rows
    planning = rng.random(len(rows)) < PLANNING_SHARE
    plan = rows[planning]
    return strongest_share(columns.score[plan], columns.churned[plan], at_most), rows[~planning]


def strongest_share(score: Array, risk: Array, at_most: float) -> float:
    """Share of the healthiest accounts for which (promise - mean risk) · √size is largest."""
    if len(score) == 0:
        return STEP
    running = np.cumsum(risk[np.argsort(-score, kind="stable")])
    sizes = np.arange(1, len(score) + 1)
    strength = (at_most - running / sizes) * np.sqrt(sizes)
    return float(sizes[int(np.argmax(strength))] / len(score))


def _certificate(
    score: Array, churned: Array, start_share: float, promise: Promise, risk: Array | None
) -> Certificate:
    order = np.argsort(-score, kind="stable")
    ordered, events = score[order], np.cumsum(churned[order]).astype(int)
    sizes = nested_sizes(ordered, start_share)
    ends = np.array(sizes)
    held = binom.cdf(events[ends - 1], ends, promise.at_most) <= 1.0 - promise.confidence
    passed = len(sizes) if held.all() else int(np.argmin(held))
    size = sizes[max(passed - 1, 0)]
    found = int(events[size - 1])
    certified = passed > 0
    upper = clopper_pearson_upper(found, size, confidence=promise.confidence)
    needed = 0
    if not certified:
        share, rate = easiest_set(events, None if risk is None else np.cumsum(risk[order]), promise)
        needed = needed_accounts(rate, share, promise)
    return Certificate(
        promise=promise,
        certified=certified,
        lower_bound=float(ordered[size - 1]) if certified else NAN,
        n=size,
        churned=found,
        upper_bound=upper,
        share=size / len(score) if certified else 0.0,
        accounts=len(score),
        steps=min(passed + 1, len(sizes)),
        needed=needed,
        sentence=_sentence(promise, size, found, upper, certified=certified, total=len(score), needed=needed),
    )


def nested_sizes(ordered: Array, start_share: float) -> list[int]:
    """Sizes of the sets to test: from the start upwards in steps of 1 %, ties never split.

    Parameters
    ----------
    ordered : ndarray of shape (n,)
        Scores, healthiest first.
    start_share : float
        Where to start, as a share.
    """
    n = len(ordered)
    start = min(max(1, round(start_share * n)), n)
    targets = np.arange(start, n + 1, max(1, round(STEP * n)))
    ends = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True]) + 1
    return [int(size) for size in np.unique(ends[np.searchsorted(ends, targets)])]


def easiest_set(events: Codes, risk: Array | None, promise: Promise) -> tuple[float, float]:
    """Share and churn rate of the set of healthiest accounts that fewest accounts would certify.

    Parameters
    ----------
    events : ndarray of int, shape (n,)
        Cumulated churns, healthiest first.
    risk : ndarray of shape (n,) or None
        Cumulated probabilities in the same order.
    promise : Promise
        The promise.
    """
    n = len(events)
    sizes = np.unique(np.linspace(max(1, n // 20), n, 50).astype(int))
    # half a churn more: no set is known to be free of churn
    rates = (events[sizes - 1] + 0.5) / (sizes + 1.0) if risk is None else risk[sizes - 1] / sizes
    gap = np.maximum(promise.at_most - rates, 1e-12)
    null, alternative = (np.sqrt(r * (1.0 - r)) for r in (promise.at_most, rates))
    accounts = ((ndtri(promise.confidence) * null + ndtri(POWER) * alternative) / gap) ** 2 / (sizes / n)
    best = int(np.argmin(accounts))
    return float(sizes[best] / n), float(rates[best])


def needed_accounts(rate: float, share: float, promise: Promise) -> int:
    """About how many accounts certify a tier of that churn rate and share with 80 % power.

    -1 where the tier churns at least as often as promised, so that no number would do.
    """
    if rate >= promise.at_most:
        return -1
    size = 10
    while size < _MOST_ACCOUNTS:
        allowed = int(binom.ppf(1.0 - promise.confidence, size, promise.at_most)) - 1
        if allowed >= 0 and float(binom.cdf(allowed, size, rate)) >= POWER:
            return round(size / share)
        size = int(size * 1.05) + 1
    return -1


def _sentence(
    promise: Promise, size: int, churned: int, upper: float, *, certified: bool, total: int, needed: int
) -> str:
    wish = f"churn in {promise.tier} at most {promise.at_most:.1%} with {promise.confidence:.0%} confidence"
    reach = f"{churned:,} of {size:,} churned, at most {upper:.1%}"
    if certified:
        return f"Certified: {wish} ({reach}; {size / total:.0%} of accounts)."
    if needed < 0:
        return f"Cannot be certified by any number of accounts: {wish}; even the healthiest churn more often."
    more = f"you would need about {needed:,} accounts"
    return f"Cannot be certified with {total:,} accounts, {more}: {wish} ({reach})."
