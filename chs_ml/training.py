"""Training: from a dataset and a recipe to a health model with a verdict."""

import platform
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chs_ml.account_sketch import AccountSketch
from chs_ml.accounts import account_numbers
from chs_ml.blend import BlendFit, fit_blend
from chs_ml.boosted_trees import BoostedTrees
from chs_ml.dataset import Dataset
from chs_ml.errors import NotEnoughData
from chs_ml.estimator import Progress
from chs_ml.explanation import points_per_logit, with_drivers
from chs_ml.fingerprints import columns_fingerprint
from chs_ml.health_model import Blend, CarriedColumns, HealthModel
from chs_ml.inputs import InputSchema
from chs_ml.later import Later, read_later
from chs_ml.learned_scorecard import LearnedScorecard, card_prior
from chs_ml.recipe import Recipe, ValidationSpec
from chs_ml.scale import AnchoredScale, HealthScale, RetentionScale
from chs_ml.scorecard import load_scorecard
from chs_ml.splits import TestSplit, grouped_folds, test_split
from chs_ml.tiers import Tiers
from chs_ml.tree_ensemble import TreeEnsemble
from chs_ml.validation import Rules, ValidationReport, validate

Array = NDArray[np.float64]

IMPORTANCE_ROWS = 2_000
PACKAGES = ("chs_ml", "lightgbm", "numpy", "pandas", "scikit-learn", "scipy")


def silent(stage: str, done: int, total: int) -> None:
    """Report no progress."""


def train(dataset: Dataset, recipe: Recipe, *, progress: Progress = silent) -> HealthModel:
    """Train a health model and judge it on rows it has not seen.

    The test is set aside first (by snapshot date where there is one, else by account); the model is
    trained, calibrated and anchored on the rest, and judged on the test. With ``[split] refit = true`` the
    model that is returned is then trained again on all rows, and the report speaks of the first one.

    Parameters
    ----------
    dataset : Dataset
        From `build_dataset`.
    recipe : Recipe
        From `load_recipe`.
    progress : callable, optional
        Called with stage, steps done, and steps in all.

    Returns
    -------
    HealthModel
        With ``report`` and ``facts``.

    Raises
    ------
    NotEnoughData
        With too few churns to learn weights from, or to set a test aside.
    """
    spec = recipe.split
    _later(dataset, recipe.validation)  # what the verdict will read is checked before hours of training
    split = test_split(
        dataset, test_share=spec.test_share, test_from=spec.test_from, random_state=spec.random_state
    )
    model = fit_health_model(dataset.rows(split.train), recipe, progress=progress)
    progress("judging on rows not seen in training", 0, 1)
    test = dataset.rows(split.test)
    report = judge(model, test, new_account=split.new_account, out_of_time=split.out_of_time)
    if spec.refit:
        anchor = recipe.scale.base_rate or dataset.rows(split.train).base_rate
        model = fit_health_model(dataset.matured, recipe.with_base_rate(anchor), progress=progress)
    fitted = dataset.matured if spec.refit else dataset.rows(split.train)
    data = _data_fingerprint(dataset)
    facts = {
        **model.facts,
        "data_fingerprint": data,
        **_fitted_accounts(fitted, recipe, salt=data),
        "split": _split_facts(split, dataset, refit=spec.refit),
        "findings": [asdict(finding) for finding in dataset.findings],
    }
    progress("judging on rows not seen in training", 1, 1)
    return replace(model, report=report, facts=facts)


def judge(
    model: HealthModel, dataset: Dataset, *, new_account: Any = None, out_of_time: bool | None = None
) -> ValidationReport:
    """Validate a model on a dataset with known outcomes.

    Parameters
    ----------
    model : HealthModel
        What is judged, as ``[validation]`` of its recipe says; what its tiers promised is checked again.
    dataset : Dataset
        Rows with outcomes; open ones do not judge.
    new_account : ndarray of bool, shape (n,), optional
        Rows whose account training never saw.
    out_of_time : bool, optional
        Whether the rows lie after the training in time.
    """
    frame = scoring_frame(model, dataset)
    scores = model.score(frame)
    spec = ValidationSpec.model_validate(dict(model.facts.get("recipe", {}).get("validation", {})))
    later = _later(dataset, spec)
    report = validate(
        dataset.churned,
        score=scores["health_score"].to_numpy(),
        probability=scores["churn_probability"].to_numpy(),
        tiers=model.tiers,
        value=dataset.value,
        account=dataset.account.to_numpy(),
        segment=None if dataset.segment is None else dataset.segment.to_numpy(),
        new_account=new_account,
        snapshot_date=dataset.snapshot_date,
        horizon_days=None if dataset.horizon_days is None else dataset.lead_days + dataset.horizon_days,
        out_of_time=out_of_time,
        **later.of_one,
        **Rules.of(spec.model_dump()).of_one,
    )
    if report.time is None or dataset.snapshot_date is None:
        return report
    driven = with_drivers(report.time, model, frame, dataset.account, dataset.snapshot_date)
    return replace(report, time=driven)


