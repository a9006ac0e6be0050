"""What can go wrong when a model is turned into tables.

TreeTablesError
├── ModelTextError          the text is not a LightGBM model that we can read
├── UnsupportedModelError   a sound model of a kind that has no tables (multiclass, linear leaves)
├── UngroupableTreeError    one leaf depends on too many different metrics for a table
└── TablesTooLargeError     the tables would need more memory than allowed
"""


class TreeTablesError(ValueError):
    """A model cannot be evaluated through tables; LightGBM's own `predict` still can."""


class ModelTextError(TreeTablesError):
    """The model text is damaged or not LightGBM's."""


class UnsupportedModelError(TreeTablesError):
    """The model is sound, but of a kind for which tables are not defined."""


class UngroupableTreeError(TreeTablesError):
    """A leaf of a tree depends on too many distinct features for one table."""


class TablesTooLargeError(TreeTablesError):
    """The tables would exceed the memory bound; nothing was allocated."""
