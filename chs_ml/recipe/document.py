"""The whole recipe: all sections, and what must hold between them."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from chs_ml.errors import RecipeError, first_few, nearest
from chs_ml.recipe.raw_sections import MetricSpec, OutcomeSpec, SnapshotSpec, TableSpec
from chs_ml.recipe.sections import DataSpec, ModelSpec, ScaleSpec, SplitSpec
from chs_ml.recipe.serving_sections import GateSpec, WritebackSpec
from chs_ml.recipe.validation_section import ValidationSpec
from chs_ml.recipe.values import Section

_DESCRIPTION = ("group", "direction", "kind", "unit", "label", "required")
_DEFAULT_TIERS = {"Healthy": 75.0, "At-Risk": 50.0, "Critical": 0.0}


class Recipe(Section):
    """A recipe, checked. Make one with `load_recipe`."""

    data: DataSpec
    metrics: dict[str, MetricSpec] = Field(default_factory=dict)
    split: SplitSpec = SplitSpec()
    model: ModelSpec = ModelSpec()
    scale: ScaleSpec = ScaleSpec()
    tiers: dict[str, float] = Field(default_factory=lambda: dict(_DEFAULT_TIERS))
    validation: ValidationSpec = ValidationSpec()
    tables: dict[str, TableSpec] = Field(default_factory=dict)
    snapshots: SnapshotSpec | None = None
    outcomes: OutcomeSpec | None = None
    gate: GateSpec = GateSpec()
    writeback: WritebackSpec = WritebackSpec()
    _folder: Path = PrivateAttr(default_factory=Path)

    @model_validator(mode="before")
    @classmethod
    def _data_of_raw_tables(cls, content: Any) -> Any:
        """With [tables], [data] describes the snapshot table that is made from them."""
        if not isinstance(content, Mapping) or not content.get("tables"):
            return content
        return {**content, "data": _snapshot_table(content)}

    @model_validator(mode="before")
    @classmethod
    def _later_columns_are_no_metrics(cls, content: Any) -> Any:
        """What is filled in after the snapshot judges only: [data] does not read it."""
        return _without_later_columns(content) if isinstance(content, Mapping) else content

    @field_validator("tiers")
    @classmethod
    def _tiers_fall(cls, tiers: dict[str, float]) -> dict[str, float]:
        if tiers == _DEFAULT_TIERS:
            return tiers
        from chs_ml.tiers import Tiers  # it loads pandas, for which the command line's help does not wait

        try:
            Tiers.from_bounds(tiers)
        except RecipeError as error:
            raise ValueError(str(error)) from error
        return tiers

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        if self.split.test_from is not None and self.data.snapshot_date is None:
            raise ValueError("[split] test_from needs [data] snapshot_date")
        taken = [name for name in self.metrics if name in self.data.key_columns]
        if taken:
            raise ValueError(
                f"the account, outcome and snapshot date are no metrics; [metrics] names {taken}"
            )
        later = [name for name in self.metrics if name in self.validation.later_columns]
        if later:
            raise ValueError(
                f"[validation] treated and churn_date are known only after the snapshot and are no metrics; "
                f"[metrics] names {later}"
            )
        both = [name for name in self.metrics if name in self.data.ignore]
        if both:
            raise ValueError(f"[metrics] and [data] ignore both name {first_few(both)}")
        return self

    @model_validator(mode="after")
    def _promises_name_tiers(self) -> Self:
        for promise in self.validation.promises:
            if promise.tier not in self.tiers:
                raise ValueError(
                    f"[[validation.promises]] names the tier {promise.tier!r}; [tiers] has "
                    f"{', '.join(self.tiers)}"
                )
        return self

    @model_validator(mode="after")
    def _raw_sections_agree(self) -> Self:
        if not self.tables:
            stray = [name for name in ("snapshots", "outcomes") if getattr(self, name) is not None]
            stray += [f"metrics.{name}" for name, spec in self.metrics.items() if spec.is_defined]
            if stray:
                raise ValueError(
                    f"[{stray[0]}] makes something from raw tables, and the recipe has no [tables]"
                )
            return self
        for section in ("snapshots", "outcomes"):
            if getattr(self, section) is None:
                raise ValueError(f"a recipe with [tables] needs [{section}] too")
        problem = next(raw_problems(self), None)
        if problem:
            raise ValueError(problem)
        return self

    @property
    def data_path(self) -> Path:
        """Path of the table, or of the folder that the paths of raw tables start from.

        Raises
        ------
        RecipeError
            Where the recipe names none.
        """
        if self.tables:
            return self._folder / (self.data.path or "")
        if self.data.path is None:
            raise RecipeError("The recipe names no table: set [data] path, or give a table.")
        return self._folder / self.data.path

    @property
    def prior_path(self) -> Path | None:
        """Path of the prior scorecard, None where there is none."""
        return None if self.model.prior is None else self._folder / self.model.prior

    def with_data(self, path: str | Path) -> "Recipe":
        """Return the recipe with another table; a relative path is relative to the working folder."""
        there = str(Path(path).absolute())
        return self.model_copy(update={"data": self.data.model_copy(update={"path": there})})

    def with_bootstrap(self, replicates: int) -> "Recipe":
        """Return the recipe with so many replicates for the intervals of the weights."""
        model = self.model.model_copy(update={"bootstrap": replicates})
        return self.model_copy(update={"model": model})

    def with_base_rate(self, base_rate: float) -> "Recipe":
        """Return the recipe with the health scale anchored at this churn rate."""
        scale = self.scale.model_copy(update={"base_rate": base_rate})
        return self.model_copy(update={"scale": scale})

    def as_of(self, day: date) -> "Recipe":
        """Return the recipe for one snapshot of all customers at the end of a day, for scoring.

        The day is the data cut too: nothing after it is used, and all outcomes are open.

        Raises
        ------
        RecipeError
            Where the recipe has no raw tables, or their rows have no dates.
        """
        if self.snapshots is None or self.snapshots.kind == "undated":
            raise RecipeError("A snapshot as of a day needs raw tables with dates: [tables] and [snapshots].")
        changes = {"kind": "calendar", "every": "day", "first": day, "last": day, "data_cut": day}
        horizon = self.snapshots.horizon_days or 1
        snapshots = self.snapshots.model_copy(update={**changes, "horizon_days": horizon})
        return self.model_copy(update={"snapshots": snapshots})

    def table_paths(self) -> dict[str, Path]:
        """Paths of the raw tables, by name."""
        return {name: self.data_path / table.path for name, table in self.tables.items()}

    def with_metrics(self, definitions: Mapping[str, Mapping[str, Any]]) -> "Recipe":
        """Return the recipe with more metric definitions, as a recipe would write them.

        What the recipe itself says about a metric of that name goes first; a metric that ``[data] ignore``
        names is left out.
        """
        ignored = set(self.data.ignore)
        metrics = {
            name: spec for name, spec in self.metrics.items() if spec.is_defined or name in definitions
        }
        for name, content in definitions.items():
            own = self.metrics.get(name)
            if own is None or not own.is_defined:
                said = {} if own is None else own.model_dump(include=own.model_fields_set)
                metrics[name] = MetricSpec.model_validate({**content, **said})
        metrics |= {name: spec for name, spec in self.metrics.items() if name not in metrics}
        kept = {name: spec for name, spec in metrics.items() if name not in ignored}
        return self.model_copy(update={"metrics": kept})

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain values that `load_recipe` takes, without the folders of a machine.

        The path of the table and the number of threads are left out, and of the prior only the file name
        stays.
        """
        plain = self.model_dump(mode="json", by_alias=True)
        del plain["data"]["path"], plain["model"]["threads"]
        for name, spec in self.metrics.items():
            if not spec.is_defined:
                said = set(spec.model_fields_set if self.tables else _DESCRIPTION)  # the catalogue, the rest
                said |= set() if spec.model else {"model"}
                plain["metrics"][name] = {
                    key: plain["metrics"][name][key] for key in (*_DESCRIPTION, "model") if key in said
                }
        if self.model.prior is not None:
            plain["model"]["prior"] = Path(self.model.prior).name
        for table in plain["tables"].values():
            table["path"] = Path(table["path"]).name
        if not self.tables:
            for section in ("tables", "snapshots", "outcomes"):
                del plain[section]
        return plain