def _later(dataset: Dataset, spec: ValidationSpec) -> Later:
    return read_later(
        dataset.keep, dataset.account, treated=spec.treated, churn_date=spec.churn_date,
        dated=dataset.snapshot_date is not None,
    )  # fmt: skip


def scoring_frame(model: HealthModel, dataset: Dataset) -> Any:
    """The dataset's metrics as a frame that `HealthModel.score` takes, with the columns it carries."""
    frame = dataset.frame.copy()
    carried = model.carried
    if carried.snapshot_date is not None and dataset.snapshot_date is not None:
        frame[carried.snapshot_date] = dataset.snapshot_date
    for name in carried.keep:
        frame[name] = dataset.keep[name]
    return frame


def fit_health_model(dataset: Dataset, recipe: Recipe, *, progress: Progress = silent) -> HealthModel:
    """Fit scorecard, trees, blend and scale on all rows of a dataset; nothing is set aside.

    Parameters
    ----------
    dataset : Dataset
        Rows with open outcomes do not train.
    recipe : Recipe
        What is learned.
    progress : callable, optional
        Called with stage, steps done, and steps in all.
    """
    dataset = dataset.matured
    if dataset.n_churned in (0, dataset.n):
        raise NotEnoughData(
            f"Training needs churned and renewed rows; found {dataset.n_churned} churned of {dataset.n}."
        )
    schema = InputSchema.learn(dataset.frame, dataset.metrics, snapshot=dataset.snapshot_date)
    values = schema.encode(dataset.frame, snapshot=dataset.snapshot_date).values
    accounts = account_numbers(dataset.account, dataset.n)
    card = _learned_card(values, dataset.churned, accounts, schema=schema, recipe=recipe, progress=progress)
    trees = None
    if recipe.model.kind == "blend":
        trees = _grown_trees(
            values, dataset.churned, accounts, schema=schema, recipe=recipe, progress=progress
        )
    folds = grouped_folds(
        accounts, dataset.churned, n_folds=recipe.model.folds, random_state=recipe.model.random_state
    )
    fit = fit_blend(
        card.oof_margin_,
        None if trees is None else trees.oof_margin_,
        dataset.churned,
        accounts=accounts,
        folds=folds,
    )
    return _assembled(dataset, recipe, values=values, card=card, trees=trees, fit=fit)


def _learned_card(
    values: Array,
    churned: Array,
    accounts: NDArray[np.intp],
    *,
    schema: InputSchema,
    recipe: Recipe,
    progress: Progress,
) -> LearnedScorecard:
    spec = recipe.model
    prior = (
        None if recipe.prior_path is None else card_prior(load_scorecard(recipe.prior_path), schema.metrics)
    )
    return LearnedScorecard(
        schema=schema,
        prior=prior,
        folds=spec.folds,
        bootstrap=spec.bootstrap,
        min_events_per_weight=spec.min_events_per_weight,
        random_state=spec.random_state,
        progress=progress,
    ).fit(values, churned, groups=accounts)


def _grown_trees(
    values: Array,
    churned: Array,
    accounts: NDArray[np.intp],
    *,
    schema: InputSchema,
    recipe: Recipe,
    progress: Progress,
) -> BoostedTrees:
    spec = recipe.model
    return BoostedTrees(
        schema=schema, threads=spec.threads, random_state=spec.random_state, progress=progress
    ).fit(values, churned, groups=accounts)


