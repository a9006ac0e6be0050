"""Points that events bring and lose again with age, as a column for a card of plus and minus points."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.errors import ScorecardError, TableError, first_few, nearest
from chs_ml.outcome import plain_text
from chs_ml.values import calendar_days

Array = NDArray[np.float64]


def event_points(
    events: pd.DataFrame,
    accounts: pd.Series,
    *,
    as_of: object,
    points: float,
    lost: float = 0.0,
    every_days: float = 30.0,
    account: str = "account",
    date: str = "date",
) -> pd.Series:
    """Add up what events are worth on a day: each loses its points in a straight line, by its own age.

    An event is worth ``points * max(0, 1 - lost * age / every_days)``: the linear decay per event of
    HubSpot's scores (25 % a month are ``lost=0.25, every_days=30``). HubSpot does not say whether points
    fall by the day or at the end of a period; here they fall by the day. Groups hold the sum at their most,
    in the card.

    Parameters
    ----------
    events : DataFrame of shape (m, any)
        One row per event.
    accounts : Series of shape (n,)
        Account of each row to score.
    as_of : date, or Series of shape (n,)
        The day; events after it do not count.
    points : float
        What an event brings on its day; negative ones take.
    lost : float
        Share of the points, 0 to 1, that is lost per period; 0: none.
    every_days : float
        Length of a period, in days.
    account, date : str
        Columns of the events.

    Returns
    -------
    Series of shape (n,), under the index of `accounts`
        0 where there is no event.

    Raises
    ------
    TableError
        Where a column is missing, or the date of an event cannot be read.
    ScorecardError
        Where the decay cannot be.
    """
    if not (0.0 <= lost <= 1.0 and every_days > 0 and np.isfinite(points)):
        raise ScorecardError(
            "Event points need finite points, a share lost from 0 to 1 and a period above 0 days; got "
            f"points {points}, lost {lost}, every_days {every_days}."
        )
    days, names = _event_days(events, account, date), events[account].map(plain_text)
    table = pd.DataFrame({"account": names.to_numpy(), "day": days.astype("datetime64[s]")})
    snapshot = as_of if isinstance(as_of, pd.Series) else pd.Series(pd.Timestamp(as_of), index=accounts.index)  # type: ignore[arg-type]
    asked = pd.DataFrame(
        {
            "account": accounts.map(plain_text).to_numpy(),
            "cut": calendar_days(snapshot).astype("datetime64[s]"),
            "row": np.arange(len(accounts)),
        }
    )
    met = asked.merge(table, on="account", how="inner")
    age = (met["cut"] - met["day"]).dt.days.to_numpy(dtype=np.float64)
    left = np.clip(1.0 - lost * age / every_days, 0.0, 1.0)
    worth = np.where(age >= 0, points * left, 0.0)
    total = np.bincount(met["row"].to_numpy(), worth, minlength=len(accounts))
    return pd.Series(total, index=accounts.index, name="points")


def _event_days(events: pd.DataFrame, account: str, date: str) -> NDArray[np.datetime64]:
    for column in (account, date):
        if column not in events.columns:
            hint = nearest(column, [str(c) for c in events.columns])
            raise TableError(f"The table of events must have the column {column!r}.{hint}")
    days = calendar_days(events[date])
    bad = events.loc[np.isnat(days), account].tolist()
    if bad:
        raise TableError(
            f"Every event must have a date (YYYY-MM-DD); {len(bad)} have none: accounts {first_few(bad)}."
        )
    return days
