"""Bundles: a saved health model as a folder of text files. Loading one runs no code from it.

::

    models/telco/
      manifest.json                 what kind of model, its numbers and facts, and which files belong to it
      scorecard-3f2a9c01b7d4.toml   the formula and the input contract: names, kinds, categories, ranges
      trees-90b1c2d3e4f5.txt        one LightGBM text per tree model
      report-0a1b2c3d4e5f.json      how the model did on rows it had not seen

Every file but the manifest carries a piece of its own sha256 in its name, so files of two versions never
collide. A save writes the new files beside the old ones, then replaces the manifest, which is the one
switch, then removes what no manifest refers to. A kill at any moment leaves the old model or the new one.
Size and sha256 of everything are verified before anything is parsed. They protect against damage, not
against a forger, who can compute them too: load bundles from places you trust.

How to raise the format
-----------------------
`FORMAT` is the version of what stands in the files, not of the package. A new key that old readers may
ignore does not raise it. Raise it by one, once per release, for the first change after which an old reader
would fail or, worse, score differently: a renamed key, another meaning, a new kind of scale. Then

1. keep the function in `_READERS` that reads the old format, and register the new one beside it;
2. write a small bundle with the release before, and put it under ``models/reference/`` with its scores;
3. let a test load it and compare the scores to the last bit: old models must score the same.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chs_ml
from chs_ml.errors import BundleError, InputError
from chs_ml.files import PART, write_atomically
from chs_ml.health_model import Blend, CarriedColumns, HealthModel
from chs_ml.scale import AnchoredScale, HealthScale, NativeScale, RetentionScale
from chs_ml.scorecard import Scorecard
from chs_ml.tiers import Tiers
from chs_ml.tree_ensemble import TreeEnsemble
from chs_ml.validation import ValidationReport
from chs_ml.validation.plain import from_plain, to_plain

FORMAT = 1
MANIFEST = "manifest.json"
REGISTERED = "models:/"
"""What the name of a registered model begins with."""

_NAME = re.compile(r"(?:scorecard|trees|report)-[0-9a-f]{12}\.(?:toml|txt|json)")
_READS = 5


def save_model(model: HealthModel, path: str | Path) -> str:
    """Save a model as a bundle, in place of the one that was there.

    The same model gives the same bytes. One writer at a time; readers may come at any moment.

    Parameters
    ----------
    model : HealthModel
        From `train` or `load_model`.
    path : str or Path
        The folder; made where it is absent, with its parents.

    Returns
    -------
    str
        The bundle's fingerprint, which is the sha256 that its manifest carries.

    Raises
    ------
    BundleError
        Where the path is a file, a folder of something else, or cannot be written.
    """
    folder = Path(path)
    check_place(folder)
    parts = _parts(model)
    content = {"written_by": f"chs_ml {chs_ml.__version__}", **_content(model, parts)}
    fingerprint = _fingerprint(FORMAT, content)
    head = {"format": FORMAT, "sha256": fingerprint, "content": content}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part in parts:
            if not part.stands_in(folder):
                write_atomically(folder / part.name, part.content)
        write_atomically(folder / MANIFEST, _json_bytes(head))
        _remove_others(folder, keep={part.name for part in parts})
    except OSError as error:
        raise BundleError(f"Cannot write the model to {folder}: {error.strerror}.") from error
    return fingerprint


def load_model(path: str | Path) -> HealthModel:
    """Load a model that `save_model` wrote.

    Parameters
    ----------
    path : str or Path
        The bundle's folder, or a registered model such as ``models:/customer-health@champion`` (needs the
        extra ``mlflow``; see `chs_ml.registry`).

    Returns
    -------
    HealthModel
        Scores to the last bit as the saved one.

    Raises
    ------
    BundleError
        Where there is no bundle, a file of it is missing or changed, or its format is newer.
    """
    folder = bundle_folder(path)
    _check_is_bundle(folder)
    manifest = _Manifest.read(folder)
    for _ in range(_READS):
        try:
            texts = {entry["name"]: _verified(folder, entry) for entry in manifest.entries}
            break
        except BundleError:
            newer = _Manifest.read(folder)
            if newer.sha256 == manifest.sha256:
                raise
            manifest = newer  # replaced while we read: its files are others
    else:
        raise BundleError(f"The model in {folder} is being replaced over and over; load it after that.")
    return _built(manifest, texts, folder)


def fingerprint_of(path: str | Path) -> str:
    """The sha256 in a bundle's manifest, which stands for the whole model."""
    folder = bundle_folder(path)
    _check_is_bundle(folder)
    return _Manifest.read(folder).sha256


