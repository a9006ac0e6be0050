"""``learn_weights``: a card's weights from renewals, in the card's own form."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from chs_ml.card_learning.evidence import Finding, MeasureEvidence, measure_evidence
from chs_ml.card_learning.health import CardRows, card_rows
from chs_ml.card_learning.ranges import LearnedRanges, learn_ranges
from chs_ml.card_learning.rounding import capped, whole_percents
from chs_ml.card_learning.strength import FOLDS, Strength, choose_strength
from chs_ml.card_learning.values import LearnedMeasure, LearnedWeights
from chs_ml.card_learning.written import in_form, with_shares
from chs_ml.curves import LinearCurve
from chs_ml.dataset import Dataset
from chs_ml.errors import NotEnoughData
from chs_ml.inputs import InputColumn, InputSchema
from chs_ml.learned_scorecard import LearnedScorecard, WeightInterval, check_enough_events
from chs_ml.metric import Metric
from chs_ml.scorecard import Scorecard
from chs_ml.splits import few_folds
from chs_ml.validation import compare
from chs_ml.validation.comparison_values import Difference
from chs_ml.validation.delong import delong_auc
from chs_ml.validation.result import Interval
from chs_ml.weights import Penalty, fit_weights

Array = NDArray[np.float64]

SMALL_CHANGE = 0.02
"""A share that moved by less than two points of a hundred is called unchanged."""
CHOSEN_ON_ALL = (
    "Which ranges to keep was decided on all of these accounts, so the comparison is a little kind to the "
    "learned card; judge it on later renewals."
)


@dataclass(frozen=True)
class Settings:
    """How weights are learned.

    Attributes
    ----------
    bootstrap : int
        Replicates of the intervals.
    level : float
        Their level.
    random_state : int
        Seed.
    caps : mapping of str to float
        Largest share per group.
    min_events_per_weight : float
        Refuse to learn below this.
    """

    bootstrap: int
    level: float
    random_state: int
    caps: Mapping[str, float]
    min_events_per_weight: float


def learn_weights(
    card: Scorecard,
    dataset: Dataset,
    *,
    ranges: bool = False,
    caps: Mapping[str, float] | None = None,
    bootstrap: int = 200,
    level: float = 0.95,
    min_events_per_weight: float = 2.0,
    random_state: int = 0,
) -> LearnedWeights:
    """Learn the weights of a handcrafted card from renewals; measures, groups and rules stay, and ranges.

    Weights are not negative, sum to 100 %, keep to the caps of groups, and are pulled towards the card's own
    as strongly as held-out accounts say.

    Parameters
    ----------
    card : Scorecard
        The card, whose weights are the prior.
    dataset : Dataset
        Metrics and outcomes; the columns of days that ageing measures need may be metrics or kept columns.
    ranges : bool
        Learn the scoring ranges too: few, monotone in the card's direction, and kept only where held-out
        accounts say that they help (`chs_ml.card_learning.ranges`).
    caps : mapping of str to float, optional
        Largest share per group, 0-1, over what the card's groups say (``largest_share``).
    bootstrap : int
        Replicates of the account-clustered intervals.
    level : float
        Their level, in (0, 1).
    min_events_per_weight : float
        Refuse to learn below this many churns per weight.
    random_state : int
        Seed of folds and replicates.

    Returns
    -------
    LearnedWeights
        Your weight, learned weight, interval, evidence and verdict per measure; the card as TOML and as a
        table.

    Raises
    ------
    NotEnoughData
        With too few churns per weight: keep the card as it is.
    TableError
        Where a column of the card is missing.
    """
    settings = Settings(bootstrap, level, random_state, all_caps(card, caps), min_events_per_weight)
    rows = card_rows(card, dataset)
    check_enough_events(rows.churned, len(card.measures), floor=min_events_per_weight)
    strength = choose_strength(
        [(rows.health, rows.churned, rows.account)], prior=card.weights, random_state=random_state
    )
    if not ranges:
        return learned_on(card, rows, prior=card.weights, strength=strength, settings=settings)
    found = learn_ranges(
        card, rows, prior=card.weights, pull=strength.pull, caps=settings.caps, random_state=random_state
    )
    return _with_ranges(card, dataset, rows, found, strength=strength, settings=settings)


def all_caps(card: Scorecard, caps: Mapping[str, float] | None) -> dict[str, float]:
    """Largest share per group, 0-1: what the card's groups say, and what is given over that."""
    own = {g.name: g.largest_share for g in card.groups if g.largest_share is not None}
    return {**own, **(caps or {})}