def _without_later_columns(content: Mapping[str, Any]) -> Mapping[str, Any]:
    judging, data = content.get("validation"), content.get("data", {} if content.get("tables") else None)
    if not isinstance(judging, Mapping) or not isinstance(data, Mapping):
        return content
    ignored, kept = data.get("ignore", ()), data.get("keep", ())
    if not isinstance(ignored, list | tuple) or not isinstance(kept, list | tuple):
        return content
    later = [judging.get(key) for key in ("treated", "churn_date")]
    more = [name for name in later if isinstance(name, str) and name not in (*ignored, *kept)]
    return {**content, "data": {**data, "ignore": [*ignored, *more]}} if more else content


def _snapshot_table(content: Mapping[str, Any]) -> Any:
    """[data] of a recipe with raw tables: its columns have fixed names."""
    said, snapshots = content.get("data", {}), content.get("snapshots")
    if not isinstance(said, Mapping) or not isinstance(snapshots, Mapping):
        return said if isinstance(said, Mapping) and "outcome" in said else {"outcome": "outcome"}
    fixed: dict[str, Any] = {"account": "account_id", "outcome": "outcome"}
    if snapshots.get("kind") != "undated":
        grace = (
            content["outcomes"].get("grace_days", 0) if isinstance(content.get("outcomes"), Mapping) else 0
        )
        fixed |= {"snapshot_date": "snapshot_date", "horizon_days": snapshots.get("horizon_days") or 1}
        fixed |= {"lead_days": snapshots.get("lead_days", 0), "settle_days": grace}
    for key, value in fixed.items():
        if said.get(key, value) != value:
            raise ValueError(
                f"[data] {key} cannot be set in a recipe with [tables], where it is {value!r}: [snapshots] "
                "and [outcomes] say it"
            )
    return {**said, **fixed}


