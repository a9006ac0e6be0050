"""The accounts of the simulated company, and its calendar."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Texts = NDArray[np.str_]
Days = NDArray[np.datetime64]

SEGMENTS = np.array(["SMB", "Mid-market", "Enterprise"])
REGIONS = np.array(["Americas", "EMEA", "APAC"])
INDUSTRIES = np.array(["Software", "Manufacturing", "Retail", "Finance", "Healthcare", "Education"])
PLANS = np.array(["Starter", "Growth", "Business"])
TERMS = np.array(["monthly", "quarterly", "annual", "multi-year"])
TERM_MONTHS = np.array([1, 3, 12, 24])

SEGMENT_SHARES = (0.55, 0.32, 0.13)
MEDIAN_ARR = np.array([9_000.0, 38_000.0, 150_000.0])
PRICE_PER_SEAT = np.array([420.0, 520.0, 640.0])
TERM_SHARES = np.array([[0.12, 0.12, 0.72, 0.04], [0.03, 0.07, 0.80, 0.10], [0.0, 0.02, 0.73, 0.25]])
PLAN_SHARES = np.array([[0.60, 0.33, 0.07], [0.15, 0.55, 0.30], [0.02, 0.28, 0.70]])
ALREADY_CUSTOMERS = 0.7
LONGEST_TENURE = 96


@dataclass(frozen=True)
class Calendar:
    """Months of the simulation: a run-up, the months shown, and the horizon after the data cut.

    Month ``run_up`` is January 2024; a month's snapshot is taken at the end of its last day.
    """

    months: int
    run_up: int = 6
    horizon: int = 3

    @property
    def length(self) -> int:
        """Number of simulated months."""
        return self.run_up + self.months + self.horizon

    @property
    def shown(self) -> slice:
        """The months that have snapshots."""
        return slice(self.run_up, self.run_up + self.months)

    def first_days(self, month: Integers) -> Days:
        """First day of months of any shape, as datetime64[D]."""
        first: Days = (np.datetime64("2024-01", "M") + (month - self.run_up)).astype("datetime64[D]")
        return first

    def last_days(self, month: Integers) -> Days:
        """Last day of months of any shape, as datetime64[D]."""
        return self.first_days(month + 1) - np.timedelta64(1, "D")

    @property
    def data_cut(self) -> np.datetime64:
        """The last day of which anything is known: that of the last snapshot."""
        cut: np.datetime64 = self.last_days(np.array([self.run_up + self.months - 1]))[0]
        return cut


@dataclass(frozen=True, eq=False)
class Accounts:
    """What does not change about an account; every array has shape (n,).

    Attributes
    ----------
    segment, region, industry, plan, term : ndarray of int
        Positions in SEGMENTS, REGIONS, INDUSTRIES, PLANS and TERMS.
    start_month, start_day : ndarray of int
        First contract: calendar month (negative: before the simulation) and day of the month.
    arr : ndarray of float
        Yearly recurring revenue at the first simulated month, in currency.
    seats : ndarray of int
        Seats bought.
    owner : ndarray of str
        Code of the success manager.
    """

    segment: Integers
    region: Integers
    industry: Integers
    plan: Integers
    term: Integers
    start_month: Integers
    start_day: Integers
    arr: Array
    seats: Integers
    owner: Texts

    @property
    def n(self) -> int:
        """Number of accounts."""
        return len(self.segment)

    @property
    def term_months(self) -> Integers:
        """Length of the contract terms, months."""
        return TERM_MONTHS[self.term]


def draw_accounts(rng: np.random.Generator, n: int, calendar: Calendar) -> Accounts:
    """Draw n accounts; seven in ten are customers from the start, the others join month by month."""
    segment = rng.choice(len(SEGMENTS), size=n, p=SEGMENT_SHARES)
    arr = np.round(MEDIAN_ARR[segment] * np.exp(rng.normal(0.0, 0.55, n)), -1)
    seats = np.maximum(3, np.rint(arr / PRICE_PER_SEAT[segment])).astype(np.int64)
    managers = max(1, -(-n // 80))
    owner = np.array([f"csm-{number:02d}" for number in range(1, managers + 1)])
    return Accounts(
        segment=segment,
        region=rng.choice(len(REGIONS), size=n, p=(0.5, 0.35, 0.15)),
        industry=rng.choice(len(INDUSTRIES), size=n),
        plan=_choice_by_row(rng, PLAN_SHARES[segment]),
        term=_choice_by_row(rng, TERM_SHARES[segment]),
        start_month=_start_months(rng, n, calendar),
        # from the 2nd to the 28th, so that "within 90 days of a month's end" is "in the next three months"
        start_day=rng.integers(2, 29, n),
        arr=arr,
        seats=seats,
        owner=owner[rng.integers(managers, size=n)],
    )


def _start_months(rng: np.random.Generator, n: int, calendar: Calendar) -> Integers:
    tenure = np.minimum(rng.exponential(28.0, n).astype(np.int64), LONGEST_TENURE)
    joining = rng.integers(calendar.run_up, calendar.run_up + calendar.months, n)
    return np.where(rng.random(n) < ALREADY_CUSTOMERS, calendar.run_up - 1 - tenure, joining)


def _choice_by_row(rng: np.random.Generator, shares: Array) -> Integers:
    passed = rng.random((len(shares), 1)) > np.cumsum(shares, axis=1)[:, :-1]
    return np.asarray(passed.sum(axis=1), dtype=np.int64)
