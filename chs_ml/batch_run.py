"""Batch runs: files or folders, resumable after a kill, and done once per model and input.

::

    scores/                 (or scores.parquet)
      part-1.parquet        one file per file of the input, under its name only when it is complete
    scores.run.json         what was scored by which model, and the sum of it
    .scores.chunks/         only while a run is under way: finished chunks and what they belong to

A run that was killed is started again with the same arguments: what is complete is kept, the rest is done,
and no row is there twice. Asked again for the same model, options and input, nothing is done.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

import chs_ml
from chs_ml.batch import ROWS_AT_ONCE, Reasons, Rows, prepare, scored_chunk
from chs_ml.errors import InputError, TableError
from chs_ml.files import remove_parts, write_atomically
from chs_ml.fingerprints import file_fingerprint
from chs_ml.health_model import HealthModel
from chs_ml.ordered import in_order
from chs_ml.table import TableWriter, iter_table, read_table, write_table
from chs_ml.table.files import ENDINGS, ending_of

SUMMARY = ".run.json"
_STATE = "state.json"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a batch run scores.

    Attributes
    ----------
    version : str
        What the model is called; with the input's fingerprint it says what a run has done.
    reasons : int
        Columns of reasons per row.
    below : str, optional
        A tier: only accounts in a less healthy one get reasons.
    stamp : bool
        Adds columns ``model_version`` and ``input_fingerprint``.
    rows : int
        Rows per chunk; the scores do not depend on it.
    """

    version: str
    reasons: int = 0
    below: str | None = None
    stamp: bool = False
    rows: int = ROWS_AT_ONCE


def run_batch(
    model: HealthModel,
    source: str | Path,
    target: str | Path,
    *,
    options: Options,
    progress: Rows | None = None,
) -> dict[str, Any]:
    """Score a file, or every table in a folder, so that a run can be killed and started again.

    Parameters
    ----------
    model : HealthModel
        From `train` or `load_model`.
    source : str or Path
        A table; or a folder, in which every file that ends in .csv, .csv.gz or .parquet is one, folders in it
        included. Names that begin with a dot or an underscore are left out.
    target : str or Path
        A table; of a folder a folder, which gets a Parquet file per input file, under the same path.
    options : Options
        Version, reasons, stamps, chunks.
    progress : callable, optional
        Called with the rows done so far.

    Returns
    -------
    dict
        The run summary, as it stands beside the target: version, options, and per file the rows, statuses and
        tiers.

    Raises
    ------
    TableError
        Where a file cannot be read or written; what is complete stays, and the error names the file.
    InputError
        Where a folder is to be written to a file, or holds no table.
    """
    here, there = Path(source), Path(target)
    pairs = _pairs(here, there)
    summary = there.with_name(f"{there.name}{SUMMARY}")
    for written in (summary, *(goal for _, _, goal in pairs)):
        remove_parts(written)
    before = _read(summary).get("files", {})
    counted, files = 0, {}
    for name, file, goal in pairs:
        key = _key(file, options)
        done = before.get(name, {})
        if done.get("key") != key or not _is_as_written(goal, done):
            watch = _after(counted, progress)
            done = _scored_file(model, file, goal, key=key, options=options, progress=watch)
        counted += done["rows"]
        files[name] = done
        # after every file: what is complete need not be done again
        _write(summary, _summed(files, options))
        if progress is not None:
            progress(counted)
    return _summed(files, options)


def _after(start: int, progress: Rows | None) -> Rows | None:
    """Count on from the rows of the files before."""
    return None if progress is None else lambda done: progress(start + done)


def _pairs(source: Path, target: Path) -> list[tuple[str, Path, Path]]:
    if not source.is_dir():
        ending_of(target)
        return [(source.name, source, target)]
    if target.is_file() or target.suffix in (".csv", ".gz", ".parquet"):
        raise InputError(f"The tables of a folder are written to a folder; {target.name} is a file.")
    if target.resolve().is_relative_to(source.resolve()):
        raise InputError("The scores of a folder must be written outside of it, or they would be its input.")
    found = sorted(path for path in source.rglob("*") if path.is_file() and _is_table(path, source))
    if not found:
        raise InputError(f"The folder {source} holds no table that ends in {', '.join(ENDINGS)}.")
    names = [path.relative_to(source) for path in found]
    goals = [target / name.with_name(f"{name.name.split('.')[0]}.parquet") for name in names]
    if len(set(goals)) < len(goals):
        raise InputError("Tables of one folder must have different names, whatever their endings.")
    return [(str(name), path, goal) for name, path, goal in zip(names, found, goals, strict=True)]


