"""The learned scorecard: health curves and weights, from renewal outcomes.

A scorecard whose curves are fitted together as an additive logistic regression, and whose weights are
non-negative, sum to 100 % and are pulled towards a prior as strongly as the data say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from chs_ml.accounts import account_numbers
from chs_ml.curve_learning import GivenCurves, LearnedCurves
from chs_ml.curves import Curve
from chs_ml.errors import NotEnoughData
from chs_ml.estimator import Progress, binary_with_missing, read_training_rows, two_columns
from chs_ml.inputs import InputSchema
from chs_ml.metric import Metric
from chs_ml.scale import churn_probability
from chs_ml.scorecard import Measure, MissingRule, Scorecard
from chs_ml.splits import grouped_folds
from chs_ml.weights import Penalty, WeightStep, fit_weights

Array = NDArray[np.float64]

SMOOTHING = (1.0, 3.0, 10.0, 30.0)
PULL = (0.01, 0.25, 1.0, 4.0, 16.0, 64.0, 256.0)
MAX_ROWS_TO_CHOOSE_ON = 50_000
"""Strengths are chosen on at most about this many rows; beyond, they hardly matter."""
EXACT_REPLICATES_UP_TO = 20_000
"""Rows up to which a replicate refits curves; beyond, curves are held and weights take one Newton step."""
MIN_EVENTS = 10


@dataclass(frozen=True)
class WeightInterval:
    """A learned weight with its account-clustered bootstrap interval, as shares of 1."""

    weight: float
    low: float
    high: float


def equal_prior(metrics: Sequence[Metric]) -> Array:
    """Weights equal over groups and equal inside a group; sum 1."""
    groups = [m.group for m in metrics]
    return np.array([1.0 / (len(set(groups)) * groups.count(group)) for group in groups])


def card_prior(card: Scorecard, metrics: Sequence[Metric]) -> Array:
    """The weights of a handcrafted card on these metrics; 0 for those it does not know."""
    known: dict[str, float] = {}
    for measure, share in zip(card.measures, card.weights.tolist(), strict=True):
        known[measure.column.reads] = known.get(measure.column.reads, 0.0) + share
    weights = np.array([known.get(m.name, 0.0) for m in metrics])
    return weights / weights.sum() if weights.sum() > 0 else equal_prior(metrics)


def check_enough_events(churned: Array, n_weights: int, *, floor: float) -> None:
    """Refuse to learn weights from too few churns (or too few renewals).

    Raises
    ------
    NotEnoughData
        Where there are fewer than 10 of the rarer outcome, or fewer than `floor` per weight.
    """
    events = int(min(churned.sum(), len(churned) - churned.sum()))
    per_weight = events / max(n_weights, 1)
    if events < MIN_EVENTS or per_weight < floor:
        word = "churns" if churned.mean() <= 0.5 else "renewals"
        raise NotEnoughData(
            f"Learning weights needs at least {MIN_EVENTS} {word} and {floor:g} events per weight; found "
            f"{events} {word} for {n_weights} weights: {per_weight:.1f} events per weight. "
            f"Declare fewer metrics, add history, or use a handcrafted scorecard until there is more."
        )


class LearnedScorecard(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Scorecard learned from renewal outcomes.

    Parameters
    ----------
    schema : InputSchema, optional
        What the columns of X are; plain numbers of unknown direction by default.
    prior : ndarray of shape (k,), optional
        Weights to pull towards, sum 1; equal over groups and inside a group by default.
    curves : sequence of k Curve, optional
        Health curves that are given and not learned.
    smoothing, pull : sequence of float
        Strengths to choose from by account-grouped cross-validated log loss: of the curves' smoothing and
        of the pull towards the prior (one over a squared standard deviation in log-odds).
    folds : int
        Number of inner folds.
    bootstrap : int
        Replicates for the weight intervals; 0 for none.
    level : float
        Coverage of the intervals.
    min_events_per_weight : float
        Refuse to learn below this; 0 to never refuse.
    random_state : int
        Seed of folds and replicates.
    progress : callable, optional
        Called with a stage in words, steps done and steps in all.

    Attributes
    ----------
    card_ : Scorecard
        Curves and weights.
    weight_fit_ : WeightFit
        Intercept and log-odds per metric.
    intervals_ : dict of str to WeightInterval
        Per metric.
    oof_margin_ : ndarray of shape (n,)
        Log-odds of churn for each row by a card that did not see its account.
    smoothing_, pull_ : float
        The strengths chosen.
    """

    def __init__(  # noqa: PLR0913 - an estimator's parameters are its constructor's
        self,
        *,
        schema: InputSchema | None = None,
        prior: Array | None = None,
        curves: Sequence[Curve] | None = None,
        smoothing: Sequence[float] = SMOOTHING,
        pull: Sequence[float] = PULL,
        folds: int = 5,
        bootstrap: int = 0,
        level: float = 0.95,
        min_events_per_weight: float = 0.0,
        random_state: int = 0,
        progress: Progress | None = None,
    ) -> None:
        self.schema = schema
        self.prior = prior
        self.curves = curves
        self.smoothing = smoothing
        self.pull = pull
        self.folds = folds
        self.bootstrap = bootstrap
        self.level = level
        self.min_events_per_weight = min_events_per_weight
        self.random_state = random_state
        self.progress = progress

    def __sklearn_tags__(self) -> Any:
        """Binary outcomes, missing values welcome."""
        return binary_with_missing(super().__sklearn_tags__())

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Learn curves and weights.

        Parameters
        ----------
        X : ndarray of shape (n, k)
            Encoded metrics (see `InputSchema.encode`), NaN where missing.
        y : array of shape (n,)
            Two classes; the larger one is churn.
        groups : array of shape (n,), optional
            Accounts; each row its own by default.

        Raises
        ------
        NotEnoughData
            With fewer events per weight than the floor.
        """
        X, churned = read_training_rows(self, X, y)
        accounts = account_numbers(groups, len(churned))
        self.schema_ = self.schema or InputSchema.of_numbers(X.shape[1])
        if self.min_events_per_weight > 0:
            check_enough_events(churned, X.shape[1], floor=self.min_events_per_weight)
        # sums by BLAS must not depend on the number of threads, or bundles would differ
        with threadpool_limits(1, user_api="blas"):
            self._learn(np.asfortranarray(X), churned, accounts)
        return self

    def _learn(self, X: Array, churned: Array, accounts: NDArray[np.intp]) -> None:
        metrics = self.schema_.metrics
        self.prior_ = equal_prior(metrics) if self.prior is None else np.asarray(self.prior, dtype=np.float64)
        self.smoothing_, self.pull_ = self._choose_strengths(X, churned, accounts)
        self._tell("learning curves and weights", 0, 1)
        folds = self._fold_numbers(accounts, churned)
        learner = self._curves(X, churned, folds, self.smoothing_)
        ones = np.ones(len(churned))
        health = learner.unseen_points(ones)
        penalty = Penalty(self.prior_, self.pull_)
        self.oof_margin_ = _crossed_margin(health, churned, folds, penalty)
        self.weight_fit_ = fit_weights(health, churned, penalty=penalty, row_weight=ones)
        self.card_ = self._card(learner.curves)
        self.intervals_ = self._intervals(learner, health, churned, accounts)

    def _fold_numbers(self, accounts: NDArray[np.intp], churned: Array) -> NDArray[np.intp]:
        rarer = int(min(churned.sum(), len(churned) - churned.sum()))
        n_folds = max(2, min(self.folds, rarer))
        return grouped_folds(accounts, churned, n_folds=n_folds, random_state=self.random_state)

    def _curves(
        self, X: Array, churned: Array, folds: NDArray[np.intp], smoothing: float
    ) -> GivenCurves | LearnedCurves:
        if self.curves is not None:
            return GivenCurves(X, self.curves)
        return LearnedCurves(X, churned, columns=self.schema_.columns, folds=folds, smoothing=smoothing)

    def _choose_strengths(self, X: Array, churned: Array, accounts: NDArray[np.intp]) -> tuple[float, float]:
        smoothing = self.smoothing if self.curves is None else self.smoothing[:1]
        pairs = [(s, p) for s in smoothing for p in self.pull]
        if min(churned.sum(), (1 - churned).sum()) < MIN_EVENTS:  # too few to choose by: believe the prior
            return max(smoothing), max(self.pull)
        few = _some_accounts(accounts, MAX_ROWS_TO_CHOOSE_ON, self.random_state)
        X, churned, accounts = X[few], churned[few], accounts[few]
        folds = self._fold_numbers(accounts, churned)
        losses = []
        for i, strength in enumerate(smoothing):
            self._tell("choosing how smooth curves are", i, len(smoothing))
            health = self._curves(X, churned, folds, strength).unseen_points(np.ones(len(churned)))
            for pull in self.pull:
                margin = _crossed_margin(health, churned, folds, Penalty(self.prior_, pull))
                losses.append(float(np.mean(np.logaddexp(0.0, margin) - churned * margin)))
        return pairs[int(np.argmin(losses))]

    def _card(self, curves: Sequence[Curve]) -> Scorecard:
        beta = self.weight_fit_.beta
        shares = beta / beta.sum() if beta.sum() > 0 else self.prior_
        measures = [
            Measure(column=column, curve=curve, weight=float(share))
            for column, curve, share in zip(self.schema_.columns, curves, shares, strict=True)
        ]
        own = all(curve.missing is not None for curve in curves)
        return Scorecard(
            name="learned",
            measures=tuple(measures),
            missing=MissingRule.OWN if own else MissingRule.RENORMALISE,
        )

    def _intervals(
        self, learner: GivenCurves | LearnedCurves, health: Array, churned: Array, accounts: NDArray[np.intp]
    ) -> dict[str, WeightInterval]:
        if not self.bootstrap:
            return {}
        weights = self.card_.weights
        betas = self._replicates(learner, health, churned, accounts)
        totals = betas.sum(axis=1, keepdims=True)
        shares = np.where(totals > 0, betas / np.where(totals > 0, totals, 1.0), self.prior_)
        low, high = bootstrap_interval(weights, shares, level=self.level)
        rows = zip(self.schema_.names, weights.tolist(), low.tolist(), high.tolist(), strict=True)
        return {name: WeightInterval(weight, a, b) for name, weight, a, b in rows}

    def _replicates(
        self, learner: GivenCurves | LearnedCurves, health: Array, churned: Array, accounts: NDArray[np.intp]
    ) -> Array:
        rng = np.random.default_rng(self.random_state)
        penalty = Penalty(self.prior_, self.pull_)
        n_accounts = int(accounts.max()) + 1
        chance = np.full(n_accounts, 1.0 / n_accounts)
        draws = (rng.multinomial(n_accounts, chance) for _ in range(self.bootstrap))
        if len(churned) > EXACT_REPLICATES_UP_TO:
            step = WeightStep.at(self.weight_fit_, health, churned, penalty=penalty, accounts=accounts)
            return np.vstack([step.replicate(draw) for draw in draws])
        betas = []
        for i, draw in enumerate(draws):
            self._tell("bootstrapping the weights", i, self.bootstrap)
            weight = draw[accounts].astype(np.float64)
            again = learner.unseen_points(weight)
            fit = fit_weights(again, churned, penalty=penalty, row_weight=weight, start=self.weight_fit_)
            betas.append(fit.beta)
        return np.vstack(betas)

    def _tell(self, stage: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(stage, done, total)

    def decision_function(self, X: Any) -> Array:
        """Margin of shape (n,): log-odds of churn, larger = riskier."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        per_point = float(self.weight_fit_.beta.sum()) / 100.0
        return np.asarray(self.weight_fit_.intercept - per_point * self.card_.raw_score(X))

    def predict_proba(self, X: Any) -> Array:
        """Probabilities of shape (n, 2), in the order of ``classes_``."""
        return two_columns(churn_probability(self.decision_function(X)))

    def predict(self, X: Any) -> NDArray[Any]:
        """Likelier class of each row."""
        is_churn = self.decision_function(X) > 0
        return np.asarray(self.classes_[is_churn.astype(np.intp)])


