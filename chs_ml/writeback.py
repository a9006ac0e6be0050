"""Writing scores back: files that CRMs take, with their own field names.

Salesforce: CSV for Bulk API 2.0. HubSpot: JSON for the batch upsert of companies. The recipe maps columns of
the scores to fields; each account is written once, at its latest snapshot.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from chs_ml.errors import InputError, TableError, first_few, nearest
from chs_ml.files import write_atomically
from chs_ml.outcome import plain_text
from chs_ml.recipe import HubSpotSpec, Recipe, SalesforceSpec
from chs_ml.values import calendar_days

ACCOUNT = "account_id"
SNAPSHOT = "snapshot_date"
SALESFORCE_NULL = "#N/A"
"""What empties a field in Bulk API 2.0; an empty cell leaves the field as it is."""
SALESFORCE_BYTES = 100_000_000
"""Size of an upload that Bulk API 2.0 takes, base64 counted in: 150 MB at most, 100 MB advised."""
HUBSPOT_INPUTS = 100
"""Records of one batch request."""

_SHARES = ("churn_probability", "coverage")


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written.

    Attributes
    ----------
    files : tuple of Path
        In order; one upload or request body list each.
    accounts : int
        Accounts in them.
    unchanged : int
        Accounts left out because nothing that the CRM sees has changed.
    """

    files: tuple[Path, ...]
    accounts: int
    unchanged: int


def write_salesforce(
    scores: pd.DataFrame, path: str | Path, spec: SalesforceSpec, *, previous: pd.DataFrame | None = None
) -> Written:
    """Write scores as CSV for Salesforce's Bulk API 2.0.

    Parameters
    ----------
    scores : DataFrame
        As `HealthModel.score` gives it, with ``account_id``.
    path : str or Path
        Ends in .csv. Further uploads, where one is not enough, get ``-2``, ``-3``, ... before the ending.
    spec : SalesforceSpec
        Field names.
    previous : DataFrame, optional
        The scores written last; accounts whose fields have the same content are left out.

    Returns
    -------
    Written
        No file where nothing has changed.
    """
    rows, unchanged = _changed(scores, previous, spec)
    names = [spec.external_id, *spec.fields.values()]
    parts = list(_csv_parts(names, rows))
    return _written(Path(path), parts, accounts=len(rows), unchanged=unchanged)


def write_hubspot(
    scores: pd.DataFrame, path: str | Path, spec: HubSpotSpec, *, previous: pd.DataFrame | None = None
) -> Written:
    """Write scores as JSON lines for HubSpot's batch upsert: each line is the body of one request.

    Parameters
    ----------
    scores, previous
        As in `write_salesforce`.
    path : str or Path
        One file; a line holds at most 100 companies.
    spec : HubSpotSpec
        Property names.
    """
    rows, unchanged = _changed(scores, previous, spec)
    names = list(spec.fields.values())
    inputs = [
        {
            "id": account,
            "idProperty": spec.id_property,
            # an empty text empties a property
            "properties": {name: value or "" for name, value in zip(names, values, strict=True)},
        }
        for account, values in rows.items()
    ]
    bodies = [
        json.dumps({"inputs": inputs[start : start + HUBSPOT_INPUTS]})
        for start in range(0, len(inputs), HUBSPOT_INPUTS)
    ]
    content = "".join(f"{body}\n" for body in bodies).encode()
    return _written(Path(path), [content] if bodies else [], accounts=len(rows), unchanged=unchanged)


def target_spec(recipe: Recipe, target: str) -> Any:
    """The recipe's section about a CRM.

    Raises
    ------
    InputError
        Where it has none.
    """
    spec = getattr(recipe.writeback, target, None)
    if spec is None:
        raise InputError(
            f"The recipe must map scores to fields: [writeback.{target}.fields] is missing. For example "
            'health_score = "Health_Score__c".'
        )
    return spec


Texts = dict[str, tuple[str | None, ...]]


def _changed(
    scores: pd.DataFrame, previous: pd.DataFrame | None, spec: SalesforceSpec | HubSpotSpec
) -> tuple[Texts, int]:
    now = _texts(scores, spec)
    before = {} if previous is None else _texts(previous, spec)
    rows = {account: values for account, values in now.items() if before.get(account) != values}
    return rows, len(now) - len(rows)


def _texts(scores: pd.DataFrame, spec: SalesforceSpec | HubSpotSpec) -> Texts:
    """Per account, what each field will hold; None for nothing."""
    for name in (ACCOUNT, *spec.fields):
        if name not in scores.columns:
            raise TableError(f"The scores have no column {name!r}.{nearest(name, scores.columns)}")
    latest = _latest(scores)
    accounts = [plain_text(value) for value in latest[ACCOUNT].tolist()]
    columns = [[_text(value, name, spec) for value in latest[name].tolist()] for name in spec.fields]
    return dict(zip(accounts, zip(*columns, strict=True), strict=True))


def _latest(scores: pd.DataFrame) -> pd.DataFrame:
    blank = scores[ACCOUNT].isna() | scores[ACCOUNT].map(lambda value: not str(value).strip())
    if blank.any():
        raise TableError(f"Every score must have an account id; {int(blank.sum()):,} have none.")
    found = scores
    if SNAPSHOT in scores.columns:
        order = pd.Series(calendar_days(scores[SNAPSHOT]), index=scores.index).argsort(kind="stable")
        found = scores.iloc[order].groupby(ACCOUNT, sort=False).tail(1).sort_index(kind="stable")
        same_day = scores[[ACCOUNT, SNAPSHOT]].duplicated()
        twice = scores.loc[same_day, ACCOUNT]
    else:
        twice = scores.loc[scores[ACCOUNT].duplicated(), ACCOUNT]
    if len(twice):
        raise TableError(
            f"An account must have one score a day; {len(twice):,} rows are a second one: {first_few(twice)}."
        )
    return found


def _text(value: Any, name: str, spec: SalesforceSpec | HubSpotSpec) -> str | None:
    if value is None or value is pd.NaT or pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return str(value.date())
    if name in ("health_score", *_SHARES):
        decimals = spec.probability_decimals if name in _SHARES else spec.decimals
        return f"{float(value):.{decimals}f}"
    return plain_text(value)


def _csv_parts(names: list[str], rows: Texts) -> Iterator[bytes]:
    head = _line(names)
    lines, size = [head], len(head)
    for account, values in rows.items():
        line = _line([account, *(SALESFORCE_NULL if value is None else value for value in values)])
        if size + len(line) > SALESFORCE_BYTES:
            yield b"".join(lines)
            lines, size = [head], len(head)
        lines.append(line)
        size += len(line)
    if len(lines) > 1:
        yield b"".join(lines)


def _line(cells: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()


def _written(path: Path, parts: list[bytes], *, accounts: int, unchanged: int) -> Written:
    files = [path if i == 0 else path.with_stem(f"{path.stem}-{i + 1}") for i in range(len(parts))]
    try:
        for file, content in zip(files, parts, strict=True):
            write_atomically(file, content)
    except OSError as error:
        raise InputError(f"Cannot write {path}: {error.strerror}.") from error
    return Written(files=tuple(files), accounts=accounts, unchanged=unchanged)
