"""What a registered model leaves behind: parameters, statistics, report and facts."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chs_ml.health_model import HealthModel
from chs_ml.validation.plain import to_plain

_LONGEST = 500
"""MLflow's shortest limit of a parameter's length, over its stores."""

_TOLD = ("split", "model", "scale", "tiers", "data", "gate")


def parameters(model: HealthModel) -> dict[str, str]:
    """Settings of the recipe, as ``section.key``; the metrics are in the facts."""
    recipe = model.facts.get("recipe", {})
    found: dict[str, str] = {}
    for section in _TOLD:
        found |= dict(_flat(recipe.get(section, {}), section))
    return {name: text[:_LONGEST] for name, text in found.items()}


def _flat(value: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{_allowed(key)}")
    elif value not in (None, [], ()):
        yield name, value if isinstance(value, str) else json.dumps(value)


def _allowed(name: object) -> str:
    """A name as MLflow takes it."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in str(name))


def statistics(model: HealthModel) -> dict[str, float]:
    """Statistics of the report with the ends of their intervals, and the size of the training data."""
    found = {
        name: float(model.facts[name]) for name in ("rows", "churned", "base_rate") if name in model.facts
    }
    for statistic in () if model.report is None else model.report.statistics:
        found[statistic.name] = statistic.value
        found[f"{statistic.name}_low"] = statistic.interval.low
        found[f"{statistic.name}_high"] = statistic.interval.high
    return {name: value for name, value in found.items() if math.isfinite(value)}


def tags(model: HealthModel, fingerprint: str) -> dict[str, str]:
    """What a version is known by."""
    report, period = model.report, model.facts.get("snapshots")
    found = {
        "fingerprint": fingerprint,
        "data_fingerprint": model.facts.get("data_fingerprint", ""),
        "validation": "none" if report is None else report.verdict.value,
        "trained_until": period[1] if period else "",
    }
    return {name: value for name, value in found.items() if value}


def write_documents(model: HealthModel, folder: Path) -> None:
    """Report and facts as files that people and programs read."""
    folder.mkdir()
    facts = json.dumps(to_plain(model.facts), indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "facts.json").write_text(f"{facts}\n", encoding="utf-8")
    if model.report is not None:
        (folder / "report.json").write_text(f"{model.report.to_json()}\n", encoding="utf-8")
        (folder / "report.md").write_text(f"{model.report.to_markdown()}\n", encoding="utf-8")
