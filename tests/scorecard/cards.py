"""Small cards for tests."""

from chs_ml.curves import BandCurve, Edge, LinearCurve
from chs_ml.inputs import InputColumn
from chs_ml.metric import Metric
from chs_ml.scorecard import Measure, Staleness

NAN = float("nan")


def straight(
    name: str, weight: float = 1.0, *, group: str = "g", missing: float | None = None,
    staleness: Staleness | None = None,
) -> Measure:  # fmt: skip
    """A measure whose value from 0 to 100 is its points."""
    curve = LinearCurve(x=(0.0, 100.0), points=(0.0, 100.0), missing=missing)
    return Measure(column=column(name, group), curve=curve, weight=weight, staleness=staleness)


def banded(
    name: str, points: tuple[float, ...], bounds: tuple[float, ...], edge: str, **more: object
) -> Measure:
    """A measure in bands."""
    curve = BandCurve(bounds=bounds, points=points, edge=Edge(edge))
    return Measure(column=column(name, str(more.get("group", "g"))), curve=curve, weight=1.0)


def column(name: str, group: str) -> InputColumn:
    """An optional number."""
    return InputColumn(metric=Metric(name=name, group=group, required=False))
