"""The gate: may a challenger replace the champion?

Both are judged on the same rows that neither has seen: the latest matured period, each model reading its
own columns. A challenger passes when the lower end of the paired gain's interval exceeds the margin, the
other statistic does not show it to be worse, it loses no row that the champion scores, and no headline test
of the validation fails that the champion passes. Tests of single tiers are told and do not decide: there are
so many of them that a better model would fail one by luck half of the time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from chs_ml.dataset import Dataset, build_dataset
from chs_ml.errors import InputError, NotEnoughData, TableError
from chs_ml.health_model import HealthModel
from chs_ml.recipe import GateSpec, Recipe, load_recipe
from chs_ml.validation import Comparison, Rules, Ruling, ValidationReport, Verdict, compare, validate
from chs_ml.validation.plain import to_plain
from chs_ml.validation.suite import HEADLINE

Mask = NDArray[np.bool_]

STATISTICS = ("log_loss", "auc")
MAY_LOSE = 0.01
"""Share of rows that a challenger may leave without a score although the champion gives one."""

_CHAMPION, _CHALLENGER = "champion", "challenger"


@dataclass(frozen=True, kw_only=True)
class Gain:
    """What a challenger gains on the champion by one statistic; positive = better.

    Attributes
    ----------
    statistic : str
        ``log_loss`` or ``auc``.
    champion, challenger : float
        The statistic of each.
    gain, low, high : float
        Paired gain and its two-sided 95 % interval, clustered by account.
    """

    statistic: str
    champion: float
    challenger: float
    gain: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class GateVerdict:
    """What the gate said, and why.

    Attributes
    ----------
    passed : bool
        Whether the challenger may be promoted.
    reasons : tuple of str
        Why not, one sentence each; empty where it passed.
    gains : tuple of Gain
        By log loss and by AUC.
    statistic : str
        The one that decided.
    margin : float
        What the lower end of its gain had to exceed.
    newly_failing : tuple of str
        Tests that the challenger fails and the champion does not; only those of the headline decide.
    rows, churned : int
        Rows judged, and churns among them.
    period : tuple of str, or None
        First and last snapshot date of the rows; None without dates.
    lost_rows : int
        Rows that the champion scores and the challenger does not.
    """

    passed: bool
    reasons: tuple[str, ...]
    gains: tuple[Gain, ...]
    statistic: str
    margin: float
    newly_failing: tuple[str, ...]
    rows: int
    churned: int
    period: tuple[str, str] | None
    lost_rows: int

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionaries, lists, text and numbers; NaN as None."""
        plain: dict[str, Any] = to_plain(self)
        return plain

    def to_text(self) -> str:
        """A few lines for people."""
        where = "" if self.period is None else f", snapshots {self.period[0]} to {self.period[1]}"
        lines = [f"Gate: {'passed' if self.passed else 'not passed'} on {self.rows:,} rows{where}"]
        lines += [
            f"  {gain.statistic:<9} champion {gain.champion:.4f}  challenger {gain.challenger:.4f}  "
            f"gain {gain.gain:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
            for gain in self.gains
        ]
        return "\n".join([*lines, *(f"  - {reason}" for reason in self.reasons)])


