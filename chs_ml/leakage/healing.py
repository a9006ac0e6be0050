"""Score histories that heal after churn: the customer has left, and the score turns green.

It happens where a churn closes the open risks and tickets that made the score red. Whoever judges such
a score by its last value, or trains on its history, finds that healthy accounts churn.
"""

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from chs_ml.errors import InputError, first_few
from chs_ml.findings import Finding, warning
from chs_ml.values import calendar_days, read_numbers

MIN_ACCOUNTS = 5
RISE_IN_SD = 0.5
P_VALUE = 0.001


def healing_scores(history: pd.DataFrame, churn_dates: pd.Series) -> tuple[Finding, ...]:
    """Name a score history whose churned accounts look healthier after they left than before.

    Parameters
    ----------
    history : DataFrame
        Columns account_id, date and score (larger = healthier), one row per reading.
    churn_dates : Series of dates
        Indexed by account id.

    Returns
    -------
    tuple of Finding
        Code ``score-heals``; at most one: among accounts with readings on both sides (at least five), the
        score after the churn lies above the last one before it more often than chance allows (sign test,
        p < .001), by a median of at least half a standard deviation of all scores.

    Raises
    ------
    InputError
        Where a column is missing.
    """
    sides = _sides(history, churn_dates)
    rise = sides["after"] - sides["before"]
    up, moved = int((rise > 0).sum()), int((rise != 0).sum())
    spread = float(np.nanstd(read_numbers(history["score"])[0]))
    if len(rise) < MIN_ACCOUNTS or moved == 0:
        return ()
    p_value = float(binomtest(up, moved, 0.5, alternative="greater").pvalue)
    median = float(rise.median())
    if p_value >= P_VALUE or median < RISE_IN_SD * spread:
        return ()
    first = rise.sort_values(ascending=False, kind="stable").index.tolist()
    text = (
        f"The score heals after churn: in {up:,} of {len(rise):,} accounts with scores on both sides it is "
        f"higher after the churn date than in the last reading before it, by {median:.3g} points in the "
        f"median ({median / spread:.1f} standard deviations): {first_few(first)}. Freeze the score at churn, "
        "and judge it only by readings before."
    )
    return (warning("score-heals", "score", text, count=up),)


def _sides(history: pd.DataFrame, churn_dates: pd.Series) -> pd.DataFrame:
    """Last score before, and median score from the churn on, of accounts that have both."""
    lacking = [name for name in ("account_id", "date", "score") if name not in history.columns]
    if lacking:
        raise InputError(
            f"A score history needs the columns account_id, date and score; it lacks {first_few(lacking)}."
        )
    dates = pd.Series(calendar_days(churn_dates), index=churn_dates.index.astype("str"))
    readings = pd.DataFrame(
        {
            "account": history["account_id"].astype("str").to_numpy(),
            "date": calendar_days(history["date"]),
            "score": read_numbers(history["score"])[0],
        }
    ).dropna()
    readings["churn"] = readings["account"].map(dates.groupby(level=0).min())
    readings = readings.dropna().sort_values("date", kind="stable")
    late = readings["date"] >= readings["churn"]
    before = readings[~late].groupby("account")["score"].last()
    after = readings[late].groupby("account")["score"].median()
    return pd.concat({"before": before, "after": after}, axis=1).dropna()
