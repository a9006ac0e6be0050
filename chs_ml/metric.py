"""What a metric is: a point-in-time measurement of a customer."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How the values of a metric are read."""

    NUMBER = "number"
    CATEGORY = "category"
    YES_NO = "yes/no"
    DATE = "date"


class Direction(StrEnum):
    """Which way is healthier."""

    HIGHER = "higher"
    LOWER = "lower"
    UNKNOWN = "unknown"

    @property
    def sign(self) -> int:
        """+1 where larger values are healthier, -1 where smaller ones are, 0 where nobody said."""
        return {"higher": 1, "lower": -1, "unknown": 0}[self.value]


DEFAULT_GROUP = "Other"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A point-in-time measurement of a customer.

    Attributes
    ----------
    name : str
        Column name in the table of metrics.
    kind : Kind
        Number, category, yes/no (read as 1 and 0) or date (read as days before the snapshot).
    group : str
        Metric group, such as "Product usage" or "Support".
    direction : Direction
        Which way is healthier. A category has none.
    unit : str
        Printed behind values, such as "%" or "days".
    label : str
        The name people read; the column name in plain words where empty.
    required : bool
        Whether a table without this column is refused when it is scored.
    """

    name: str
    kind: Kind = Kind.NUMBER
    group: str = DEFAULT_GROUP
    direction: Direction = Direction.UNKNOWN
    unit: str = ""
    label: str = ""
    required: bool = True

    @property
    def title(self) -> str:
        """The name people read."""
        return self.label or self.name.replace("_", " ").strip().capitalize()

    @property
    def is_category(self) -> bool:
        return self.kind is Kind.CATEGORY