def raw_problems(recipe: Recipe) -> Iterator[str]:
    """What the sections about raw tables get wrong about each other, in words."""
    tables, outcomes, snapshots = recipe.tables, recipe.outcomes, recipe.snapshots
    if outcomes is None or snapshots is None:
        return
    for name, table in tables.items():
        problem = table.problems(name)
        if problem:
            yield f"[tables.{name}] {problem}"
        if table.account_from is not None and table.account_from.table not in tables:
            hint = _near(table.account_from.table, tables)
            yield f"[tables.{name}] account_from names no table of this recipe{hint}"
    for name in (outcomes.from_, *outcomes.compare):
        if name not in tables:
            yield f"[outcomes] names the table {name!r}, which the recipe has not{_near(name, tables)}"
    yield from _outcome_problems(tables, outcomes, dated=snapshots.kind != "undated")
    for name, spec in recipe.metrics.items():
        if spec.from_ is not None and spec.from_ not in tables:
            yield f"[metrics.{name}] from names no table of this recipe{_near(spec.from_, tables)}"
        if spec.from_ in tables:
            yield from _contract_problems(name, spec, tables[spec.from_])


def _contract_problems(name: str, spec: MetricSpec, table: TableSpec) -> Iterator[str]:
    is_contracts = table.kind(str(spec.from_)) == "contracts"
    if spec.active and not is_contracts:
        yield f"[metrics.{name}] active is for tables of role contracts"
    if spec.measure == "upsells" and not (is_contracts and "mrr" in table.columns):
        yield f"[metrics.{name}] upsells are those of a table of role contracts with the column mrr"


def _outcome_problems(
    tables: Mapping[str, TableSpec], outcomes: OutcomeSpec, *, dated: bool
) -> Iterator[str]:
    role = tables[outcomes.from_].kind(outcomes.from_) if outcomes.from_ in tables else "other"
    if not dated and outcomes.column is None:
        yield '[outcomes] with kind = "undated" needs column, the outcome of each account'
    if dated and role not in ("contracts", "renewals", "cancellations"):
        yield f"[outcomes] from must be a table of role contracts, renewals or cancellations; got {role}"
    if dated and not any(table.kind(name) == "contracts" for name, table in tables.items()):
        yield "dated snapshots need a table of role contracts: who is a customer on which day"


def _near(name: str, known: Iterable[str]) -> str:
    return nearest(name, known).rstrip("?") or f" (known: {', '.join(known)})"