def _assembled(
    dataset: Dataset,
    recipe: Recipe,
    *,
    values: Array,
    card: LearnedScorecard,
    trees: BoostedTrees | None,
    fit: BlendFit,
) -> HealthModel:
    kept = trees.ensemble_ if trees is not None and fit.trees > 0 else None
    weights = card.weight_fit_
    blend = Blend(
        intercept=fit.intercept + fit.card * weights.intercept,
        points=fit.card * float(weights.beta.sum()) / 100.0,
        trees=fit.trees,
    )
    weighted, _ = card.card_.weighted_points(values)
    scale = _scale(recipe, dataset.base_rate)
    model = HealthModel(
        card=card.card_,
        blend=blend,
        scale=scale,
        tiers=Tiers.from_bounds(recipe.tiers),
        baseline=tuple(float(np.sum(column)) / len(column) for column in weighted.T),
        trees=kept,
        coverage_floor=recipe.model.coverage_floor,
        carried=_carried(recipe),
    )
    facts = {
        "recipe": recipe.to_dict(),
        "packages": {name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "rows": dataset.n,
        "accounts": int(dataset.account.nunique()),
        "churned": dataset.n_churned,
        "base_rate": dataset.base_rate,
        "snapshots": _period(dataset),
        "scale": {"kind": scale.name, "base_rate": getattr(scale, "base_rate", None)},
        "weights": _weight_facts(card),
        "strengths": {"smoothing": card.smoothing_, "pull": card.pull_},
        "blend": _blend_facts(fit),
        "trees": _tree_facts(trees, kept),
        "importance": _importance(model, values),
    }
    return replace(model, facts=facts)


def _scale(recipe: Recipe, base_rate: float) -> HealthScale:
    if recipe.scale.kind == "retention":
        return RetentionScale()
    return AnchoredScale(base_rate if recipe.scale.base_rate is None else recipe.scale.base_rate)


def _carried(recipe: Recipe) -> CarriedColumns:
    data = recipe.data
    return CarriedColumns(
        account=data.account,
        snapshot_date=data.snapshot_date,
        value=data.value,
        segment=data.segment,
        keep=data.keep,
    )


def _period(dataset: Dataset) -> list[str] | None:
    if dataset.snapshot_date is None:
        return None
    return [str(dataset.snapshot_date.min().date()), str(dataset.snapshot_date.max().date())]


def _weight_facts(card: LearnedScorecard) -> dict[str, dict[str, float]]:
    facts = {name: {"weight": share} for name, share in card.card_.weight_by_metric().items()}
    for name, interval in card.intervals_.items():
        facts[name] |= {"low": interval.low, "high": interval.high}
    return facts


def _blend_facts(fit: BlendFit) -> dict[str, float | None]:
    share = fit.share_of_card
    return {
        "intercept": fit.intercept,
        "card": fit.card,
        "trees": fit.trees,
        "log_loss_base": fit.log_loss_base,
        "log_loss_card": fit.log_loss_card,
        "log_loss_blend": fit.log_loss_blend,
        "share_of_card": share if np.isfinite(share) else None,
        "gain": fit.gain,
        "gain_error": fit.gain_error,
    }


def _tree_facts(trees: BoostedTrees | None, kept: TreeEnsemble | None) -> dict[str, Any] | None:
    if trees is None:
        return None
    return {
        "held_out_loss": trees.held_out_loss_,
        "kept": kept is not None,
        "trees": 0 if kept is None else kept.n_trees,
    }


def _importance(model: HealthModel, values: Array) -> dict[str, float]:
    """Mean absolute points per metric over evenly spaced training rows."""
    step = max(1, len(values) // IMPORTANCE_ROWS)
    parts = model.margin_parts(np.ascontiguousarray(values[::step]))
    factor = points_per_logit(model.scale, parts.margin, parts.expected)
    points = np.abs(parts.contributions * factor[:, None])
    means = {
        name: float(np.sum(column)) / len(column)
        for name, column in zip(model.schema.names, points.T, strict=True)
    }
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def _data_fingerprint(dataset: Dataset) -> str:
    """What the model was made from: keys, metrics and outcomes, in the order of the table."""
    columns: dict[str, Any] = {f"metric {name}": dataset.frame[name] for name in dataset.frame.columns}
    columns |= {"account": dataset.account, "churned": dataset.churned}
    if dataset.snapshot_date is not None:
        columns["snapshot_date"] = dataset.snapshot_date
    return columns_fingerprint(columns)


def _fitted_accounts(fitted: Dataset, recipe: Recipe, *, salt: str) -> dict[str, Any]:
    """What later tells rows that were fitted on from others; row numbers would not, so ids are needed."""
    if recipe.data.account is None:
        return {}
    return {"fitted_accounts": AccountSketch.of(fitted.account, salt=salt).to_dict()}


def _split_facts(split: TestSplit, dataset: Dataset, *, refit: bool) -> dict[str, Any]:
    return {
        "out_of_time": split.out_of_time,
        "test_from": None if split.test_from is None else str(split.test_from),
        "train_rows": len(split.train),
        "test_rows": len(split.test),
        "purged_rows": split.purged,
        "open_rows": int(dataset.n - dataset.is_matured.sum()),
        "new_account_rows": int(split.new_account.sum()),
        "refit_on_all_rows": refit,
    }