def _with_ranges(
    card: Scorecard, dataset: Dataset, rows: CardRows, found: LearnedRanges, *,
    strength: Strength, settings: Settings,
) -> LearnedWeights:  # fmt: skip
    """Weights on the learned ranges, told as a diff from the card as it was."""
    if found.scores is None:
        weights = learned_on(card, rows, prior=card.weights, strength=strength, settings=settings)
        return replace(weights, ranges=found.measures)
    again = card_rows(found.card, dataset)
    prior = card.weights
    strength = choose_strength(
        [(again.health, again.churned, again.account)], prior=prior, random_state=settings.random_state
    )
    weights = learned_on(found.card, again, prior=prior, strength=strength, settings=settings)
    improvement = _improvement(rows, found.scores, settings)
    notes = (*weights.notes, CHOSEN_ON_ALL)
    return replace(weights, handcrafted=card, improvement=improvement, ranges=found.measures, notes=notes)


def learned_on(
    card: Scorecard, rows: CardRows, *, prior: Array, strength: Strength, settings: Settings
) -> LearnedWeights:
    """Learn on given rows with a given strength."""
    fit = _fitted(card, rows, prior=prior, strength=strength, settings=settings)
    beta = averaged_log_odds(rows, prior=prior, strength=strength)
    free = beta / beta.sum() if beta.sum() > 0 else prior
    groups = [m.metric.group for m in card.measures]
    shares = capped(free, groups, settings.caps)
    percents = whole_percents(shares)
    exact = with_shares(card, shares, name=f"{card.name}, learned")
    rounded = with_shares(card, percents.astype(np.float64), name=f"{card.name}, learned")
    auc, loss = _rounding_cost(exact, rounded, rows)
    scores = _unseen_scores(card, rows, prior=prior, strength=strength, settings=settings)
    return LearnedWeights(
        handcrafted=card,
        card=rounded,
        exact=exact,
        measures=_lines(card, rows, fit, shares=shares, percents=percents, level=settings.level),
        strength=strength,
        per_point=float(beta.sum()) / 100.0,
        rounding_auc=auc,
        rounding_log_loss=loss,
        improvement=_improvement(rows, scores, settings),
        n=len(rows.churned),
        events=int(rows.churned.sum()),
        accounts=int(rows.account.max()) + 1,
        prior_churns=_prior_churns(rows, fit.oof_margin_, strength.pull),
        notes=_notes(card, rounded, supported=bool(beta.sum() > 0), held=not np.allclose(shares, free)),
    )


def _lines(
    card: Scorecard,
    rows: CardRows,
    fit: LearnedScorecard,
    *,
    shares: Array,
    percents: NDArray[np.int64],
    level: float,
) -> tuple[LearnedMeasure, ...]:
    """Your weight, the learned one, its interval, evidence and verdict, measure by measure."""
    evidence = measure_evidence(rows.bare, rows.churned, rows.account, names=card.metric_names, level=level)
    intervals = [
        _around(fit.intervals_.get(name), float(share))
        for name, share in zip(card.metric_names, shares, strict=True)
    ]
    return tuple(
        LearnedMeasure(
            metric=m.metric.name,
            label=m.metric.title,
            group=m.metric.group,
            yours=float(card.weights[k]),
            learned=float(shares[k]),
            interval=intervals[k],
            percent=int(percents[k]),
            evidence=evidence[k],
            verdict=_verdict(float(card.weights[k]), float(shares[k]), intervals[k], evidence[k])
            + _silence(intervals[k], evidence[k], rows),
        )
        for k, m in enumerate(card.measures)
    )


def _fitted(
    card: Scorecard, rows: CardRows, *, prior: Array, strength: Strength, settings: Settings
) -> LearnedScorecard:
    """The learned scorecard on the card's points: straight curves, for its own ranges have spoken already."""
    schema = InputSchema(
        tuple(InputColumn(metric=Metric(name=m.metric.name, group=m.metric.group)) for m in card.measures)
    )
    straight = LinearCurve(x=(0.0, 1.0), points=(0.0, 100.0))
    learner = LearnedScorecard(
        schema=schema,
        prior=prior,
        curves=[straight] * len(card.measures),
        pull=(strength.pull,),
        bootstrap=settings.bootstrap,
        level=settings.level,
        random_state=settings.random_state,
    )
    return learner.fit(rows.health, rows.churned, groups=rows.account)


def averaged_log_odds(rows: CardRows, *, prior: Array, strength: Strength) -> Array:
    """Log-odds per measure of shape (k,), averaged over the strengths by the belief in each."""
    ones, total, start = np.ones(len(rows.churned)), np.zeros(len(prior)), None
    for pull, belief in zip(strength.tried, strength.belief, strict=True):
        start = fit_weights(
            rows.health, rows.churned, penalty=Penalty(prior, pull), row_weight=ones, start=start
        )
        total += belief * start.beta
    return total


