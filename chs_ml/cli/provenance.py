"""Which rows a model was fitted on: by date where its data had dates, by account where it had accounts."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.account_sketch import AccountSketch
from chs_ml.cli.running import remark
from chs_ml.errors import NotEnoughData

if TYPE_CHECKING:
    from chs_ml.cli.judged import Judged

Mask = NDArray[np.bool_]


def fitted_accounts(judged: "Judged") -> Mask | None:
    """Rows of shape (n,) whose account the model was fitted on; None where nothing tells."""
    kept = None if judged.model is None else judged.model.facts.get("fitted_accounts")
    if kept is None or judged.account is None:
        return None
    return AccountSketch.from_dict(kept).holds(pd.Series(judged.account))


def out_of_time(judged: "Judged") -> tuple[bool | None, tuple[str, ...]]:
    """Whether all rows come after the training data (None: not so, or nobody knows), and what to know."""
    period, n = _training_period(judged), len(judged.score)
    if period is not None and judged.snapshot_date is not None:
        early = int((judged.snapshot_date <= pd.Timestamp(period[1])).sum())
        if not early:
            return True, ()
        return None, (
            f"{early:,} of {n:,} rows are not later than the training data ({period[1]}); the model may have "
            "seen them.",
        )
    known = fitted_accounts(judged)
    if known is None:
        return None, ("Make sure that the model was not trained on these rows; nothing here can tell.",)
    if known.any():
        return None, (
            f"{int(known.sum()):,} of {n:,} rows are of accounts that the model was fitted on; they flatter "
            "it. Accounts never seen in training are judged apart.",
        )
    return None, ()


def unseen(judged: "Judged") -> "Judged":
    """The rows that a model was surely not fitted on; a remark says how many are left out.

    With dates: snapshots from the day on which the outcome windows of all training rows were over.
    Without: rows of accounts that were not fitted on.

    Raises
    ------
    NotEnoughData
        Where no row is left.
    """
    period = _training_period(judged)
    if period is not None and judged.snapshot_date is not None:
        return _later(judged, period)
    known = fitted_accounts(judged)
    if known is None:
        remark("Note: use rows on which nothing was fitted or chosen; nothing here can tell.")
        return judged
    if known.all():
        raise NotEnoughData(
            f"The model was fitted on every account of these {len(known):,} rows. Give others, or train with "
            "[split] refit = false, which keeps the test's accounts out of the fit."
        )
    if known.any():
        remark(
            f"Note: {int(known.sum()):,} of {len(known):,} rows are left out: the model was fitted on their "
            "accounts (of other accounts about 1 in 120 is taken for one of them)."
        )
    return judged.rows(~known)


def _later(judged: "Judged", period: Any) -> "Judged":
    data = judged.settings.data
    reach = pd.Timedelta(days=data.reach_days)
    later = (pd.Series(judged.snapshot_date) > pd.Timestamp(period[1]) + reach).to_numpy(dtype=bool)
    if not later.any():
        raise NotEnoughData(
            f"No row comes after the outcome windows of the training data, which ends on {period[1]}. "
            "Give later rows, or train with an earlier [split] test_from."
        )
    if not later.all():
        remark(f"Note: {int((~later).sum()):,} rows that training may have known are left out.")
    return judged.rows(later)


def _training_period(judged: "Judged") -> Any:
    return None if judged.model is None else judged.model.facts.get("snapshots")
