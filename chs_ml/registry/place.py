"""Where a registry lives, and how it is opened by several processes at once."""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chs_ml.errors import RegistryError

NAME = "customer-health"
CHAMPION, CHALLENGER = "champion", "challenger"
FOLDER = Path("models") / "registry"
DATABASE, ARTIFACTS, LOCK = "mlflow.db", "artifacts", ".opening.lock"

_SQLITE = "sqlite:///"
_TRIES = 5


@dataclass(frozen=True)
class Place:
    """Address of a registry.

    Attributes
    ----------
    uri : str
        MLflow's tracking and registry URI.
    folder : Path or None
        Folder of an embedded registry; None for a server.
    """

    uri: str
    folder: Path | None

    @classmethod
    def of(cls, where: str | Path | None = None) -> "Place":
        """Read a folder or URI; by default ``MLFLOW_TRACKING_URI``, else ``models/registry``."""
        said = str(where) if where is not None else os.environ.get("MLFLOW_TRACKING_URI", "")
        if said.startswith(_SQLITE):
            return cls(said, Path(said.removeprefix(_SQLITE)).absolute().parent)
        if "://" in said or said == "databricks":
            return cls(said, None)
        folder = (Path(said) if said else FOLDER).absolute()
        return cls(f"{_SQLITE}{folder / DATABASE}", folder)

    @property
    def artifacts(self) -> str | None:
        """Where files of runs go; None where the server decides."""
        return None if self.folder is None else (self.folder / ARTIFACTS).as_uri()

    @property
    def exists(self) -> bool:
        """Whether there is anything to read; of a server nobody knows before asking."""
        return self.folder is None or Path(self.uri.removeprefix(_SQLITE)).is_file()

    def client(self) -> Any:
        """Open the registry; an embedded one is created where there is none.

        Raises
        ------
        RegistryError
            Where the extra ``mlflow`` is not installed, or the registry cannot be reached.
        """
        mlflow = _mlflow()
        if self.folder is None:
            return self._tried(mlflow)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RegistryError(
                f"Cannot make the registry's folder {self.folder}: {error.strerror}."
            ) from error
        with _alone(self.folder / LOCK):
            return self._tried(mlflow)

    def _tried(self, mlflow: Any) -> Any:
        for attempt in range(_TRIES):
            try:
                client = mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
                client.search_experiments(max_results=1)
            except Exception as error:  # of a database, of the network, or MLflow's own
                if attempt == _TRIES - 1:
                    raise RegistryError(
                        f"The registry at {self.uri} cannot be opened: {first_line(error)}"
                    ) from error
                time.sleep(0.2 * 2**attempt)
            else:
                return client
        raise RegistryError(f"The registry at {self.uri} cannot be opened.")


def first_line(error: Exception) -> str:
    """The first line of what MLflow or a database said."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _mlflow() -> Any:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        import mlflow
    except ImportError as error:
        raise RegistryError("The registry needs the extra `mlflow`: pip install 'chs-ml[mlflow]'.") from error
    # a new database is no news to those who asked for one
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)
    return mlflow


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a lock that ends with the process: two that create one database at once break each other."""
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)