def _is_table(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    return not hidden and path.name.lower().endswith(ENDINGS)


def _key(file: Path, options: Options) -> dict[str, Any]:
    """What the scores of a file depend on."""
    try:
        fingerprint = file_fingerprint(file)
    except FileNotFoundError as error:
        raise TableError(f"No table at {file}: the file does not exist.") from error
    except OSError as error:
        raise TableError(f"The table {file} cannot be read: {error.strerror}.") from error
    return {
        "input": fingerprint,
        "model_version": options.version,
        "reasons": options.reasons,
        "below": options.below,
        "stamp": options.stamp,
        "chs_ml": chs_ml.__version__,
    }


def _is_as_written(goal: Path, done: Mapping[str, Any]) -> bool:
    return goal.is_file() and file_fingerprint(goal) == done.get("output")


def _scored_file(
    model: HealthModel,
    file: Path,
    goal: Path,
    *,
    key: Mapping[str, Any],
    options: Options,
    progress: Rows | None,
) -> dict[str, Any]:
    chunks = _Chunks.at(goal, {**key, "rows": options.rows})
    reasons = Reasons.of(model, options.reasons, below=options.below)
    prepare(model, reasons)

    def work(part: tuple[int, pd.DataFrame]) -> int:
        i, frame = part
        if not chunks.has(i):
            chunks.put(i, _stamped(scored_chunk(model, frame, reasons), key, options))
        return int(frame.index[-1]) + 1

    count = 0
    for rows in in_order(work, enumerate(_read_through(file, options.rows))):
        count += 1
        if progress is not None:
            progress(rows)
    tally = _Tally()
    with TableWriter(goal) as writer:
        for i in range(count):
            scores = chunks.get(i)
            tally.add(scores)
            writer.write(scores)
    done = {"key": dict(key), "output": file_fingerprint(goal), **tally.to_dict()}
    chunks.remove()
    return done


def _read_through(file: Path, rows: int) -> Iterator[pd.DataFrame]:
    """The chunks of a table; what is wrong with it is told with the file's whole path."""
    try:
        yield from iter_table(file, rows=rows)
    except TableError as error:
        raise TableError(f"{file}: {error}") from error


def _stamped(scores: pd.DataFrame, key: Mapping[str, Any], options: Options) -> pd.DataFrame:
    if not options.stamp:
        return scores
    return scores.assign(model_version=options.version, input_fingerprint=key["input"])


@dataclass(frozen=True)
class _Chunks:
    """Finished parts of one file, each under its name only when complete."""

    folder: Path

    @classmethod
    def at(cls, goal: Path, key: Mapping[str, Any]) -> "_Chunks":
        """The chunks of a run under way; those of another model or input are thrown away."""
        folder = goal.with_name(f".{goal.name}.chunks")
        if _read(folder / _STATE).get("key") != _digest(key):
            shutil.rmtree(folder, ignore_errors=True)
            _write(folder / _STATE, {"key": _digest(key)})
        return cls(folder)

    def _path(self, i: int) -> Path:
        return self.folder / f"{i:06d}.parquet"

    def has(self, i: int) -> bool:
        return self._path(i).is_file()

    def put(self, i: int, scores: pd.DataFrame) -> None:
        try:
            write_table(scores, self._path(i))
        except TableError as error:
            raise TableError(
                f"{error} Finished chunks are kept in {self.folder}: remove the cause and run again."
            ) from error

    def get(self, i: int) -> pd.DataFrame:
        return read_table(self._path(i))

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class _Tally:
    """Rows, statuses and tiers of one file."""

    def __init__(self) -> None:
        self.rows = 0
        self.statuses: dict[str, int] = {}
        self.tiers: dict[str, int] = {}

    def add(self, scores: pd.DataFrame) -> None:
        self.rows += len(scores)
        for counts, column in ((self.statuses, "status"), (self.tiers, "tier")):
            for name, count in scores[column].dropna().value_counts().items():
                counts[str(name)] = counts.get(str(name), 0) + int(count)

    def to_dict(self) -> dict[str, Any]:
        sort = {"statuses": self.statuses, "tiers": self.tiers}
        return {"rows": self.rows, **{name: dict(sorted(counts.items())) for name, counts in sort.items()}}


def _summed(files: Mapping[str, Mapping[str, Any]], options: Options) -> dict[str, Any]:
    return {
        "model_version": options.version,
        "chs_ml": chs_ml.__version__,
        "rows": sum(file["rows"] for file in files.values()),
        "statuses": _added(files, "statuses"),
        "tiers": _added(files, "tiers"),
        "files": dict(files),
    }


def _added(files: Mapping[str, Mapping[str, Any]], part: str) -> dict[str, int]:
    total: dict[str, int] = {}
    for file in files.values():
        for name, count in file[part].items():
            total[name] = total.get(name, 0) + count
    return dict(sorted(total.items()))


def _digest(key: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _write(path: Path, content: Mapping[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, f"{json.dumps(content, indent=1, ensure_ascii=False)}\n".encode())
    except OSError as error:
        raise TableError(f"Cannot write {path}: {error.strerror}.") from error


def _read(path: Path) -> dict[str, Any]:
    """A file that an earlier run may have left; what is absent or no longer whole says nothing."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
