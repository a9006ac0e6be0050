"""The values that recipe keys may hold, and what all sections share."""

import re
from datetime import date
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _as_date(value: Any) -> Any:
    if isinstance(value, str) and _ISO_DATE.fullmatch(value):
        return date.fromisoformat(value)
    return value


def _as_plain_value(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError("must be a text, a number, true or false")


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Day = Annotated[date, BeforeValidator(_as_date)]
Value = Annotated[Any, BeforeValidator(_as_plain_value)]
Names = Annotated[tuple[str, ...], Field(strict=False)]
NameOrNames = Annotated[tuple[str, ...], Field(strict=False), BeforeValidator(_as_names)]
Values = Annotated[tuple[Value, ...], Field(strict=False)]
Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class Section(BaseModel):
    """A table of the recipe: frozen, and with no key that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
