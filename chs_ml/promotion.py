"""Promotion: the gate in front of the registry, and the whole way from a recipe to a new champion."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from chs_ml.dataset import build_dataset
from chs_ml.errors import TableError
from chs_ml.estimator import Progress
from chs_ml.findings import raise_errors
from chs_ml.gate import GateVerdict, failing, judge_challenger, outcome_recipe
from chs_ml.health_model import HealthModel
from chs_ml.recipe import GateSpec, Recipe
from chs_ml.registry import CHALLENGER, CHAMPION, Registry, Version
from chs_ml.table import read_table
from chs_ml.training import silent, train
from chs_ml.validation import Verdict


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """What became of a challenger.

    Attributes
    ----------
    promoted : bool
        Whether it is the champion now.
    challenger, champion : Version
        The challenger, and the champion it was judged against; None where it is the first.
    verdict : GateVerdict or None
        What the gate said; None for a first champion.
    reasons : tuple of str
        Why it was not promoted; or why it was without a gate.
    """

    promoted: bool
    challenger: Version
    champion: Version | None
    verdict: GateVerdict | None
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "promoted": self.promoted,
            "challenger": self.challenger.number,
            "champion_before": None if self.champion is None else self.champion.number,
            "reasons": list(self.reasons),
            "gate": None if self.verdict is None else self.verdict.to_dict(),
        }

    def to_text(self) -> str:
        """A few lines for people."""
        name, number = self.challenger.name, self.challenger.number
        state = "is the champion now" if self.promoted else "is not promoted"
        head = f"Version {number} of {name} {state}."
        body = (
            [f"- {reason}" for reason in self.reasons] if self.verdict is None else [self.verdict.to_text()]
        )
        return "\n".join([head, *body])


def promote(
    registry: Registry,
    table: pd.DataFrame,
    *,
    which: str | int = CHALLENGER,
    spec: GateSpec | None = None,
    unseen: bool = False,
) -> Promotion:
    """Judge a registered model against the champion, and make it the champion where the gate lets it pass.

    The verdict is kept either way: as tags of the version and as a document of its run. Where there is no
    champion yet, the model's own validation decides, which must not have failed.

    Parameters
    ----------
    registry : Registry
        Where both are.
    table : DataFrame of shape (n, any)
        Metrics and outcomes, with the columns of both models.
    which : str or int
        Alias or number of the challenger.
    spec, unseen
        As in `judge_challenger`.
    """
    version, champion = registry.version(which), registry.find(CHAMPION)
    model = registry.load(version.number)
    if champion is None or champion.number == version.number:
        return _first(registry, version, model)
    verdict = judge_challenger(registry.load(champion.number), model, table, spec=spec, unseen=unseen)
    registry.note(version, f"gate_against_{champion.number}.json", verdict.to_dict())
    registry.tag(
        version,
        {
            "gate": "passed" if verdict.passed else "not passed",
            "gate_against": str(champion.number),
            "gate_reasons": " ".join(verdict.reasons)[:500],
        },
    )
    if verdict.passed:
        registry.promote(version)
    return Promotion(
        promoted=verdict.passed,
        challenger=version,
        champion=champion,
        verdict=verdict,
        reasons=verdict.reasons,
    )


def _first(registry: Registry, version: Version, model: HealthModel) -> Promotion:
    report = model.report
    reasons: tuple[str, ...] = ("It is the first champion: there is none to compare it with.",)
    passed = report is not None and report.verdict is not Verdict.FAIL
    if report is None:
        reasons = ("A first champion must have been validated; this model has no report.",)
    elif not passed:
        reasons = (f"A first champion must not fail its validation: {', '.join(sorted(failing(report)))}.",)
    registry.tag(version, {"gate": "passed" if passed else "not passed", "gate_reasons": reasons[0][:500]})
    if passed:
        registry.promote(version)
    return Promotion(promoted=passed, challenger=version, champion=None, verdict=None, reasons=reasons)


def retrain(
    recipe: Recipe, registry: Registry, *, unseen: pd.DataFrame | None = None, progress: Progress = silent
) -> Promotion:
    """Retrain, validate, register, and promote where the gate lets the new model pass.

    The health scale stays where the champion has it, unless the recipe moves it: points mean the same after
    the change of models.

    Parameters
    ----------
    recipe : Recipe
        With ``[data] path``, or raw tables.
    registry : Registry
        Where the model goes.
    unseen : DataFrame of shape (n, any), optional
        Rows with outcomes that neither model was trained on: the gate judges on them. Without it, it judges
        on the recipe's own rows after the training of both; a table without snapshot dates does not say which
        those are, so that the new model stays the challenger.
    progress : callable, optional
        As in `train`.
    """
    champion = registry.find(CHAMPION)
    if champion is not None:
        recipe = anchored_as(recipe, registry.load(champion.number))
    dataset = build_dataset(recipe)
    version = registry.register(train(dataset, recipe, progress=progress))
    if unseen is not None:
        return promote(registry, unseen, which=version.number, unseen=True)
    if champion is not None and dataset.snapshot_date is None:
        return _not_judged(registry, version, champion)
    return promote(registry, outcome_table(recipe), which=version.number)


def _not_judged(registry: Registry, version: Version, champion: Version) -> Promotion:
    reason = (
        "The recipe has no snapshot_date, so nothing tells which rows the champion has seen: the two were "
        f"not compared. Version {version.number} is the challenger; judge it on accounts whose outcome "
        "became known after both were trained: `chs-ml promote TABLE --unseen`, or training/retrain.py with "
        "--unseen TABLE."
    )
    registry.tag(version, {"gate": "not judged", "gate_reasons": reason[:500]})
    return Promotion(promoted=False, challenger=version, champion=champion, verdict=None, reasons=(reason,))


def outcome_table(recipe: Recipe) -> pd.DataFrame:
    """The table of metrics and outcomes that a recipe names, or that is built from its raw tables.

    Raises
    ------
    TableError
        Where it cannot be read or built.
    """
    if not recipe.tables:
        return read_table(recipe.data_path)
    from chs_ml.raw import snapshots_of  # only raw tables need an engine

    _, table, findings = snapshots_of(recipe)
    if table is None:
        raise_errors(findings)
        raise TableError("The raw tables make no table of snapshots.")
    return table


def anchored_as(recipe: Recipe, champion: HealthModel) -> Recipe:
    """The recipe with the champion's anchor of the health scale, where it sets none itself."""
    anchor = champion.facts.get("scale", {}).get("base_rate")
    if anchor is None or recipe.scale.base_rate is not None or recipe.scale.kind != champion.scale.name:
        return recipe
    return recipe.with_base_rate(float(anchor))


def gate_spec(registry: Registry, which: str | int) -> GateSpec:
    """The gate that a registered model's recipe asks for."""
    return outcome_recipe(registry.load(which)).gate