def bundle_folder(path: str | Path) -> Path:
    """The folder of a bundle; of a registered model, where the registry keeps it or has put a copy."""
    if not str(path).startswith(REGISTERED):
        return Path(path)
    from chs_ml.registry import registered_folder  # a registry knows bundles, not the other way round

    return registered_folder(str(path))


def check_place(folder: Path) -> None:
    """Refuse a place where saving a model would mix with something else.

    Raises
    ------
    BundleError
        Where it is a file, or a folder that holds files and no bundle.
    """
    if folder.is_dir():
        others = [] if (folder / MANIFEST).is_file() else [e for e in folder.iterdir() if not _is_ours(e)]
        if others:
            raise BundleError(
                f"A model is saved to a folder of its own; {folder} holds other files "
                f"({sorted(others)[0].name}) and no model. Name a new folder."
            )
    elif folder.exists():
        raise BundleError(f"A model is saved to a folder; {folder} is a file.")


# --- files of a bundle ---


@dataclass(frozen=True)
class _Part:
    kind: str
    ending: str
    content: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.sha256[:12]}.{self.ending}"

    @property
    def entry(self) -> dict[str, Any]:
        return {"name": self.name, "bytes": len(self.content), "sha256": self.sha256}

    def stands_in(self, folder: Path) -> bool:
        there = folder / self.name
        return there.is_file() and there.read_bytes() == self.content


def _is_ours(entry: Path) -> bool:
    """Whether a bundle, or a save that was killed, may have left this file."""
    return entry.name.endswith(PART) or bool(_NAME.fullmatch(entry.name))


def _remove_others(folder: Path, *, keep: set[str]) -> None:
    for entry in folder.iterdir():
        if _is_ours(entry) and entry.name not in keep and entry.is_file():
            entry.unlink(missing_ok=True)


def _parts(model: HealthModel) -> list[_Part]:
    parts = [_Part("scorecard", "toml", model.card.to_toml().encode())]
    if model.trees is not None:
        parts += [_Part("trees", "txt", text.encode()) for text in model.trees.models]
    if model.report is not None:
        parts.append(_Part("report", "json", f"{model.report.to_json()}\n".encode()))
    return parts


def _json_bytes(value: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)}\n".encode()


