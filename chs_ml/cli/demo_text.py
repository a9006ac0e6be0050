"""The demo's report as plain text: the verdict first, in words."""

from typing import TYPE_CHECKING

from chs_ml.cli.demo_raw_text import raw_text
from chs_ml.validation.text import (
    amount,
    clipped,
    interval_text,
    number,
    percent,
    percent_interval,
    section,
    table,
    wrapped,
)

if TYPE_CHECKING:
    from chs_ml.demo import Demo
    from chs_ml.validation.comparison import Contestant

SHOWN = ("auc", "average_precision", "top_decile_lift", "value_captured")
WEIGHTS_SHOWN = 10


def demo_text(demo: "Demo") -> str:
    """Verdict, raw tables, duel, tiers, weights beside the truth, and the accounts that are due."""
    return "\n\n".join([
        section("Verdict", *(wrapped(line, indent="  ", first="- ") for line in verdict_lines(demo))),
        raw_text(demo),
        section("By hand and learned, on the same later renewals", _duel_table(demo)),
        section("What became of the tiers", *(_tier_table(one) for one in demo.duel.contestants)),
        section("Learned weights beside the truth", _weights_table(demo), _weights_note(demo)),
        demo.summary.to_text(),
        section("Files", *_file_lines(demo)),
    ])  # fmt: skip


def verdict_lines(demo: "Demo") -> list[str]:
    """Say in a few sentences what was found."""
    return [
        _data_line(demo),
        _ranking_line(demo),
        _calibration_line(demo),
        _tiers_line(demo),
        _due_line(demo),
    ]


def _data_line(demo: "Demo") -> str:
    facts, counts = demo.model.facts, demo.report.counts
    first, last = facts["snapshots"]
    return (
        f"Learned from {facts['rows']:,} renewals of {facts['accounts']:,} accounts ({facts['churned']:,} "
        f"churned), each as it stood {_lead(demo)} days before, {first} to {last}; judged on "
        f"{counts.judged:,} later ones, from {facts['split']['test_from']} on ({counts.churned:,} churned)."
    )


def _lead(demo: "Demo") -> int:
    days: int = demo.model.facts["recipe"]["snapshots"]["lead_days"]
    return days


def _ranking_line(demo: "Demo") -> str:
    hand, learned = (_value(one, "auc") for one in demo.duel.contestants)
    gap = demo.duel.difference(demo.duel.contestants[1].name)
    return (
        f"Ranking: the learned score against the score by hand: {gap.verdict.value}. AUC {learned:.3f} "
        f"against {hand:.3f}, difference {gap.difference:+.3f} ({interval_text(gap.interval)})."
    )


def _calibration_line(demo: "Demo") -> str:
    found = demo.report.calibration
    if found is None:
        return "Probabilities: none were judged."
    mean, slope = (demo.report.test(name) for name in ("calibration_mean", "calibration_slope"))
    return (
        f"Probabilities: {percent(found.mean_predicted)} predicted, {percent(found.base_rate)} churned "
        f"({mean.verdict.value}); slope {number(found.slope, decimals=2)}, ideal 1 ({slope.verdict.value})."
    )


def _tiers_line(demo: "Demo") -> str:
    told = [f"{one.name} {_rates(one)}" for one in demo.duel.contestants]
    names = ", ".join(row.tier for row in demo.duel.contestants[0].tiers)
    return f"Churn per tier ({names}): {'; '.join(told)}."


def _rates(contestant: "Contestant") -> str:
    return ", ".join(percent(row.churn_rate) for row in contestant.tiers)


def _due_line(demo: "Demo") -> str:
    churns, at_risk = demo.summary.expected_churns, demo.summary.value_at_risk
    value = (
        ""
        if at_risk is None
        else (
            f" and {amount(at_risk.expected)} of {demo.summary.value_column} to be lost "
            f"({amount(at_risk.low)} to {amount(at_risk.high)})"
        )
    )
    return (
        f"Due now: {demo.summary.accounts:,} accounts; expect {churns.expected:.0f} churns "
        f"({churns.low:.0f} to {churns.high:.0f}){value}."
    )


def _value(contestant: "Contestant", name: str) -> float:
    return next(s.value for s in contestant.statistics if s.name == name)


def _duel_table(demo: "Demo") -> str:
    hand, learned = ({s.name: s for s in one.statistics} for one in demo.duel.contestants)
    gaps = {gap.statistic: gap for gap in demo.duel.differences}
    rows = [
        [hand[name].label, number(hand[name].value), number(learned[name].value),
         f"{gaps[name].difference:+.3f}", interval_text(gaps[name].interval), gaps[name].verdict.value]
        for name in SHOWN if name in gaps
    ]  # fmt: skip
    return table(["Statistic", "By hand", "Learned", "Difference", "95 % interval", "Learned is"], rows)


def _tier_table(contestant: "Contestant") -> str:
    rows = [
        [clipped(row.tier, 20), percent(row.share_of_rows, decimals=0), amount(row.rows), amount(row.churned),
         percent(row.churn_rate), percent_interval(row.interval), number(row.lift, decimals=2)]
        for row in contestant.tiers
    ]  # fmt: skip
    headers = [contestant.name.capitalize(), "Share", "Rows", "Churned", "Churn", "Interval", "Lift"]
    return "\n" + table(headers, rows)


def _weights_table(demo: "Demo") -> str:
    facts = demo.model.facts["weights"]
    titles = {metric.name: metric.title for metric in demo.model.schema.metrics}
    ordered = sorted(facts, key=lambda name: -facts[name]["weight"])[:WEIGHTS_SHOWN]
    rows = [
        [titles[name], percent(facts[name]["weight"]), _ends(facts[name]),
         percent(demo.true_weights[name]) if name in demo.true_weights else ""]
        for name in ordered
    ]  # fmt: skip
    return table(["Metric", "Learned", "95 % interval", "Truth"], rows)


def _ends(weight: dict[str, float]) -> str:
    return f"{percent(weight['low'])} to {percent(weight['high'])}" if "low" in weight else ""


def _weights_note(demo: "Demo") -> str:
    blend, trees = demo.model.facts["blend"], demo.model.trees
    share = blend["share_of_card"]
    lines = [
        "In the simulation silence adds risk of its own: the learned weight of a survey holds that too.",
        ""
        if share is None
        else f"The formula alone reaches {percent(share, decimals=0)} of what can be predicted.",
        "The trees added too little and were dropped." if trees is None else "The trees were kept.",
        "The published score does not use the weights." if blend["card"] == 0.0 else "",
    ]
    return "\n" + wrapped(" ".join(line for line in lines if line))


def _file_lines(demo: "Demo") -> list[str]:
    width = max(len(name) for name in demo.files)
    return [f"{name.ljust(width)}  {path}" for name, path in demo.files.items()]
