"""The registry itself: register, load, promote, roll back."""

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from chs_ml import bundle
from chs_ml.errors import RegistryError
from chs_ml.health_model import HealthModel
from chs_ml.registry.place import CHALLENGER, CHAMPION, NAME, Place, first_line

_BEFORE = "champion_before"
_MODEL = "model"


@dataclass(frozen=True, kw_only=True)
class Version:
    """One registered model.

    Attributes
    ----------
    name : str
        Name of the registered model.
    number : int
        Its version, counted from 1.
    run_id : str
        MLflow's run, which holds parameters, statistics and documents.
    source : str
        Where its files are.
    tags : mapping of str to str
        Among them ``fingerprint``, ``data_fingerprint`` and the gate's verdict.
    """

    name: str
    number: int
    run_id: str
    source: str
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """The version as MLflow names it."""
        return f"{bundle.REGISTERED}{self.name}/{self.number}"


@dataclass(frozen=True)
class Registry:
    """Registered health models under one name, with a champion and a challenger.

    Attributes
    ----------
    place : Place
        Where it lives; `Registry.at` reads an address.
    name : str
        Name of the registered model.
    """

    place: Place
    name: str = NAME

    @classmethod
    def at(cls, where: str | Path | None = None, *, name: str = NAME) -> "Registry":
        """Open a registry.

        Parameters
        ----------
        where : str or Path, optional
            A folder, or a tracking URI; by default ``MLFLOW_TRACKING_URI``, else ``models/registry``.
        name : str
            Name of the registered model.
        """
        return cls(Place.of(where), name)

    @cached_property
    def client(self) -> Any:
        """MLflow's client, connected."""
        return self.place.client()

    def register(self, model: HealthModel, *, alias: str | None = CHALLENGER) -> Version:
        """Log a model with all that is known of it, and make it a new version.

        Its run holds the recipe's settings, the statistics of its validation, the report and the facts as
        documents, the charts of `write_charts`, the bundle, and fingerprints of model and data.

        Parameters
        ----------
        model : HealthModel
            From `train` or `load_model`.
        alias : str, optional
            What the version is called from now on; None for nothing.

        Returns
        -------
        Version
        """
        from chs_ml.registry import charts, pyfunc, recording

        client, experiment = self.client, self._experiment()
        self._make_sure_of_the_name()
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / _MODEL
            pyfunc.save_for_mlflow(model, folder)
            recording.write_documents(model, Path(temporary) / "documents")
            (Path(temporary) / "charts").mkdir()
            charts.write_charts(model, Path(temporary) / "charts")
            told = recording.tags(model, bundle.fingerprint_of(folder / "artifacts" / f"{_MODEL}-bundle"))
            run = client.create_run(experiment, run_name=f"{self.name} {told['fingerprint'][:12]}")
            for name, text in recording.parameters(model).items():
                client.log_param(run.info.run_id, name, text)
            for name, value in recording.statistics(model).items():
                client.log_metric(run.info.run_id, name, value)
            client.log_artifacts(run.info.run_id, str(folder), _MODEL)
            for kind in ("documents", "charts"):
                client.log_artifacts(run.info.run_id, str(Path(temporary) / kind), kind)
        client.set_terminated(run.info.run_id)
        made = client.create_model_version(
            self.name, f"{run.info.artifact_uri}/{_MODEL}", run_id=run.info.run_id, tags=told
        )
        if alias is not None:
            client.set_registered_model_alias(self.name, alias, made.version)
        return _version(made, told)

    def version(self, which: str | int) -> Version:
        """The version of an alias or a number.

        Raises
        ------
        RegistryError
            Where there is none.
        """
        found = self.find(which)
        if found is None:
            said = f"alias {which!r}" if isinstance(which, str) else f"version {which}"
            raise RegistryError(
                f"The registry at {self.place.uri} has no {self.name} of {said}. Register a model first."
            )
        return found

    def find(self, which: str | int) -> Version | None:
        """As `version`; None where there is none."""
        if not self.place.exists:  # reading creates nothing
            return None
        from mlflow.exceptions import MlflowException

        try:
            if isinstance(which, int):
                return _version(self.client.get_model_version(self.name, str(which)))
            return _version(self.client.get_model_version_by_alias(self.name, which))
        except MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise RegistryError(f"The registry cannot say: {first_line(error)}") from error

    def folder(self, version: Version) -> Path:
        """The folder of a version's bundle; fetched where the registry is a server's."""
        from mlflow.artifacts import download_artifacts

        here = download_artifacts(
            artifact_uri=f"{version.source}/artifacts/{_MODEL}-bundle", tracking_uri=self.place.uri
        )
        return Path(here)

    def load(self, which: str | int = CHAMPION) -> HealthModel:
        """Load the model of an alias or a number, without running code from the registry."""
        return bundle.load_model(self.folder(self.version(which)))

    def promote(self, version: Version) -> Version | None:
        """Make a version the champion, and remember which it replaces.

        Returns
        -------
        Version or None
            The champion until now.
        """
        before = self.find(CHAMPION)
        if before is not None and before.number == version.number:
            return before
        # the way back is written first: a kill in between leaves the old champion and a harmless note
        self.tag(version, {_BEFORE: "" if before is None else str(before.number)})
        self.client.set_registered_model_alias(self.name, CHAMPION, str(version.number))
        challenger = self.find(CHALLENGER)
        if challenger is not None and challenger.number == version.number:
            self.client.delete_registered_model_alias(self.name, CHALLENGER)
        return before

    def rollback(self) -> Version:
        """Make the champion before the present one the champion again.

        Raises
        ------
        RegistryError
            Where there is no champion, or none before it.
        """
        now = self.version(CHAMPION)
        before = now.tags.get(_BEFORE, "")
        if not before:
            raise RegistryError(
                f"Version {now.number} of {self.name} is the first champion: none is before it."
            )
        restored = self.version(int(before))
        self.client.set_registered_model_alias(self.name, CHAMPION, before)
        self.tag(now, {"rolled_back_to": before})
        return restored

    def tag(self, version: Version, tags: Mapping[str, str]) -> None:
        """Write tags on a version."""
        for name, text in tags.items():
            self.client.set_model_version_tag(self.name, str(version.number), name, text)

    def note(self, version: Version, name: str, content: Mapping[str, Any]) -> None:
        """Put a document beside a version's own, in its run."""
        self.client.log_dict(version.run_id, dict(content), f"documents/{name}")

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        known = self.client.get_experiment_by_name(self.name)
        if known is None:
            with suppress(MlflowException):  # another process was quicker: it is there now
                return str(self.client.create_experiment(self.name, artifact_location=self.place.artifacts))
            known = self.client.get_experiment_by_name(self.name)
        if known is None:
            raise RegistryError(f"The registry at {self.place.uri} lets nobody create {self.name!r}.")
        return str(known.experiment_id)

    def _make_sure_of_the_name(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise RegistryError(f"The registry cannot be written: {first_line(error)}") from error


def _version(found: Any, tags: Mapping[str, str] | None = None) -> Version:
    return Version(
        name=str(found.name),
        number=int(found.version),
        run_id=str(found.run_id),
        source=str(found.source),
        tags=dict(tags if tags is not None else found.tags or {}),
    )


def registered_folder(uri: str, where: str | Path | None = None) -> Path:
    """Folder of the bundle that ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION`` names.

    Parameters
    ----------
    uri : str
        The registered model.
    where : str or Path, optional
        The registry, as for `Registry.at`.
    """
    name, mark, alias = uri.removeprefix(bundle.REGISTERED).partition("@")
    which: str | int = alias
    if not mark:
        name, _, number = name.rpartition("/")
        which = int(number) if number.isdecimal() else ""
    if not name or which == "":
        raise RegistryError(f"A registered model is models:/NAME@ALIAS or models:/NAME/VERSION; got {uri!r}.")
    registry = Registry.at(where, name=name)
    return registry.folder(registry.version(which))
