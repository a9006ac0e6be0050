"""The recipe: one TOML file that says which table, which metrics, and how to learn and judge.

Recipes are data. Every key is known here; a key that is not is refused, with the nearest known one.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from chs_ml.errors import RecipeError, first_few, nearest
from chs_ml.metric import DEFAULT_GROUP

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _as_date(value: Any) -> Any:
    if isinstance(value, str) and _ISO_DATE.fullmatch(value):
        return date.fromisoformat(value)
    return value


def _as_plain_value(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError("must be a text, a number, true or false")


Day = Annotated[date, BeforeValidator(_as_date)]
Value = Annotated[Any, BeforeValidator(_as_plain_value)]
Names = Annotated[tuple[str, ...], Field(strict=False)]
Values = Annotated[tuple[Value, ...], Field(strict=False)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class DataSpec(_Section):
    """Table ``[data]``: the file and the part each of its columns plays.

    Attributes
    ----------
    path : str, optional
        csv, csv.gz or parquet; relative to the recipe file.
    account : str, optional
        Column of account ids. Without it every row is an account of its own.
    outcome : str
        Column of renewal outcomes.
    churned, renewed : optional
        The value that means churned, and those that mean renewed.
    contracted_is_churn : bool
        Whether a renewal at a smaller value counts as churn.
    snapshot_date : str, optional
        Column of dates at the end of which the metrics were known; needs `horizon_days` and `account`.
    horizon_days, lead_days : int
        Days within which churn counts, and warning days left out before them.
    value, segment : str, optional
        Columns of contract value and of segment, for reports.
    ignore, keep : tuple of str
        Columns that are not read, and columns carried to the output untouched.
    as_of : date, optional
        The day until which outcomes were known: a row whose outcome window ends later is open.
    """

    path: str | None = None
    account: str | None = None
    outcome: str
    churned: Value = None
    renewed: Values | None = None
    contracted_is_churn: bool = False
    snapshot_date: str | None = None
    horizon_days: Annotated[int, Field(ge=1)] | None = None
    lead_days: Annotated[int, Field(ge=0)] = 0
    value: str | None = None
    segment: str | None = None
    ignore: Names = ()
    keep: Names = ()
    as_of: Day | None = None

    @model_validator(mode="after")
    def _dates_are_complete(self) -> Self:
        if self.snapshot_date is None:
            if self.as_of is not None:
                raise ValueError("as_of needs snapshot_date: without it no outcome window has an end")
            return self
        for key in ("horizon_days", "account"):
            if getattr(self, key) is None:
                raise ValueError(
                    f"snapshot_date needs {key}: training rows whose outcome window reaches the test are "
                    f"left out, and that takes the window's length and who is who"
                )
        return self

    @model_validator(mode="after")
    def _one_part_a_column(self) -> Self:
        parts = {"account": self.account, "outcome": self.outcome, "snapshot_date": self.snapshot_date}
        named = [name for name in parts.values() if name is not None]
        if len(set(named)) < len(named):
            raise ValueError(f"account, outcome and snapshot_date must be different columns; got {named}")
        if self.renewed is not None and self.churned is None:
            raise ValueError("renewed needs churned, the value that means churn")
        return self

    @property
    def key_columns(self) -> tuple[str, ...]:
        """Columns that are never metrics: account, outcome and snapshot date."""
        return tuple(name for name in (self.account, self.outcome, self.snapshot_date) if name is not None)


class MetricSpec(_Section):
    """Table ``[metrics.NAME]``: what is known about one column. Every key may be left out."""

    group: str = DEFAULT_GROUP
    direction: Literal["higher", "lower", "unknown"] = "unknown"
    kind: Literal["number", "category", "yes/no", "date"] | None = None
    unit: str = ""
    label: str = ""
    required: bool = True


class SplitSpec(_Section):
    """Table ``[split]``: how accounts or months are set aside for the test."""

    test_share: Share = 0.25
    test_from: Day | None = None
    random_state: Annotated[int, Field(ge=0, lt=2**31)] = 0
    refit: bool = False


class ModelSpec(_Section):
    """Table ``[model]``: what is learned, and when learning is refused."""

    kind: Literal["blend", "scorecard"] = "blend"
    prior: str | None = None
    random_state: Annotated[int, Field(ge=0, lt=2**31)] = 0
    bootstrap: Annotated[int, Field(ge=0)] = 200
    min_events_per_weight: Annotated[float, Field(ge=0.0)] = 2.0
    coverage_floor: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    threads: Annotated[int, Field(ge=1)] | None = None
    folds: Annotated[int, Field(ge=2)] = 5


class ScaleSpec(_Section):
    """Table ``[scale]``: how risk becomes health."""

    kind: Literal["anchored", "retention"] = "anchored"
    base_rate: Share | None = None


_DEFAULT_TIERS = {"Healthy": 75.0, "At-Risk": 50.0, "Critical": 0.0}


class Recipe(_Section):
    """A recipe, checked. Make one with `load_recipe`."""

    data: DataSpec
    metrics: dict[str, MetricSpec] = Field(default_factory=dict)
    split: SplitSpec = SplitSpec()
    model: ModelSpec = ModelSpec()
    scale: ScaleSpec = ScaleSpec()
    tiers: dict[str, float] = Field(default_factory=lambda: dict(_DEFAULT_TIERS))
    _folder: Path = PrivateAttr(default_factory=Path)

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
        both = [name for name in self.metrics if name in self.data.ignore]
        if both:
            raise ValueError(f"[metrics] and [data] ignore both name {first_few(both)}")
        return self

    @property
    def data_path(self) -> Path:
        """Path of the table.

        Raises
        ------
        RecipeError
            Where the recipe names none.
        """
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

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain values that `load_recipe` takes, without the folders of a machine.

        The path of the table is left out, and of the prior only the file name stays.
        """
        plain = self.model_dump(mode="json")
        del plain["data"]["path"]
        if self.model.prior is not None:
            plain["model"]["prior"] = Path(self.model.prior).name
        return plain


