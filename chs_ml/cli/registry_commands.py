"""Commands of the registry: ``register``, ``promote`` and ``rollback``."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from chs_ml.cli.data_commands import JSON
from chs_ml.cli.running import as_json, say

if TYPE_CHECKING:
    from chs_ml.recipe import GateSpec

REGISTRY = typer.Option(
    None,
    "--registry",
    help="Folder or MLflow tracking URI; by default MLFLOW_TRACKING_URI, else models/registry.",
)
NAME = typer.Option("customer-health", "--name", help="Name of the registered model.")


def register(
    model: Path = typer.Argument(help="Saved model."),
    registry: str | None = REGISTRY,
    name: str = NAME,
    json: bool = JSON,
) -> None:
    """Put a saved model into the registry, as the challenger."""
    from chs_ml.bundle import load_model
    from chs_ml.registry import Registry

    made = Registry.at(registry, name=name).register(load_model(model))
    if json:
        say(as_json({"name": made.name, "version": made.number, "run": made.run_id, **made.tags}))
        return
    say(f"Version {made.number} of {made.name}, the challenger: {made.uri}")


def promote(
    data: Path = typer.Argument(help="Table with outcomes and the metrics of both models."),
    version: int | None = typer.Option(None, help="Version; the challenger by default."),
    registry: str | None = REGISTRY,
    name: str = NAME,
    statistic: str | None = typer.Option(None, help="Decides: log_loss or auc; by default the recipe's."),
    margin: float | None = typer.Option(
        None, min=0, help="The gain must exceed it; by default the recipe's."
    ),
    unseen: bool = typer.Option(False, "--unseen", help="Neither model was trained on any of these rows."),
    json: bool = JSON,
) -> None:
    """Judge the challenger against the champion; promote it where the gate lets it pass.

    Both are judged on the latest matured rows that neither has seen. Exit code 1 where it is not promoted.
    """
    from chs_ml import promotion
    from chs_ml.registry import CHALLENGER, Registry
    from chs_ml.table import read_table

    place = Registry.at(registry, name=name)
    which = CHALLENGER if version is None else version
    found = promotion.promote(
        place,
        read_table(data),
        which=which,
        spec=_spec(statistic, margin, promotion.gate_spec(place, which)),
        unseen=unseen,
    )
    say(as_json(found.to_dict()) if json else found.to_text())
    raise typer.Exit(int(not found.promoted))


def rollback(registry: str | None = REGISTRY, name: str = NAME, json: bool = JSON) -> None:
    """Make the champion before the present one the champion again."""
    from chs_ml.registry import Registry

    restored = Registry.at(registry, name=name).rollback()
    if json:
        say(as_json({"name": restored.name, "version": restored.number, **restored.tags}))
        return
    say(f"Version {restored.number} of {restored.name} is the champion again.")


def _spec(statistic: str | None, margin: float | None, said: "GateSpec") -> "GateSpec":
    if statistic not in (None, "log_loss", "auc"):
        raise typer.BadParameter(f"--statistic must be log_loss or auc; got {statistic!r}.")
    given = {
        name: value for name, value in (("statistic", statistic), ("margin", margin)) if value is not None
    }
    return said.model_copy(update=given)
