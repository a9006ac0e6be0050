"""Reading a request: limits, JSON, accounts; errors that name the field and never echo the row."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from chs_ml.inputs import InputSchema

Row = dict[str, Any]

_PLAIN = {str, int, float, bool, type(None)}
_NUMBERS = {int, float, type(None)}
_LONGEST_INTEGER = 400
"""Digits of a whole number that are read; more are no measurement, and slow to read."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one request may ask for.

    Attributes
    ----------
    body_bytes : int
        Size of the body.
    rows : int
        Accounts per request.
    reasons : int
        Reasons per account.
    """

    body_bytes: int = 8 * 1024 * 1024
    rows: int = 10_000
    reasons: int = 20


class RefusedRequest(Exception):  # noqa: N818 - an answer, with its status, rather than an error of ours
    """A request that gets an answer other than scores.

    Attributes
    ----------
    status : int
        Status of the answer.
    message : str
        What must hold and what was found, without a value of the request.
    field : str, optional
        The field that it is about.
    row : int, optional
        The account that it is about, counted from 0.
    """

    def __init__(
        self, status: int, message: str, *, field: str | None = None, row: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.field, self.row = status, message, field, row

    @property
    def body(self) -> dict[str, Any]:
        """The answer."""
        return {"error": self.message, "field": self.field, "row": self.row}


def accounts_in(body: bytes, schema: InputSchema, carried: Sequence[str], limits: Limits) -> list[Row]:
    """The accounts of a request: each with every metric, null where an optional one is left out.

    Raises
    ------
    RefusedRequest
        Where the body is no JSON, has another form, lacks a required metric or holds too much.
    """
    content = _json(body)
    if not isinstance(content, dict) or not isinstance(content.get("accounts"), list):
        raise RefusedRequest(422, 'The body must be {"accounts": [{...}, ...]}.', field="accounts")
    rows = content["accounts"]
    if not rows:
        raise RefusedRequest(422, "accounts must hold at least one account.", field="accounts")
    if len(rows) > limits.rows:
        raise RefusedRequest(
            413, f"A request may hold at most {limits.rows:,} accounts; got {len(rows):,}.", field="accounts"
        )
    names = [*schema.inputs, *(name for name in carried if name not in schema.inputs)]
    return [_account(row, i, names, schema) for i, row in enumerate(rows)]


def reasons_in(text: str | None, limits: Limits) -> int:
    """The number of reasons that a query asks for, 3 by default."""
    if text is None:
        return 3
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or int(text) > limits.reasons:
        raise RefusedRequest(
            422, f"reasons must be a whole number from 0 to {limits.reasons}.", field="reasons"
        )
    return int(text)


def frame_of(rows: Sequence[Row]) -> pd.DataFrame:
    """Several accounts as a table: numbers as float64, and everything else value by value."""
    return pd.DataFrame({name: _column([row[name] for row in rows]) for name in rows[0]})


def _column(values: list[Any]) -> pd.Series:
    if {type(value) for value in values} <= _NUMBERS:
        try:
            return pd.Series(np.array([np.nan if v is None else float(v) for v in values], dtype=np.float64))
        except OverflowError:  # a whole number larger than any float: the door says what it is
            pass
    return pd.Series(values, dtype=object)


def _account(row: Any, i: int, names: Sequence[str], schema: InputSchema) -> Row:
    if not isinstance(row, Mapping):
        raise RefusedRequest(422, f"accounts[{i}] must be an object of metrics.", row=i)
    found = {name: row.get(name) for name in names}
    if None in found.values():  # null, or not there at all
        for name in schema.required_names:
            if name not in row:
                message = f"accounts[{i}] lacks the required metric {name!r}."
                raise RefusedRequest(422, message, field=name, row=i)
    if not _PLAIN.issuperset(map(type, found.values())):  # JSON has no subclasses
        name = next(name for name, value in found.items() if type(value) not in _PLAIN)
        message = f"accounts[{i}], {name!r}: must be a number, a text, true, false or null."
        raise RefusedRequest(422, message, field=name, row=i)
    return found


def _json(body: bytes) -> Any:
    try:
        return json.loads(body, parse_constant=_no_number, parse_int=_whole_number)
    except RecursionError:
        raise RefusedRequest(400, "The body must not nest that deep.") from None
    except json.JSONDecodeError as error:  # its own message may quote the row
        raise RefusedRequest(400, f"The body must be JSON; it breaks off at byte {error.pos}.") from None
    except ValueError:
        raise RefusedRequest(400, "The body must be JSON, in UTF-8, without NaN or Infinity.") from None


def _no_number(_: str) -> NoReturn:
    raise ValueError


def _whole_number(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float(digits)