def load_recipe(source: str | Path | Mapping[str, Any]) -> Recipe:
    """Load a recipe from a TOML file, or from a mapping of the same form.

    Parameters
    ----------
    source : str, Path or mapping
        Paths inside a file are relative to it; inside a mapping, to the working folder.

    Returns
    -------
    Recipe
        Frozen.

    Raises
    ------
    RecipeError
        Where the file is absent or no TOML, a key is unknown or missing, or a value cannot be.
    """
    if isinstance(source, Mapping):
        return _checked(source, "The recipe")
    path = Path(source)
    recipe = _checked(_parsed(path), f"The recipe {path.name}")
    recipe._folder = path.parent
    return recipe


def _parsed(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise RecipeError(f"No recipe at {path}: {'it is a folder' if path.is_dir() else 'no such file'}.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"The recipe {path.name} is not valid TOML: {error}.") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"The recipe {path.name} must be UTF-8 text; {error.reason}.") from error
    except OSError as error:
        raise RecipeError(f"The recipe {path} cannot be read: {error.strerror}.") from error


def _checked(content: Mapping[str, Any], name: str) -> Recipe:
    try:
        return Recipe.model_validate(dict(content))
    except ValidationError as error:
        found = [_in_words(details) for details in error.errors(include_url=False)]
        message = found[0] if len(found) == 1 else "\n- ".join([f"{len(found)} problems:", *found])
        raise RecipeError(f"{name}: {message}") from error


_SECTIONS: dict[str, type[BaseModel]] = {
    "data": DataSpec,
    "split": SplitSpec,
    "model": ModelSpec,
    "scale": ScaleSpec,
}
_MUST_BE = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false, without quotes",
    "tuple_type": 'a list such as ["a", "b"]',
    "date_type": "a date such as 2024-01-31",
    "date_from_datetime_inexact": "a date such as 2024-01-31",
    "model_type": "a table of keys",
    "model_attributes_type": "a table of keys",
    "dict_type": "a table of keys",
}


def _in_words(details: ErrorDetails) -> str:
    place, kind, found = details["loc"], details["type"], details["input"]
    where = _key_path(place)
    if kind == "extra_forbidden":
        return _unknown_key(place)
    if kind == "missing":
        return f"{where} is missing: it must be given."
    if kind == "value_error":
        return f"{where} {details['ctx']['error']}.".lstrip().replace("..", ".")
    if kind in _MUST_BE:
        return f"{where} must be {_MUST_BE[kind]}; got {found!r}."
    rule = details["msg"].removeprefix("Input should be ").replace("'", '"')
    hint = nearest(found, re.findall(r'"(.+?)"', rule)) if isinstance(found, str) else ""
    return f"{where} must be {rule}; got {found!r}.{hint}"


def _key_path(place: tuple[int | str, ...]) -> str:
    tables = 2 if place[:1] == ("metrics",) else 1
    section = ".".join(str(part) for part in place[:tables])
    rest = ".".join(str(part) for part in place[tables:])
    return f"[{section}] {rest}".strip() if section else ""


def _unknown_key(place: tuple[int | str, ...]) -> str:
    key = str(place[-1])
    if len(place) == 1:
        homes = [name for name, spec in _SECTIONS.items() if key in spec.model_fields]
        hint = f" Did you mean '[{homes[0]}] {key}'?" if homes else nearest(key, Recipe.model_fields)
        return f"Unknown table or key [{key}].{hint or _known(Recipe)}"
    spec = MetricSpec if place[0] == "metrics" else _SECTIONS[str(place[0])]
    return f"Unknown key {_key_path(place)}.{nearest(key, spec.model_fields) or _known(spec)}"


def _known(spec: type[BaseModel]) -> str:
    return f" Known: {', '.join(spec.model_fields)}."
