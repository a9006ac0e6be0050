"""Four pictures of a model's validation, drawn from its report and facts alone: what a reviewer opens first.

matplotlib comes with MLflow. Nothing is computed here.
"""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from chs_ml.health_model import HealthModel
from chs_ml.metric import Metric
from chs_ml.validation import ValidationReport

_SIZE, _DPI = (6.4, 4.4), 120
_LINE, _FILL, _MARK, _QUIET = "#1f5f8b", "#c9dcea", "#b5482f", "#8a8f94"
_TIER_COLOURS = ("#3f8f5b", "#d8a02b", "#b5482f")


def write_charts(model: HealthModel, folder: Path) -> list[str]:
    """Draw what is known of a model as PNG files.

    Parameters
    ----------
    model : HealthModel
        With its report; a model without one has only its weights.
    folder : Path
        Exists.

    Returns
    -------
    list of str
        Names of the files: ``calibration.png``, ``tiers.png``, ``capture.png``, ``weights.png``, as far as
        there is something to draw.
    """
    drawn = {"weights.png": _weights(model)}
    if model.report is not None:
        report = model.report
        drawn |= {
            "calibration.png": _calibration(report),
            "tiers.png": _tiers(report),
            "capture.png": _capture(report),
        }
    for name, figure in drawn.items():
        if figure is not None:
            figure.savefig(folder / name, dpi=_DPI)
    return sorted(name for name, figure in drawn.items() if figure is not None)


def _axes(title: str, *, x: str, y: str, height: float = _SIZE[1]) -> tuple[Figure, Any]:
    figure = Figure(figsize=(_SIZE[0], height), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, loc="left", fontsize=11)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, color="#ececec", linewidth=0.8)
    axes.set_axisbelow(True)
    return figure, axes


def _percent_axis(axis: Any) -> None:
    axis.set_major_formatter(lambda share, _: f"{100 * share:g} %")


def _judged(report: ValidationReport) -> str:
    return f"{report.counts.judged:,} rows, {report.counts.churned:,} churned"


def _calibration(report: ValidationReport) -> Figure | None:
    if report.calibration is None:
        return None
    bins = report.calibration.bins
    title = f"Predicted and actual churn ({_judged(report)})"
    figure, axes = _axes(title, x="predicted churn probability", y="share that churned")
    right = min(1.1 * max(b.predicted for b in bins), 1.0)
    top = min(max(1.05 * max(b.interval.high for b in bins), right), 1.0)
    axes.plot([0, 1], [0, 1], color=_QUIET, linestyle="--", linewidth=1, label="perfect")
    if report.curve is not None:
        points = report.curve.points
        at = [p.predicted for p in points]
        ends = [p.interval.low for p in points], [p.interval.high for p in points]
        axes.fill_between(at, *ends, color=_FILL, label=f"{report.level:.0%} interval of the curve")
        axes.plot(at, [p.realised for p in points], color=_LINE, linewidth=2, label="smooth curve")
    axes.errorbar(
        [b.predicted for b in bins], [b.realised for b in bins],
        yerr=_reach([b.realised for b in bins], [b.interval for b in bins]),
        fmt="o", color=_MARK, markersize=4, linewidth=1, label=f"{len(bins)} groups of equal size",
    )  # fmt: skip
    axes.set(xlim=(0, right), ylim=(0, top))
    _percent_axis(axes.xaxis)
    _percent_axis(axes.yaxis)
    axes.legend(fontsize=8, loc="best", framealpha=0.8, edgecolor="none")
    return figure


def _reach(values: list[float], intervals: list[Any]) -> list[list[float]]:
    return [
        [max(v - i.low, 0.0) for v, i in zip(values, intervals, strict=True)],
        [max(i.high - v, 0.0) for v, i in zip(values, intervals, strict=True)],
    ]


def _tiers(report: ValidationReport) -> Figure | None:
    rows = [row for row in report.tiers if row.rows]
    if not rows:
        return None
    figure, axes = _axes(f"Churn by tier ({_judged(report)})", x="", y="share that churned")
    rates = [row.churn_rate for row in rows]
    colours = [_TIER_COLOURS[min(i, len(_TIER_COLOURS) - 1)] for i in range(len(rows))]
    axes.bar(range(len(rows)), rates, width=0.55, color=colours, alpha=0.85)
    axes.errorbar(
        range(len(rows)), rates, yerr=_reach(rates, [row.interval for row in rows]),
        fmt="none", color="black", capsize=4, linewidth=1,
    )  # fmt: skip
    base = report.counts.churned / report.counts.judged
    axes.axhline(base, color=_QUIET, linestyle="--", linewidth=1)
    axes.annotate(f"all: {100 * base:.1f} %", (len(rows) - 0.65, base), fontsize=8, va="bottom")
    axes.set_xlim(-0.5, len(rows) - 0.2)
    names = [f"{row.tier}\n{row.rows:,} rows, {row.churned:,} churned" for row in rows]
    axes.set_xticks(range(len(rows)), names, fontsize=9)
    axes.set_ylim(0, 1.1 * max(row.interval.high for row in rows))
    axes.grid(visible=False, axis="x")
    _percent_axis(axes.yaxis)
    return figure


def _capture(report: ValidationReport) -> Figure | None:
    """Cumulated from the groups of the calibration, riskiest first: exact where a group ends."""
    if report.calibration is None or not report.calibration.events:
        return None
    rows, churned = [0.0], [0.0]
    for one in reversed(report.calibration.bins):
        rows.append(rows[-1] + one.n / report.calibration.n)
        churned.append(churned[-1] + one.churned / report.calibration.events)
    title = f"Churns reached by calling the riskiest first ({_judged(report)})"
    figure, axes = _axes(title, x="share of rows, riskiest first", y="share of the churns reached")
    axes.plot(rows, churned, color=_LINE, linewidth=2, marker="o", markersize=4, label="model")
    base = report.calibration.events / report.calibration.n
    axes.plot([0, base, 1], [0, 1, 1], color=_QUIET, linewidth=1, linestyle=":", label="perfect order")
    axes.plot([0, 1], [0, 1], color=_QUIET, linewidth=1, linestyle="--", label="by chance")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    _percent_axis(axes.xaxis)
    _percent_axis(axes.yaxis)
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def _weights(model: HealthModel) -> Figure | None:
    facts = {
        name: told for name, told in model.facts.get("weights", {}).items() if told.get("weight") is not None
    }
    if not facts:
        return None
    titles = {metric.name: _title(metric) for metric in model.schema.metrics}
    shown = sorted(facts, key=lambda name: -facts[name]["weight"])[:25]
    left_out = len(facts) - len(shown)
    figure, axes = _axes(
        "Weights of the formula" + (f" ({left_out} smaller ones left out)" if left_out else ""),
        x="share of the score", y="", height=1.2 + 0.28 * len(shown),
    )  # fmt: skip
    values = [facts[name]["weight"] for name in shown]
    axes.barh(range(len(shown)), values, color=_FILL, edgecolor=_LINE, height=0.65)
    ends = [(facts[name].get("low"), facts[name].get("high")) for name in shown]
    for row, (low, high) in enumerate(ends):
        if low is not None and high is not None:
            axes.plot([low, high], [row, row], color="black", linewidth=1, marker="|", markersize=6)
    axes.set_yticks(range(len(shown)), [titles.get(name, name) for name in shown], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.grid(visible=False, axis="y")
    _percent_axis(axes.xaxis)
    return figure


def _title(metric: Metric) -> str:
    return metric.title if len(metric.title) <= 38 else f"{metric.title[:37]}…"