def judge_challenger(
    champion: HealthModel,
    challenger: HealthModel,
    table: pd.DataFrame,
    *,
    spec: GateSpec | None = None,
    unseen: bool = False,
) -> GateVerdict:
    """Judge a challenger against the champion.

    The validation of both follows the ``[validation]`` of the challenger's recipe.

    Parameters
    ----------
    champion, challenger : HealthModel
        Each reads its own columns.
    table : DataFrame of shape (n, any)
        Metrics of both and outcomes, as the challenger's recipe names them.
    spec : GateSpec, optional
        Statistic and margin; by default what the challenger's recipe says.
    unseen : bool
        Says that neither model was trained on any of the rows; needed where there are no snapshot dates, and
        where there are, all matured rows are then judged.

    Returns
    -------
    GateVerdict

    Raises
    ------
    InputError
        Where nothing tells which rows the models have not seen.
    NotEnoughData
        Where no matured row is later than the training of both, or the rows lack churns or renewals.
    """
    recipe = outcome_recipe(challenger)
    rule = recipe.gate if spec is None else spec
    dataset = build_dataset(recipe, table)
    judged = dataset.is_matured if unseen else _not_seen(dataset, (champion, challenger))
    rows = dataset.rows(judged)
    scores = {
        name: _scores(model, table.loc[judged].reset_index(drop=True))
        for name, model in ((_CHAMPION, champion), (_CHALLENGER, challenger))
    }
    gained = judge_gain(
        rows.churned, scores[_CHAMPION], scores[_CHALLENGER], account=rows.account.to_numpy(), spec=rule
    )
    rules = Rules.of(recipe.validation.model_dump())
    reports = {
        name: _report(model, rows, scores[name], rules)
        for name, model in ((_CHAMPION, champion), (_CHALLENGER, challenger))
    }
    return _verdict(gained, reports, scores, rows, rule)


@dataclass(frozen=True, kw_only=True)
class GainVerdict:
    """What the gate says of two columns of scores; a challenger must pass this and its validation.

    Attributes
    ----------
    gains : tuple of Gain
        By log loss and by AUC.
    reasons : tuple of str
        Why the challenger must not pass; empty where the gain lets it.
    judged, churned : int
        Rows that both score, and churns among them.
    """

    gains: tuple[Gain, ...]
    reasons: tuple[str, ...]
    judged: int
    churned: int


def judge_gain(
    outcomes: Any,
    champion: Mapping[str, Any],
    challenger: Mapping[str, Any],
    *,
    account: Any,
    spec: GateSpec,
) -> GainVerdict:
    """Judge a challenger's columns against the champion's, on the same rows.

    Parameters
    ----------
    outcomes : array of shape (n,)
        As in `validate`.
    champion, challenger : mapping of str to array of shape (n,)
        ``churn_probability`` and ``health_score``.
    account : array of shape (n,)
        Rows of one account count as one cluster.
    spec : GateSpec
        Statistic, margin and replicates.
    """
    scores = {_CHAMPION: champion, _CHALLENGER: challenger}
    found = compare(
        outcomes,
        {name: columns["health_score"] for name, columns in scores.items()},
        probabilities={name: columns["churn_probability"] for name, columns in scores.items()},
        account=account,
        n_bootstrap=spec.bootstrap,
    )
    gains = {name: _gain(found, name) for name in STATISTICS}
    return GainVerdict(
        gains=tuple(gains.values()),
        reasons=tuple(_gain_reasons(found, gains, spec)),
        judged=found.counts.judged,
        churned=found.counts.churned,
    )


def outcome_recipe(model: HealthModel) -> Recipe:
    """The recipe of a model, for reading outcomes: which columns are metrics is the model's business."""
    if "recipe" not in model.facts:
        raise InputError("The model must carry the recipe it was trained by; its facts hold none.")
    return load_recipe({**model.facts["recipe"], "metrics": {}})


def _not_seen(dataset: Dataset, models: tuple[HealthModel, ...]) -> Mask:
    if dataset.snapshot_date is None:
        raise InputError(
            "Without snapshot dates nothing tells which rows the models have not seen. Give a table of rows "
            "that came after the training of both, and say so (unseen)."
        )
    periods = [model.facts.get("snapshots") for model in models]
    if any(period is None for period in periods):
        raise InputError(
            "A model must say until when it was trained; one of these was trained without snapshot dates. "
            "Give a table of rows that neither has seen, and say so (unseen)."
        )
    last = max(np.datetime64(period[1], "D") for period in periods if period is not None)
    window = np.timedelta64(dataset.reach_days, "D")
    days = dataset.snapshot_date.to_numpy().astype("datetime64[D]")
    later: Mask = dataset.is_matured & (days > last + window)
    if not later.any():
        raise NotEnoughData(
            f"No row with a known outcome has a snapshot after {last + window}, when the outcome windows of "
            f"the training (until {last}) had ended. Wait for outcomes, or train with [split] refit = false."
        )
    return later


