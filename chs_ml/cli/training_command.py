"""The command ``train``."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from chs_ml.cli.data_commands import DATA, JSON
from chs_ml.cli.registry_commands import NAME, REGISTRY
from chs_ml.cli.running import Progress, as_json, progress_bars, say

if TYPE_CHECKING:
    from chs_ml.health_model import HealthModel
    from chs_ml.recipe import Recipe
    from chs_ml.registry import Version


def train(
    recipe: Path = typer.Argument(help="Recipe (TOML)."),
    data: Path | None = DATA,
    out: Path | None = typer.Option(
        None, help="Folder of the model; models/<name of the recipe> by default."
    ),
    threads: int | None = typer.Option(None, min=1, help="Threads; the model does not depend on it."),
    register: bool = typer.Option(
        False, "--register", help="Put the model into the registry too, as the challenger."
    ),
    registry: str | None = REGISTRY,
    name: str = NAME,
    json: bool = JSON,
) -> None:
    """Train a model, judge it on rows it has not seen, and save it.

    A model that stands at the same place is replaced. Exit code 0 says that a model was trained, whatever the
    verdict on it; 1, that there are too few churns to learn from.
    """
    from chs_ml import bundle, training
    from chs_ml.dataset import build_dataset
    from chs_ml.recipe import load_recipe

    spec = _with(load_recipe(recipe), data=data, threads=threads)
    place = Path("models") / recipe.stem if out is None else out
    bundle.check_place(place)
    clock = StageClock()
    with progress_bars() as show:
        clock.next("reading the table")
        dataset = build_dataset(spec)
        model = training.train(dataset, spec, progress=clock.watching(show))
    clock.next("saving")
    fingerprint = bundle.save_model(model, place)
    log = _write_run_log(place, clock, recipe=recipe, spec=spec, fingerprint=fingerprint)
    version = _registered(model, registry, name) if register else None
    if json:
        told = {} if version is None else {"registered": version.uri}
        say(as_json({"model": str(place), "run_log": str(log), **told, **_result(model, fingerprint)}))
        return
    from chs_ml.cli.texts import training_text

    say(training_text(model))
    say(f"\nModel: {place}\nRun log: {log}")
    if version is not None:
        say(f"Registered as the challenger: {version.uri}")


def _registered(model: "HealthModel", registry: str | None, name: str) -> "Version":
    from chs_ml.registry import Registry

    return Registry.at(registry, name=name).register(model)


def _with(recipe: "Recipe", *, data: Path | None, threads: int | None) -> "Recipe":
    if data is not None:
        recipe = recipe.with_data(data)
    if threads is None:
        return recipe
    return recipe.model_copy(update={"model": recipe.model.model_copy(update={"threads": threads})})


def _result(model: "HealthModel", fingerprint: str) -> dict[str, Any]:
    report = None if model.report is None else model.report.to_dict()
    return {"fingerprint": fingerprint, "facts": dict(model.facts), "report": report}


class StageClock:
    """Measures how long each stage takes; for the run log, never for the model."""

    def __init__(self) -> None:
        self.started = time.time()
        self.seconds: dict[str, float] = {}
        self._stage, self._since = "", time.perf_counter()

    def next(self, stage: str) -> None:
        """End a stage and begin another."""
        now = time.perf_counter()
        if self._stage:
            self.seconds[self._stage] = round(self.seconds.get(self._stage, 0.0) + now - self._since, 3)
        self._stage, self._since = stage, now

    def watching(self, show: Progress) -> Progress:
        """Pass progress on, and begin a stage where its name changes."""

        def progress(stage: str, done: int, total: int) -> None:
            if stage != self._stage:
                self.next(stage)
            show(stage, done, total)

        return progress


def _write_run_log(place: Path, clock: StageClock, *, recipe: Path, spec: "Recipe", fingerprint: str) -> Path:
    """Write what differs from run to run, so that the model need not: clock, host, paths, threads."""
    import os
    import platform
    from datetime import UTC, datetime

    from chs_ml.files import write_atomically

    clock.next("")
    log = {
        "started": datetime.fromtimestamp(clock.started, UTC).isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": {**clock.seconds, "all": round(sum(clock.seconds.values()), 3)},
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "threads": spec.model.threads,
        "recipe": str(recipe.absolute()),
        "data": str(spec.data_path.absolute()),
        "model": str(place.absolute()),
        "fingerprint": fingerprint,
    }
    path = place.with_name(f"{place.name}.run.json")
    write_atomically(path, f"{as_json(log)}\n".encode())
    return path
