"""What can go wrong, grouped by what the caller can do about it.

::

    ChsError
    ├── InputError            the input cannot be used as it is        (exit code 2)
    │   ├── RecipeError       the recipe says something that cannot be
    │   ├── TableError        a table cannot be read or lacks a column
    │   ├── ScorecardError    a scorecard file or definition is wrong
    │   ├── BundleError       a saved model is damaged, incomplete or of a newer format
    │   └── RegistryError     the registry cannot be reached, or has no such model
    └── NotEnoughData         an honest refusal: too little evidence   (exit code 1)

Every message says what must hold, what was found, and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class ChsError(Exception):
    """Root of all errors that the package raises on purpose."""

    exit_code = 2


class InputError(ChsError):
    """The input cannot be used as it is."""


class RecipeError(InputError):
    """The recipe says something that cannot be."""


class TableError(InputError):
    """A table cannot be read, or lacks what is needed."""


class ScorecardError(InputError):
    """A scorecard is wrong."""


class BundleError(InputError):
    """A saved model is damaged, incomplete or written by a newer version."""


class RegistryError(InputError):
    """The model registry cannot be used, or does not hold what was asked for."""


class NotEnoughData(ChsError):
    """There is too little evidence to learn or to judge."""

    exit_code = 1


def first_few(values: Iterable[object], *, limit: int = 5) -> str:
    """Name the first few values of a list, and how many more there are.

    >>> first_few(["a", "b", "c"], limit=2)
    "'a', 'b' and 1 more"
    """
    items = list(values)
    shown = ", ".join(repr(item) for item in items[:limit])
    return shown if len(items) <= limit else f"{shown} and {len(items) - limit:,} more"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint that names the nearest known word, or an empty string.

    >>> nearest("chruned", ["churned", "renewed"])
    " Did you mean 'churned'?"
    """
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""
