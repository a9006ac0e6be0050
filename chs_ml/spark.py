"""Scores and explanations on Spark: the same model, the same numbers, on more machines.

Needs the extra ``spark`` (Java 17), and this package on the workers. The bundle travels inside the job as
text; each worker process reads it once.
"""

import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from chs_ml.bundle import load_model, save_model
from chs_ml.errors import InputError
from chs_ml.explanation import score_and_explain
from chs_ml.health_model import HealthModel
from chs_ml.table.parquet_files import as_frame

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Files = tuple[tuple[str, bytes], ...]

_SCORES = {
    "churn_probability": pa.float64(),
    "health_score": pa.float64(),
    "tier": pa.string(),
    "coverage": pa.float64(),
    "status": pa.string(),
    "status_detail": pa.string(),
}


def score(df: "DataFrame", model: HealthModel) -> "DataFrame":
    """Score a Spark table.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
        A column per metric, in any order; others are ignored.
    model : HealthModel
        From `train` or `load_model`.

    Returns
    -------
    pyspark.sql.DataFrame
        One row per input row: the columns that `HealthModel.score` gives, keys and kept columns included,
        with the same numbers.

    Raises
    ------
    TableError
        Where a required or kept column is missing.
    """
    _check_columns(df, model)
    return _mapped(df, model, _SCORES, _scores)


def explain(df: "DataFrame", model: HealthModel, *, reasons: int = 3) -> "DataFrame":
    """Score a Spark table, and explain each score in its own points.

    Parameters
    ----------
    df, model
        As in `score`.
    reasons : int
        At most so many reasons per row.

    Returns
    -------
    pyspark.sql.DataFrame
        As `score`, with ``base``, ``points`` (a map from metric to points) and ``reasons`` (a list of text).
    """
    if reasons < 0:
        raise InputError(f"The number of reasons must not be negative; got {reasons}.")
    _check_columns(df, model)
    more = {
        "base": pa.float64(),
        "points": pa.map_(pa.string(), pa.float64()),
        "reasons": pa.list_(pa.string()),
    }
    return _mapped(df, model, {**_SCORES, **more}, lambda m, frame: _explained(m, frame, reasons))


def _check_columns(df: "DataFrame", model: HealthModel) -> None:
    """Refuse at once, on the driver, what every worker would refuse."""
    empty = pd.DataFrame({name: pd.Series(dtype=object) for name in df.columns})
    model.score(empty)


def _mapped(
    df: "DataFrame",
    model: HealthModel,
    columns: dict[str, pa.DataType],
    answer: Callable[[HealthModel, pd.DataFrame], pd.DataFrame],
) -> "DataFrame":
    files, (keys, kept) = _packed(model), _carried(model, df.columns)
    names = [*keys, *columns, *kept]
    schema = _spark_schema(df, names, {**keys, **kept}, columns)

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        here = _unpacked(files)
        for batch in batches:
            table = pa.Table.from_batches([batch])
            if not table.num_rows:
                continue
            found = answer(here, as_frame(table, frozenset(table.column_names)))
            arrays = {name: table[source] for name, source in {**keys, **kept}.items()}
            for name, kind in columns.items():
                arrays[name] = pa.array(found[name], type=kind, from_pandas=True)
            yield from pa.table({name: arrays[name] for name in names}).combine_chunks().to_batches()

    return df.mapInArrow(run, schema)


def _carried(model: HealthModel, names: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Column of the answer to column of the table: keys, which go first, and kept columns, which go last."""
    carried = model.carried
    columns = {"account_id": carried.account, "snapshot_date": carried.snapshot_date}
    keys = {key: name for key, name in columns.items() if name is not None and name in names}
    return keys, {name: name for name in carried.keep if name not in keys and name not in _SCORES}


def _spark_schema(
    df: "DataFrame", names: list[str], carried: dict[str, str], columns: dict[str, pa.DataType]
) -> Any:
    from pyspark.sql.types import StructField, StructType

    kinds = {name: df.schema[source].dataType for name, source in carried.items()}
    kinds |= {name: _spark_type(kind) for name, kind in columns.items()}
    return StructType([StructField(name, kinds[name]) for name in names])


def _spark_type(kind: pa.DataType) -> Any:
    from pyspark.sql import types

    if pa.types.is_map(kind):
        return types.MapType(types.StringType(), types.DoubleType())
    if pa.types.is_list(kind):
        return types.ArrayType(types.StringType())
    return types.DoubleType() if pa.types.is_floating(kind) else types.StringType()


def _scores(model: HealthModel, frame: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(model.published(model.encode(frame)).columns()).astype({"tier": object})


def _explained(model: HealthModel, frame: pd.DataFrame, n: int) -> pd.DataFrame:
    bare = frame.assign(**{name: None for name in model.carried.keep if name not in frame})
    scores, why = score_and_explain(model, bare)
    told = scores[list(_SCORES)].astype({"tier": object})
    names, points = list(why.points.columns), why.points.to_numpy()
    known = why.health_score.notna().to_numpy()
    told["base"] = why.base
    told["points"] = pd.Series(
        [list(zip(names, row, strict=True)) if k else None for k, row in zip(known, points, strict=True)],
        index=told.index,
        dtype=object,
    )
    return told.assign(reasons=why.reasons(n))


# --- the model inside the job ---


def _packed(model: HealthModel) -> Files:
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, folder)
        return tuple((path.name, path.read_bytes()) for path in sorted(Path(folder).iterdir()))


@lru_cache(maxsize=4)
def _unpacked(files: Files) -> HealthModel:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files:
            (Path(folder) / name).write_bytes(content)
        return load_model(folder)
