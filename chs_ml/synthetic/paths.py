"""Monthly paths of the metrics: what an account is really like, and what the tools record of it.

Each account has a latent health (account effect + AR(1)); usage, support, sentiment, relationship and
billing each share part of it. What is *measured* (usage, surveys, times) carries noise and season; what
is *counted* (tickets, payments, sponsor, tenure) is a fact, the same on both sides.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from chs_ml.synthetic.accounts import Accounts, Calendar

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

HEALTH_OF_SEGMENT = np.array([-0.10, 0.05, 0.20])
TOUCHPOINTS_OF_SEGMENT = np.array([0.5, 1.2, 2.6])
# log-odds of an active day, January to December: holidays in August and December
SEASON = np.array([0.0, 0.05, 0.05, 0.0, 0.0, -0.05, -0.2, -0.5, 0.05, 0.1, 0.05, -0.6])


@dataclass(frozen=True, eq=False)
class Paths:
    """Monthly paths; every array has shape (accounts, simulated months).

    Attributes
    ----------
    true : mapping of str to ndarray
        Each weighted metric as it really is: free of noise and season, and never missing.
    recorded : mapping of str to ndarray
        The same as the tools recorded it; NaN where there is no value.
    silent : ndarray of bool
        No answer to the NPS survey.
    arr : ndarray
        Yearly recurring revenue, currency.
    """

    true: Mapping[str, Array]
    recorded: Mapping[str, Array]
    silent: Mask
    arr: Array


class Draws:
    """Random paths of one shape, standard normal at each month."""

    def __init__(self, rng: np.random.Generator, accounts: int, months: int) -> None:
        self.rng = rng
        self.shape = (accounts, months)

    def noise(self, sd: float = 1.0) -> Array:
        """Independent from month to month."""
        return self.rng.normal(0.0, sd, self.shape)

    def path(self, memory: float) -> Array:
        """Stationary AR(1) with a given month-to-month correlation in [0, 1)."""
        shocks = self.noise()
        shocks[:, 1:] *= np.sqrt(1.0 - memory**2)
        for month in range(1, self.shape[1]):
            shocks[:, month] += memory * shocks[:, month - 1]
        return shocks

    def steady(self, memory: float) -> Array:
        """Half account effect, half AR(1)."""
        effect = self.rng.normal(size=(self.shape[0], 1))
        return np.asarray((effect + self.path(memory)) / np.sqrt(2.0))

    def sharing(self, common: Array, share: float, memory: float = 0.85) -> Array:
        """A path that correlates with a common one."""
        return np.asarray(share * common + np.sqrt(1.0 - share**2) * self.steady(memory))

    def counts_of_quarter(self, rate: Array) -> Array:
        """Events in the last three months at a monthly rate."""
        events = self.rng.poisson(rate).astype(np.float64)
        return events + _lagged(events, 1) + _lagged(events, 2)


def draw_paths(rng: np.random.Generator, accounts: Accounts, calendar: Calendar) -> Paths:
    """Draw the monthly paths of every account."""
    draws = Draws(rng, accounts.n, calendar.length)
    health = HEALTH_OF_SEGMENT[accounts.segment][:, None] + draws.steady(0.85)
    relation = draws.sharing(health, 0.35, 0.97)
    silent = 0.5 * relation + 0.35 * health + 0.8 * draws.steady(0.95) < -0.1
    tenure = (np.arange(calendar.length) - accounts.start_month[:, None]).astype(np.float64)
    growth, arr = _contract_value(draws, accounts, tenure, health)
    usage = draws.sharing(health, 0.6)
    support = draws.sharing(health, 0.3)
    facts = {
        **_support_counts(draws, support, usage),
        **_billing(draws, draws.sharing(health, 0.25)),
        "sponsor": (relation > -0.25).astype(np.float64),
        "tenure_months": tenure,
        "touchpoints": _touchpoints(draws, accounts, health),
    }
    usage_true, usage_recorded = _usage(draws, usage, calendar)
    survey_true, survey_recorded = _surveys(draws, draws.sharing(health, 0.3), silent)
    resolve = np.exp(3.4 - 0.45 * support + draws.noise(0.25))
    no_tickets = (facts["tickets_open"] == 0) & (facts["tickets_escalated"] == 0)
    true = {**usage_true, **survey_true, **facts, "resolve_hours": resolve, "contract_growth": growth}
    recorded = {
        **usage_recorded,
        **survey_recorded,
        **facts,
        "resolve_hours": np.where(no_tickets, np.nan, np.round(resolve, 1)),
        "usage_change": np.where(tenure < 6, np.nan, usage_recorded["usage_change"]),
        "contract_growth": np.where(tenure < 12, np.nan, np.round(growth, 1)),
    }
    return Paths(true, recorded, silent, arr)


def _usage(draws: Draws, usage: Array, calendar: Calendar) -> tuple[dict[str, Array], dict[str, Array]]:
    active = 0.2 + 1.1 * (0.85 * usage + 0.5 * draws.path(0.8))
    adoption = -0.1 + 0.9 * (0.6 * usage + 0.8 * draws.steady(0.9))
    logins = 1.9 + 0.6 * (0.8 * usage + 0.6 * draws.path(0.7))
    seats = 0.9 + 0.9 * (0.6 * usage + 0.8 * draws.steady(0.9))
    season = SEASON[(np.arange(calendar.length) - calendar.run_up) % 12]
    share = expit(active)
    seen = expit(active + season + draws.noise(0.3))
    days = draws.rng.binomial(30, seen).astype(np.float64)
    true = {
        "usage_days": 30.0 * share,
        "feature_adoption": 100.0 * expit(adoption),
        "logins_per_seat": np.exp(logins),
        "usage_change": _change_of_quarter(share),
        "seats_used": 100.0 * expit(seats),
        "days_since_login": np.minimum(1.0 / share - 1.0, 90.0),
    }
    recorded = {
        "usage_days": days,
        "feature_adoption": np.round(100.0 * expit(adoption + draws.noise(0.3)), 1),
        "logins_per_seat": np.round(np.exp(logins + season + draws.noise(0.25)), 1),
        "usage_change": np.round(np.minimum(_change_of_quarter(days + 1.0), 200.0), 1),
        "seats_used": np.round(100.0 * expit(seats + draws.noise(0.15)), 1),
        "days_since_login": np.minimum(draws.rng.geometric(seen) - 1.0, 90.0),
    }
    return true, recorded


def _change_of_quarter(level: Array) -> Array:
    quarter = level + _lagged(level, 1) + _lagged(level, 2)
    return 100.0 * (quarter / _lagged(quarter, 3) - 1.0)


def _lagged(path: Array, months: int) -> Array:
    """A path some months earlier; before its start, its first month."""
    return np.concatenate([np.repeat(path[:, :1], months, axis=1), path[:, :-months]], axis=1)


def _surveys(draws: Draws, sentiment: Array, silent: Mask) -> tuple[dict[str, Array], dict[str, Array]]:
    nps = 10.0 * expit(1.0 + 0.8 * sentiment)
    csat = 1.0 + 4.0 * expit(0.9 + 0.8 * sentiment)
    answer = np.clip(np.rint(nps + 1.6 * draws.path(0.9)), 0, 10)
    rating = np.clip(np.round(csat + 0.5 * draws.path(0.7), 1), 1, 5)
    unrated = (0.6 * silent + draws.noise()) > 0.6
    recorded = {"nps": np.where(silent, np.nan, answer), "csat": np.where(unrated, np.nan, rating)}
    return {"nps": nps, "csat": csat}, recorded


def _support_counts(draws: Draws, support: Array, usage: Array) -> dict[str, Array]:
    """Who uses a product asks: open tickets speak of use as well as of trouble, escalations of trouble."""
    rate = np.exp(0.4 - 0.4 * support + 0.2 * usage)
    return {
        "tickets_open": draws.rng.poisson(rate).astype(np.float64),
        "tickets_escalated": draws.counts_of_quarter(np.exp(-2.4 - 0.8 * support)),
    }


def _billing(draws: Draws, billing: Array) -> dict[str, Array]:
    late = np.clip(22.0 * (-billing - 0.5) + draws.noise(6.0), 0.0, 90.0)
    return {
        "overdue_days": np.rint(late),
        "failed_payments": draws.counts_of_quarter(np.exp(-3.2 - 1.0 * billing)),
    }


def _touchpoints(draws: Draws, accounts: Accounts, health: Array) -> Array:
    """Success managers call large accounts, and those in trouble: attention follows risk."""
    rate = TOUCHPOINTS_OF_SEGMENT[accounts.segment][:, None] * np.exp(-0.25 * health)
    return draws.counts_of_quarter(rate)


def _contract_value(draws: Draws, accounts: Accounts, tenure: Array, health: Array) -> tuple[Array, Array]:
    """Growth of the contract value at each anniversary, % on the year before, and the value itself."""
    year = np.maximum(tenure, 0.0).astype(np.int64) // 12
    since = year - year[:, :1]
    steps = draws.rng.normal(size=(accounts.n, int(since.max()) + 1))
    by_year = np.clip(5.0 + 2.0 * health[:, :1] + 11.0 * steps, -35.0, 60.0)
    first_value = accounts.arr[:, None] / (1.0 + by_year[:, :1] / 100.0)
    value = first_value * np.cumprod(1.0 + by_year / 100.0, axis=1)
    arr = np.round(np.take_along_axis(value, since, axis=1), -1)
    return np.take_along_axis(by_year, since, axis=1), arr
