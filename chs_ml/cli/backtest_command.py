"""The command ``backtest``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from chs_ml.cli.data_commands import DATA, JSON
from chs_ml.cli.running import Progress, as_json, progress_bars, say

if TYPE_CHECKING:
    from chs_ml.dataset import Dataset
    from chs_ml.recipe import Recipe
    from chs_ml.validation import Backtest


def backtest(
    recipe: Path = typer.Argument(help="Recipe (TOML) with snapshot dates."),
    data: Path | None = DATA,
    origin: list[str] = typer.Option([], "--origin", help="First day that is judged, such as 2024-07-31."),
    origins: int = typer.Option(
        3, min=1, help="Without --origin: so many, spread over the later two thirds of the snapshots."
    ),
    threads: int | None = typer.Option(None, min=1, help="Threads; the result does not depend on it."),
    json: bool = JSON,
) -> None:
    """Train and judge again and again as time went by: what would the recipe have been worth?

    At each origin a model is trained on rows whose outcome was over by then, and judged on the snapshots from
    there to the next origin. Exit code 1 where the pooled verdict is fail or not enough data.
    """
    from chs_ml.cli.judging_commands import passes
    from chs_ml.dataset import build_dataset
    from chs_ml.recipe import load_recipe

    spec = load_recipe(recipe).with_bootstrap(0)
    if data is not None:
        spec = spec.with_data(data)
    if threads is not None:
        spec = spec.model_copy(update={"model": spec.model.model_copy(update={"threads": threads})})
    _check_dated(spec)
    with progress_bars() as show:
        dataset = build_dataset(spec).matured
        found = _backtested(dataset, spec, tuple(origin) or _spread(dataset, origins), show)
    say(as_json(found) if json else found.to_text())
    raise typer.Exit(int(not passes(found.pooled)))


def _check_dated(spec: "Recipe") -> None:
    from chs_ml.errors import RecipeError

    if spec.data.snapshot_date is None:
        raise RecipeError(
            "A backtest needs [data] snapshot_date: without dates there is no earlier and later."
        )


def _spread(dataset: "Dataset", n: int) -> tuple[str, ...]:
    """Days of n snapshots, evenly over the later two thirds of those with outcomes known before them."""
    import numpy as np
    import pandas as pd

    from chs_ml.errors import NotEnoughData

    days = np.sort(pd.Series(dataset.snapshot_date).unique())
    reach = np.timedelta64(dataset.reach_days, "D")
    open_to_judge = days[days > days[0] + reach]
    later = open_to_judge[len(open_to_judge) // 3 :]
    if len(later) == 0:
        raise NotEnoughData(
            f"A backtest needs snapshots later than the first outcome window; all {len(days)} are earlier. "
            "Give a longer history."
        )
    picked = np.unique(np.linspace(0, len(later), n, endpoint=False).astype(int))
    return tuple(str(pd.Timestamp(later[i]).date()) for i in picked)


def _backtested(
    dataset: "Dataset", spec: "Recipe", origins: tuple[str, ...], progress: Progress
) -> "Backtest":
    """Train at each origin; the first origin's base rate anchors all scores, so that they can be pooled."""
    from chs_ml import validation
    from chs_ml.tiers import Tiers
    from chs_ml.training import fit_health_model, scoring_frame

    anchors = [] if spec.scale.base_rate is None else [spec.scale.base_rate]
    done: list[int] = []

    def scorer(train: Any, test: Any) -> tuple[Any, Any]:
        learned = dataset.rows(train)
        stage = f"origin {len(done) + 1} of {len(origins)}"
        done.append(len(train))
        model = fit_health_model(
            learned,
            spec.with_base_rate(anchors[0]) if anchors else spec,
            progress=lambda what, step, steps: progress(f"{stage}: {what}", step, steps),
        )
        anchors.append(learned.base_rate)
        scores = model.score(scoring_frame(model, dataset.rows(test)))
        return scores["health_score"].to_numpy(), scores["churn_probability"].to_numpy()

    return validation.backtest(
        dataset.churned,
        scorer,
        snapshot_date=dataset.snapshot_date,
        origins=origins,
        horizon_days=dataset.horizon_days or 1,
        lead_days=dataset.lead_days,
        settle_days=dataset.settle_days,
        account=dataset.account.to_numpy(),
        value=dataset.value,
        segment=None if dataset.segment is None else dataset.segment.to_numpy(),
        tiers=Tiers.from_bounds(spec.tiers),
        rules=validation.Rules.of(spec.validation.model_dump()),
    )