def _crossed_margin(health: Array, churned: Array, folds: NDArray[np.intp], penalty: Penalty) -> Array:
    """Margins of shape (n,), each by weights fitted on the other folds."""
    margin, start = np.empty(len(churned)), None
    for fold in np.unique(folds):
        others = (folds != fold).astype(np.float64)
        start = fit_weights(health, churned, penalty=penalty, row_weight=others, start=start)
        margin[folds == fold] = start.margin(health[folds == fold])
    return margin


def bootstrap_interval(estimate: Array, replicates: Array, *, level: float) -> tuple[Array, Array]:
    """Percentile interval, widened where the replicates are biased.

    Learned curves overfit a resampled table more than the table itself, so replicates of a strong weight
    lie below it. The interval is the hull of the percentile interval and of the same interval moved so
    that the replicates' median falls on the estimate; within 0 and 1.

    Parameters
    ----------
    estimate : ndarray of shape (k,)
        Weights.
    replicates : ndarray of shape (b, k)
        Bootstrap weights.
    level : float
        Nominal coverage.
    """
    tail = (1.0 - level) / 2.0
    low, middle, high = np.quantile(replicates, [tail, 0.5, 1.0 - tail], axis=0)
    move = estimate - middle
    return np.maximum(np.minimum(low, low + move), 0.0), np.minimum(np.maximum(high, high + move), 1.0)


def _some_accounts(accounts: NDArray[np.intp], rows: int, random_state: int) -> NDArray[np.intp]:
    """Positions of the rows of randomly chosen accounts, at most about `rows` of them."""
    if len(accounts) <= rows:
        return np.arange(len(accounts))
    n_accounts = int(accounts.max()) + 1
    draw = np.random.default_rng(random_state).random(n_accounts)
    return np.flatnonzero(draw[accounts] < rows / len(accounts))
