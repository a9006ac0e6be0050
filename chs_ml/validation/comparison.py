"""``compare``: two or more scores on the same rows, by paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtr

from chs_ml.errors import TableError, first_few
from chs_ml.outcome import churn_codes
from chs_ml.tiers import Tiers
from chs_ml.validation.bootstrap import Judged, Replicates, Resampling, check_resampling, replicates
from chs_ml.validation.certification import Promise
from chs_ml.validation.columns import Counts, JudgedColumns, judged_columns, matched, numbers
from chs_ml.validation.columns import probabilities as read_probabilities
from chs_ml.validation.comparison_segments import segment_duels
from chs_ml.validation.comparison_text import comparison_markdown, comparison_text
from chs_ml.validation.comparison_values import (
    COMPARED,
    MARGINS,
    Contestant,
    Difference,
    Ruling,
    SegmentDuel,
    ruling,
)
from chs_ml.validation.delong import DelongDifference, delong_difference, rarer_accounts
from chs_ml.validation.discrimination import DEFINITIONS, statistics_of
from chs_ml.validation.intervals import countable_rows, normal_interval
from chs_ml.validation.plain import from_plain, to_json, to_plain
from chs_ml.validation.policy import Policy
from chs_ml.validation.promise_check import promise_test
from chs_ml.validation.result import NAN, Array, Interval
from chs_ml.validation.rivals import single_best_metric
from chs_ml.validation.rules import Rules
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
    segments : tuple of SegmentDuel
        AUCs inside each segment; empty where no segments were given.
    counts : Counts
        What became of the rows; `withheld` counts rows where any score is missing.
    level : float
        Level of the intervals.
    n_bootstrap, random_state : int
        Replicates and seed; all scores see the same replicates.
    """

    contestants: tuple[Contestant, ...]
    differences: tuple[Difference, ...]
    segments: tuple[SegmentDuel, ...] = ()
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

    def to_markdown(self) -> str:
        """Markdown, tables included."""
        return comparison_markdown(self)

    def __str__(self) -> str:
        return self.to_text()