def _scores(model: HealthModel, frame: pd.DataFrame) -> dict[str, Any]:
    try:
        return model.published(model.encode(frame)).numbers
    except TableError as error:
        raise TableError(f"The table must hold the columns of champion and challenger. {error}") from error


def _report(model: HealthModel, rows: Dataset, scores: Mapping[str, Any], rules: Rules) -> ValidationReport:
    return validate(
        rows.churned,
        score=scores["health_score"],
        probability=scores["churn_probability"],
        tiers=model.tiers,
        value=rows.value,
        account=rows.account.to_numpy(),
        segment=None if rows.segment is None else rows.segment.to_numpy(),
        out_of_time=rows.snapshot_date is not None or None,
        **rules.of_one,
    )


def failing(report: ValidationReport) -> set[str]:
    """Tests of a report that fail, by name and subject."""
    return {f"{t.name} {t.subject}".strip() for t in report.tests if t.verdict is Verdict.FAIL}


def _verdict(
    gained: GainVerdict,
    reports: Mapping[str, ValidationReport],
    scores: Mapping[str, Mapping[str, Any]],
    rows: Dataset,
    rule: GateSpec,
) -> GateVerdict:
    fresh = tuple(sorted(failing(reports[_CHALLENGER]) - failing(reports[_CHAMPION])))
    scored = {name: ~np.isnan(columns["health_score"]) for name, columns in scores.items()}
    lost = int((scored[_CHAMPION] & ~scored[_CHALLENGER]).sum())
    reasons = [*gained.reasons]
    grave = [name for name in fresh if name.partition(" ")[0] in HEADLINE]
    if grave:
        reasons.append(f"Fails tests that the champion does not fail: {', '.join(grave)}.")
    if lost > MAY_LOSE * rows.n:
        reasons.append(f"{lost:,} of {rows.n:,} rows lose their score.")
    return GateVerdict(
        passed=not reasons,
        reasons=tuple(reasons),
        gains=gained.gains,
        statistic=rule.statistic,
        margin=rule.margin,
        newly_failing=fresh,
        rows=gained.judged,
        churned=gained.churned,
        period=_period(rows),
        lost_rows=lost,
    )


def _gain(found: Comparison, statistic: str) -> Gain:
    gap = found.difference(_CHALLENGER, statistic)
    values = {c.name: next(s.value for s in c.statistics if s.name == statistic) for c in found.contestants}
    sign = 1.0 if gap.higher_is_better else -1.0
    ends = sorted((sign * gap.interval.low, sign * gap.interval.high))
    return Gain(
        statistic=statistic,
        champion=values[_CHAMPION],
        challenger=values[_CHALLENGER],
        gain=sign * gap.difference,
        low=ends[0],
        high=ends[1],
    )


def _gain_reasons(found: Comparison, gains: Mapping[str, Gain], rule: GateSpec) -> list[str]:
    reasons = []
    if found.difference(_CHALLENGER, rule.statistic).verdict is Ruling.NOT_ENOUGH_DATA:
        reasons.append(
            f"Too few churns or renewals to tell: {found.counts.churned:,} of {found.counts.judged:,} rows."
        )
    decides = gains[rule.statistic]
    if not decides.low > rule.margin:
        reasons.append(
            f"The gain in {rule.statistic} is not shown to exceed {rule.margin:g}: the lower end of its 95 % "
            f"interval is {decides.low:+.4f}."
        )
    for name, gain in gains.items():
        if name != rule.statistic and gain.high < 0.0:
            reasons.append(f"Worse by {name}: {gain.gain:+.4f} ({gain.low:+.4f} to {gain.high:+.4f}).")
    return reasons


def _period(rows: Dataset) -> tuple[str, str] | None:
    if rows.snapshot_date is None:
        return None
    return str(rows.snapshot_date.min().date()), str(rows.snapshot_date.max().date())