def _unseen_scores(
    card: Scorecard, rows: CardRows, *, prior: Array, strength: Strength, settings: Settings
) -> Array:
    """Scores of shape (n,) of the card, its caps and floors among them, with weights from other accounts."""
    folds = few_folds(rows.account, rows.churned, most=FOLDS, random_state=settings.random_state)
    scores = np.empty(len(folds))
    for fold in np.unique(folds):
        here = folds == fold
        log_odds = averaged_log_odds(rows.rows(~here), prior=prior, strength=strength)
        form = in_form(card, log_odds, prior=prior, caps=settings.caps)
        scores[here] = form.raw_score(rows.values[here])
    return scores


def _prior_churns(rows: CardRows, margin: Array, pull: float) -> float:
    """Churns that would say as much about the weights as the pull does."""
    p = expit(margin)
    weight = p * (1.0 - p)
    centred = rows.health - weight @ rows.health / weight.sum()
    per_measure = weight @ centred**2
    return float(pull * rows.churned.sum() / max(float(per_measure.mean()), 1e-12))


def _around(interval: WeightInterval | None, share: float) -> Interval:
    """A bootstrap interval at the mean strength, moved to the share averaged over strengths."""
    if interval is None:
        return Interval()
    move = share - interval.weight
    low, high = min(interval.low, interval.low + move), max(interval.high, interval.high + move)
    return Interval(max(low, 0.0), min(high, 1.0))


def _verdict(yours: float, learned: float, interval: Interval, evidence: MeasureEvidence) -> str:
    found = evidence.finding
    if found is Finding.WRONG_WAY:
        return (
            "Points the wrong way: accounts with more points churn more. Turn its ranges round, or drop it."
        )
    if found is Finding.FLAT:
        return "Gives nearly every account the same points: move its ranges."
    if found is Finding.NOT_ENOUGH_DATA:
        return "Too few churns with a value to say anything: keep your weight."
    if found is Finding.NO_EVIDENCE:
        return "No evidence that it tells churns from renewals."
    said = "It repeats what other measures say" if found is Finding.REPEATS else "It works"
    if abs(learned - yours) < SMALL_CHANGE or interval.holds(yours):
        return f"{said}; your weight lies within what the data allow."
    return f"{said}, and deserves {'more' if learned > yours else 'less'} than you give it."


def _silence(interval: Interval, evidence: MeasureEvidence, rows: CardRows) -> str:
    """Where a weight comes from, when the values carry no evidence and missing ones do."""
    if evidence.finding is not Finding.NO_EVIDENCE or not (evidence.missing and interval.low > SMALL_CHANGE):
        return ""
    without = (float(rows.churned.sum()) - evidence.events) / evidence.missing
    return (
        f" What is learned comes from accounts without a value: {without:.1%} of them churned, against "
        f"{evidence.events / evidence.n:.1%} of those with one."
    )


def _rounding_cost(exact: Scorecard, rounded: Scorecard, rows: CardRows) -> tuple[float, float]:
    """AUC lost and log loss per row added by whole percents, each score calibrated on these rows."""
    found = []
    for card in (exact, rounded):
        score = card.raw_score(rows.values)
        auc = delong_auc(score, rows.churned, rows.account).auc
        found.append((auc, _calibrated_loss(score, rows.churned)))
    return found[0][0] - found[1][0], found[1][1] - found[0][1]


def _calibrated_loss(score: Array, churned: Array) -> float:
    health = score[:, None] / 100.0
    fit = fit_weights(health, churned, penalty=Penalty(np.ones(1), 0.0), row_weight=np.ones(len(churned)))
    margin = fit.margin(health)
    return float(np.mean(np.logaddexp(0.0, margin) - churned * margin))


def _improvement(rows: CardRows, unseen: Array, settings: Settings) -> Difference | None:
    try:
        duel = compare(
            rows.churned,
            {"your card": rows.score, "the learned card": unseen},
            account=rows.account,
            n_bootstrap=max(settings.bootstrap, 100),
            random_state=settings.random_state,
            level=settings.level,
        )
    except NotEnoughData:
        return None
    return duel.difference("the learned card", "auc")


def _notes(card: Scorecard, rounded: Scorecard, *, supported: bool, held: bool) -> tuple[str, ...]:
    notes = []
    if not supported:
        notes.append("Outcomes do not support any measure in its own direction: your weights are kept.")
    if card.dialect and not rounded.dialect:
        notes.append(
            f"The learned weights do not fit the rules of {card.dialect!r}: the card has no dialect."
        )
    if held:
        notes.append("At least one group is held at its largest share.")
    return tuple(notes)