def _fingerprint(number: int, content: Mapping[str, Any]) -> str:
    """The sha256 of format and content in one spelling, whatever the white space of the file."""
    text = json.dumps([number, content], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


# --- the manifest ---


@dataclass(frozen=True)
class _Manifest:
    sha256: str
    format: int
    content: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "_Manifest":
        where = folder / MANIFEST
        try:
            head = json.loads(where.read_bytes())
            number, sha256, content = head["format"], head["sha256"], head["content"]
            newer = isinstance(number, int) and number > FORMAT
            writer = content["written_by"]
            right = newer or sha256 == _fingerprint(number, content)
        except OSError as error:
            raise BundleError(
                f"The model's {MANIFEST} cannot be read from {folder}: {error.strerror}."
            ) from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BundleError(
                f"{where} must be the manifest of a saved model; it is damaged. {_AGAIN}"
            ) from error
        if newer:
            raise BundleError(
                f"The model in {folder} has format {number}, written by {writer}; chs_ml "
                f"{chs_ml.__version__} reads formats up to {FORMAT}. Load it with a newer chs_ml."
            )
        if not right or number not in _READERS:
            raise BundleError(f"{where} was changed after the model was saved: its sha256 differs. {_AGAIN}")
        return cls(sha256, number, content)

    @property
    def entries(self) -> list[Mapping[str, Any]]:
        files = self.content["files"]
        return [files["scorecard"], *files["trees"], *([files["report"]] if files["report"] else [])]


_AGAIN = "Save or copy the model again."


def _verified(folder: Path, entry: Mapping[str, Any]) -> str:
    """Text of a file that is what was saved: LightGBM ends the interpreter on damaged text."""
    name = str(entry["name"])
    if not _NAME.fullmatch(name):
        raise BundleError(f"The manifest in {folder} names a file that no bundle has: {name!r}.")
    try:
        content = (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise BundleError(f"The model in {folder} lacks its file {name}. {_AGAIN}") from error
    except OSError as error:
        raise BundleError(f"{folder / name} cannot be read: {error.strerror}.") from error
    if len(content) != entry["bytes"]:
        raise BundleError(
            f"{folder / name} must have {entry['bytes']:,} bytes; it has {len(content):,}. {_AGAIN}"
        )
    if hashlib.sha256(content).hexdigest() != entry["sha256"]:
        raise BundleError(
            f"{folder / name} was changed after the model was saved: its sha256 differs. {_AGAIN}"
        )
    return content.decode()


def _check_is_bundle(folder: Path) -> None:
    if (folder / MANIFEST).is_file():
        return
    if folder.is_dir():
        state = "is an empty folder" if not any(folder.iterdir()) else f"has no {MANIFEST}"
    else:
        state = "is a file" if folder.exists() else "does not exist"
    raise BundleError(
        f"A saved model must be a folder with a {MANIFEST}, as `train` writes it; {folder} {state}."
    )


# --- between models and plain values ---


def _content(model: HealthModel, parts: list[_Part]) -> dict[str, Any]:
    of_kind = {kind: [p.entry for p in parts if p.kind == kind] for kind in ("scorecard", "trees", "report")}
    files = {
        "scorecard": of_kind["scorecard"][0],
        "trees": of_kind["trees"],
        "report": next(iter(of_kind["report"]), None),
    }
    return {
        "model": {
            "blend": to_plain(model.blend),
            "scale": {"kind": model.scale.name, **to_plain(model.scale)},
            "tiers": to_plain(model.tiers),
            "baseline": to_plain(model.baseline),
            "coverage_floor": model.coverage_floor,
            "carried": to_plain(model.carried),
        },
        "files": files,
        "facts": to_plain(model.facts),
    }


def _built(manifest: _Manifest, texts: Mapping[str, str], folder: Path) -> HealthModel:
    try:
        return _READERS[manifest.format](manifest.content, texts)
    except (InputError, KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"The model in {folder} is undamaged and yet cannot be read by chs_ml {chs_ml.__version__} "
            f"(it was written by {manifest.content['written_by']}): {error}"
        ) from error


def _read_format_1(content: Mapping[str, Any], texts: Mapping[str, str]) -> HealthModel:
    plain, files = content["model"], content["files"]
    card = Scorecard.from_toml(texts[files["scorecard"]["name"]], source=files["scorecard"]["name"])
    trees = TreeEnsemble(tuple(texts[entry["name"]] for entry in files["trees"])) if files["trees"] else None
    if trees is not None:
        trees.check_width(len(card.measures))
    report = None
    if files["report"] is not None:
        report = ValidationReport.from_dict(json.loads(texts[files["report"]["name"]]))
    return HealthModel(
        card=card,
        trees=trees,
        blend=from_plain(Blend, plain["blend"]),
        scale=_scale(**plain["scale"]),
        tiers=from_plain(Tiers, plain["tiers"]),
        baseline=tuple(float(points) for points in plain["baseline"]),
        coverage_floor=float(plain["coverage_floor"]),
        carried=from_plain(CarriedColumns, plain["carried"]),
        facts=content["facts"],
        report=report,
    )


def _scale(*, kind: str, **settings: float) -> HealthScale:
    kinds: dict[str, Callable[..., HealthScale]] = {
        AnchoredScale.name: AnchoredScale,
        RetentionScale.name: RetentionScale,
        NativeScale.name: NativeScale,
    }
    return kinds[kind](**settings)


_READERS: dict[int, Callable[[Mapping[str, Any], Mapping[str, str]], HealthModel]] = {1: _read_format_1}