def compare(  # noqa: PLR0913 - one argument per column that may be judged
    outcomes: Any,
    scores: Mapping[str, Any],
    *,
    probabilities: Mapping[str, Any] | None = None,
    account: Any = None,
    value: Any = None,
    segment: Any = None,
    metrics: pd.DataFrame | None = None,
    base_rate: bool = False,
    tiers: Tiers | None = None,
    promises: Sequence[Promise] = (),
    policy: Policy | None = None,
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
    account, value, segment : Series or array of shape (n,), optional
        As in `validate`; AUCs are compared inside each segment that has enough data.
    metrics : DataFrame of shape (n, k), optional
        Its single best numeric metric joins the comparison, chosen on the judged rows and so flattered.
    base_rate : bool, default=False
        Whether the base rate, which says the same of every account, joins too.
    tiers, promises, policy
        As in `validate`; promises are checked on the tiers of every score that has some.
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
    given, chances = _entrants(outcomes, scores, probabilities or {}, metrics, base_rate=base_rate)
    beside = {"account": account, "value": value, "segment": segment}
    table, columns = _common_rows(outcomes, given, chances, beside)
    rules = Rules(
        policy=policy or Policy(), promises=tuple(promises), margins=MARGINS | dict(margins or {}),
        resampling=Resampling(replicates=n_bootstrap, random_state=random_state, level=level),
    )  # fmt: skip
    field = _Field.of(list(given), columns, table, rules)
    reference, *others = given
    return Comparison(
        contestants=tuple(_contestant(field, name, tiers) for name in given),
        differences=tuple(gap for other in others for gap in _differences(field, reference, other)),
        segments=segment_duels(columns, {name: table[f"score {name}"] for name in given}, rules),
        counts=columns.counts,
        level=level,
        n_bootstrap=n_bootstrap,
        random_state=random_state,
    )


def _entrants(
    outcomes: Any,
    scores: Mapping[str, Any],
    probabilities: Mapping[str, Any],
    metrics: pd.DataFrame | None,
    *,
    base_rate: bool,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The scores and probabilities that were given, and the rivals that join them."""
    given, chances = dict(scores), dict(probabilities)
    if metrics is not None:
        best = single_best_metric(outcomes, metrics)
        given[f"best metric: {best.name}"] = (
            best.score if isinstance(outcomes, pd.Series) else best.score.array
        )
    if base_rate:
        known = churn_codes(outcomes)
        given["base rate"] = np.zeros(len(known))
        chances["base rate"] = np.full(len(known), np.nanmean(known))
    _check_names(given, chances)
    return given, chances


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
    outcomes: Any, scores: Mapping[str, Any], chances: Mapping[str, Any], beside: Mapping[str, Any]
) -> tuple[dict[str, Array], JudgedColumns]:
    given = {"outcomes": outcomes, **{f"score {n}": s for n, s in scores.items()}}
    given |= {f"probability {n}": p for n, p in chances.items()}
    given |= {name: column for name, column in beside.items() if column is not None}
    series = matched(given)
    read = {n: numbers(s, n) for n, s in series.items() if n.startswith("score ")}
    read |= {n: read_probabilities(s, n) for n, s in series.items() if n.startswith("probability ")}
    missing = np.any([np.isnan(column) for column in read.values()], axis=0)
    columns = judged_columns(
        series["outcomes"],
        score=pd.Series(np.where(missing, np.nan, 0.0)),
        account=series.get("account"),
        value=series.get("value"),
        segment=series.get("segment"),
    )
    return {name: column[columns.positions] for name, column in read.items()}, columns


@dataclass(frozen=True)
class _Field:
    """The judged rows, every score prepared on them, and its replicates."""

    columns: JudgedColumns
    table: Mapping[str, Array]
    judged: Mapping[str, Judged]
    drawn: Mapping[str, Replicates]
    rules: Rules

    @classmethod
    def of(
        cls, names: Sequence[str], columns: JudgedColumns, table: Mapping[str, Array], rules: Rules
    ) -> "_Field":
        """Prepare and resample the scores; all see the same replicates."""
        judged = {
            name: Judged.of(
                columns.churned,
                score=table[f"score {name}"],
                account=columns.account,
                probability=table.get(f"probability {name}"),
                value=columns.value,
            )
            for name in names
        }
        drawn = {
            name: replicates(
                one,
                n_bootstrap=rules.resampling.replicates,
                random_state=rules.resampling.random_state,
            )
            for name, one in judged.items()
        }
        return cls(columns, table, judged, drawn, rules)

    def speaks(self) -> bool:
        """Whether the rows hold enough effective churns and renewals for a ruling."""
        counts = self.columns.counts
        counting = countable_rows(self.columns.account) / counts.judged
        least = min(counts.churned, counts.judged - counts.churned) * counting
        return self.rules.policy.speaks(least, accounts=counts.accounts, rows=counts.judged)


def _contestant(field: _Field, name: str, tiers: Tiers | None) -> Contestant:
    own, rules = replace(field.columns, score=field.table[f"score {name}"]), field.rules
    level, cut = rules.resampling.level, tier_codes(own, tiers)
    return Contestant(
        name=name,
        statistics=statistics_of(
            field.judged[name], own.churned, own.account, field.drawn[name], level=level
        ),
        tiers=() if cut is None else tier_rows(own, cut, level=level),
        promises=()
        if cut is None
        else tuple(promise_test(own, cut, promise, rules.policy) for promise in rules.promises),
    )


def _differences(field: _Field, first: str, second: str) -> list[Difference]:
    """Paired differences of every statistic that both have."""
    values = [field.judged[name].estimate() for name in (first, second)]
    rivals = (field.table[f"score {first}"], field.table[f"score {second}"])
    columns, level = field.columns, field.rules.resampling.level
    delong = delong_difference(*rivals, columns.churned, columns.account, level=level)
    both = [name for name in COMPARED if all(name in known for known in values)]
    return [
        _difference(field, name, (first, second), values[1][name] - values[0][name], delong) for name in both
    ]


def _difference(
    field: _Field, name: str, pair: tuple[str, str], gap: float, delong: DelongDifference
) -> Difference:
    first, second = pair
    gaps = field.drawn[second][name] - field.drawn[first][name]
    of_auc, level = name == "auc", field.rules.resampling.level
    degrees = rarer_accounts(field.columns.churned, field.columns.account) - 1
    interval = normal_interval(gap, gaps, level=level, degrees=degrees)
    narrow = normal_interval(gap, gaps, level=2.0 * level - 1.0, degrees=degrees)
    better, margin = DEFINITIONS[name].higher_is_better, field.rules.margins[name]
    enough = field.speaks()
    verdict = ruling(interval, higher_is_better=better) if enough else Ruling.NOT_ENOUGH_DATA
    equivalent = enough and bool(narrow.low > -margin and narrow.high < margin)
    return Difference(
        statistic=name,
        first=first,
        second=second,
        difference=gap,
        interval=interval,
        p_value=_p_value(gap, gaps, degrees),
        delong_interval=delong.interval if of_auc else Interval(),
        delong_p_value=delong.p_value if of_auc else NAN,
        higher_is_better=better,
        margin=margin,
        equivalent=equivalent,
        verdict=verdict,
        sentence=_sentence(name, pair, gap, interval, verdict, equivalent=equivalent),
    )


def _p_value(gap: float, gaps: Array, degrees: float) -> float:
    spread = float(np.nanstd(gaps, ddof=1))
    if spread > 0:
        return 2.0 * float(stdtr(degrees, -abs(gap) / spread))
    return 1.0 if gap == 0.0 else NAN


def _sentence(
    name: str, pair: tuple[str, str], gap: float, interval: Interval, verdict: Ruling, *, equivalent: bool
) -> str:
    label, (first, second) = DEFINITIONS[name].label, pair
    reach = f"{gap:+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"
    words = {
        Ruling.BETTER: f"{second} is better than {first} by {label}: {reach}.",
        Ruling.WORSE: f"{second} is worse than {first} by {label}: {reach}.",
        Ruling.NO_DIFFERENCE: f"{second} and {first}: no difference shown by {label}: {reach}.",
        Ruling.NOT_ENOUGH_DATA: f"{second} and {first}: too few churns or renewals for {label}.",
    }
    return words[verdict] + (" Equivalent within the margin." if equivalent else "")
