"""``compare``: two or more scores on the same rows, by paired differences."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import norm

from chs_ml.errors import TableError, first_few
from chs_ml.outcome import churn_codes
from chs_ml.tiers import Tiers
from chs_ml.validation.bootstrap import Judged, Replicates, check_resampling, replicates
from chs_ml.validation.columns import Counts, JudgedColumns, judged_columns, matched, numbers
from chs_ml.validation.columns import probabilities as read_probabilities
from chs_ml.validation.comparison_text import comparison_text
from chs_ml.validation.comparison_values import COMPARED, MARGINS, Contestant, Difference, Ruling
from chs_ml.validation.delong import delong_difference
from chs_ml.validation.discrimination import DEFINITIONS, statistics_of
from chs_ml.validation.intervals import countable_rows, normal_interval
from chs_ml.validation.plain import from_plain, to_json, to_plain
from chs_ml.validation.policy import Policy
from chs_ml.validation.result import NAN, Array, Interval
from chs_ml.validation.rivals import single_best_metric
from chs_ml.validation.tier_table import tier_codes, tier_rows

__all__ = ["Comparison", "Contestant", "Difference", "Ruling", "compare"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Scores judged on the same rows.

    Attributes
    ----------
    contestants : tuple of Contestant
        In the order given; the first is the reference.
    differences : tuple of Difference
        Of every later score against the reference.
    counts : Counts
        What became of the rows; `withheld` counts rows where any score is missing.
    level : float
        Level of the intervals.
    n_bootstrap, random_state : int
        Replicates and seed; all scores see the same replicates.
    """

    contestants: tuple[Contestant, ...]
    differences: tuple[Difference, ...]
    counts: Counts
    level: float
    n_bootstrap: int
    random_state: int

    def frame(self) -> pd.DataFrame:
        """One row per score and statistic, differences to the reference beside them."""
        gaps = {(d.second, d.statistic): d for d in self.differences}
        rows = []
        for contestant in self.contestants:
            for s in contestant.statistics:
                gap = gaps.get((contestant.name, s.name))
                rows.append({
                    "score": contestant.name, "statistic": s.name, "value": s.value,
                    "low": s.interval.low, "high": s.interval.high,
                    "difference": NAN if gap is None else gap.difference,
                    "difference_low": NAN if gap is None else gap.interval.low,
                    "difference_high": NAN if gap is None else gap.interval.high,
                    "verdict": "" if gap is None else gap.verdict.value,
                })  # fmt: skip
        return pd.DataFrame(rows)

    def difference(self, second: str, statistic: str = "auc") -> Difference:
        """The difference of a score to the reference; KeyError names the known ones."""
        known = {(d.second, d.statistic): d for d in self.differences}
        if (second, statistic) not in known:
            raise KeyError(f"There is no {(second, statistic)!r}; there are {first_few(known, limit=20)}.")
        return known[second, statistic]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, text and numbers; NaN as None."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    def to_json(self) -> str:
        """JSON of `to_dict`."""
        return to_json(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Comparison":
        """Rebuild a comparison from `to_dict`; BundleError where it does not fit."""
        return from_plain(cls, dict(data))

    def to_text(self) -> str:
        """Plain text tables of at most 100 columns."""
        return comparison_text(self)

    def __str__(self) -> str:
        return self.to_text()


def compare(  # noqa: PLR0913 - one argument per column that may be judged
    outcomes: Any,
    scores: Mapping[str, Any],
    *,
    probabilities: Mapping[str, Any] | None = None,
    account: Any = None,
    value: Any = None,
    metrics: pd.DataFrame | None = None,
    base_rate: bool = False,
    tiers: Tiers | None = None,
    margins: Mapping[str, float] | None = None,
    n_bootstrap: int = 1000,
    random_state: int = 0,
    level: float = 0.95,
) -> Comparison:
    """Judge two or more scores on the same rows.

    Parameters
    ----------
    outcomes : Series or array of shape (n,)
        As in `validate`.
    scores : mapping of str to Series or array of shape (n,)
        Health scores, larger = healthier. The first is the reference. Rows where any is missing are
        counted and left out.
    probabilities : mapping of str to Series or array of shape (n,), optional
        Churn probabilities of some or all of the scores, by the same names. Log loss and Brier score are
        compared where both scores have them.
    account, value : Series or array of shape (n,), optional
        As in `validate`.
    metrics : DataFrame of shape (n, k), optional
        Its single best numeric metric joins the comparison, chosen on the judged rows and so flattered.
    base_rate : bool, default=False
        Whether the base rate, which says the same of every account, joins too.
    tiers : Tiers, optional
        As in `validate`.
    margins : mapping of str to float, optional
        Largest difference per statistic that would not matter, over the defaults of `MARGINS`.
    n_bootstrap, random_state, level
        As in `validate`; every score sees the same replicates.

    Returns
    -------
    Comparison
        Every score's statistics, and paired differences to the reference.

    Raises
    ------
    TableError
        Where fewer than two scores are given, a probability has no score, or columns do not match.
    NotEnoughData
        Where the judged rows lack churns or renewals.
    """
    check_resampling(n_bootstrap, level)
    chances = dict(probabilities or {})
    scores = dict(scores)
    if metrics is not None:
        best = single_best_metric(outcomes, metrics)
        scores[f"best metric: {best.name}"] = (
            best.score if isinstance(outcomes, pd.Series) else best.score.array
        )
    if base_rate:
        known = churn_codes(outcomes)
        scores["base rate"] = np.zeros(len(known))
        chances["base rate"] = np.full(len(known), np.nanmean(known))
    _check_names(scores, chances)
    table, columns = _common_rows(outcomes, scores, chances, account, value)
    judged = {
        name: Judged.of(
            columns.churned,
            score=table[f"score {name}"],
            account=columns.account,
            probability=table.get(f"probability {name}"),
            value=columns.value,
        )
        for name in scores
    }
    drawn = {
        name: replicates(one, n_bootstrap=n_bootstrap, random_state=random_state)
        for name, one in judged.items()
    }
    reference, *others = scores
    limits = MARGINS | dict(margins or {})
    return Comparison(
        contestants=tuple(
            _contestant(name, columns, table[f"score {name}"], judged[name], drawn[name], tiers, level=level)
            for name in scores
        ),
        differences=tuple(
            difference
            for other in others
            for difference in _differences(
                _Pair(reference, other, judged, drawn), columns, table, limits, level=level
            )
        ),
        counts=columns.counts,
        level=level,
        n_bootstrap=n_bootstrap,
        random_state=random_state,
    )


def _check_names(scores: Mapping[str, Any], chances: Mapping[str, Any]) -> None:
    if len(scores) < 2:
        raise TableError(f"compare needs at least two scores, got {len(scores)}; `validate` judges one.")
    strangers = [name for name in chances if name not in scores]
    if strangers:
        raise TableError(
            "Every probability must belong to a score of the same name; these do not: "
            f"{first_few(strangers)}. The scores are {first_few(scores)}."
        )


def _common_rows(
    outcomes: Any, scores: Mapping[str, Any], chances: Mapping[str, Any], account: Any, value: Any
) -> tuple[dict[str, Array], JudgedColumns]:
    given = {"outcomes": outcomes, **{f"score {n}": s for n, s in scores.items()}}
    given |= {f"probability {n}": p for n, p in chances.items()}
    given |= {n: c for n, c in (("account", account), ("value", value)) if c is not None}
    series = matched(given)
    read = {n: numbers(s, n) for n, s in series.items() if n.startswith("score ")}
    read |= {n: read_probabilities(s, n) for n, s in series.items() if n.startswith("probability ")}
    missing = np.any([np.isnan(column) for column in read.values()], axis=0)
    columns = judged_columns(
        series["outcomes"],
        score=pd.Series(np.where(missing, np.nan, 0.0)),
        account=series.get("account"),
        value=series.get("value"),
    )
    return {name: column[columns.positions] for name, column in read.items()}, columns


@dataclass(frozen=True)
class _Pair:
    first: str
    second: str
    judged: Mapping[str, Judged]
    drawn: Mapping[str, Replicates]


def _contestant(
    name: str,
    columns: JudgedColumns,
    score: Array,
    judged: Judged,
    drawn: Replicates,
    tiers: Tiers | None,
    *,
    level: float,
) -> Contestant:
    own = replace(columns, score=score)
    cut = tier_codes(own, tiers)
    return Contestant(
        name=name,
        statistics=statistics_of(judged, columns.churned, columns.account, drawn, level=level),
        tiers=() if cut is None else tier_rows(own, cut, level=level),
    )


def _differences(
    pair: _Pair,
    columns: JudgedColumns,
    table: Mapping[str, Array],
    margins: Mapping[str, float],
    *,
    level: float,
) -> list[Difference]:
    first, second = (pair.judged[n].estimate() for n in (pair.first, pair.second))
    counting = countable_rows(columns.account) / columns.counts.judged
    counts = columns.counts
    enough = min(counts.churned, counts.judged - counts.churned) * counting >= Policy().least_expected
    delong = delong_difference(
        table[f"score {pair.first}"],
        table[f"score {pair.second}"],
        columns.churned,
        columns.account,
        level=level,
    )
    found = []
    for name in COMPARED:
        if name not in first or name not in second:
            continue
        gap = second[name] - first[name]
        gaps = pair.drawn[pair.second][name] - pair.drawn[pair.first][name]
        of_auc = name == "auc"
        interval = normal_interval(gap, gaps, level=level)
        narrow = normal_interval(gap, gaps, level=2.0 * level - 1.0)
        better = DEFINITIONS[name].higher_is_better
        verdict = _ruling(interval, higher_is_better=better) if enough else Ruling.NOT_ENOUGH_DATA
        equivalent = enough and bool(narrow.low > -margins[name] and narrow.high < margins[name])
        found.append(
            Difference(
                statistic=name,
                first=pair.first,
                second=pair.second,
                difference=gap,
                interval=interval,
                p_value=_p_value(gap, gaps),
                delong_interval=delong.interval if of_auc else Interval(),
                delong_p_value=delong.p_value if of_auc else NAN,
                higher_is_better=better,
                margin=margins[name],
                equivalent=equivalent,
                verdict=verdict,
                sentence=_sentence(name, pair, gap, interval, verdict, equivalent=equivalent),
            )
        )
    return found


def _p_value(gap: float, gaps: Array) -> float:
    spread = float(np.nanstd(gaps, ddof=1))
    if spread > 0:
        return 2.0 * float(norm.sf(abs(gap) / spread))
    return 1.0 if gap == 0.0 else NAN


def _ruling(interval: Interval, *, higher_is_better: bool) -> Ruling:
    if not interval.known or interval.holds(0.0):
        return Ruling.NO_DIFFERENCE
    return Ruling.BETTER if (interval.low > 0.0) == higher_is_better else Ruling.WORSE


def _sentence(
    name: str, pair: _Pair, gap: float, interval: Interval, verdict: Ruling, *, equivalent: bool
) -> str:
    label = DEFINITIONS[name].label
    reach = f"{gap:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"
    words = {
        Ruling.BETTER: f"{pair.second} is better than {pair.first} by {label}: {reach}.",
        Ruling.WORSE: f"{pair.second} is worse than {pair.first} by {label}: {reach}.",
        Ruling.NO_DIFFERENCE: f"{pair.second} and {pair.first}: no difference shown by {label}: {reach}.",
        Ruling.NOT_ENOUGH_DATA: f"{pair.second} and {pair.first}: too few churns or renewals for {label}.",
    }
    return words[verdict] + (" Equivalent within the margin." if equivalent else "")
