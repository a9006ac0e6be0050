"""What commands print, as plain text of at most 100 columns."""

from collections.abc import Iterable, Mapping
from typing import Any

from chs_ml.explanation import Explanation, said_points
from chs_ml.findings import ORDER, Finding
from chs_ml.health_model import HealthModel
from chs_ml.validation.text import WIDTH, clipped, percent, section, table, wrapped


def counted(n: int, word: str) -> str:
    """A number and its word, which is a plain plural but for one."""
    return f"{n:,} {word}" + ("" if n == 1 else "s")


def findings_text(findings: Iterable[Finding]) -> str:
    """Findings of the checks, gravest first, and how many there are."""
    listed = sorted(findings, key=lambda finding: ORDER.index(finding.severity))
    lines = [wrapped(f"{f.message} [{f.code}]", indent=" " * 9, first=f"{f.severity:<9}") for f in listed]
    counts = [counted(sum(f.severity == severity for f in listed), severity) for severity in ORDER]
    return section("Checks", *lines, f"{', '.join(counts)}.")


def training_text(model: HealthModel) -> str:
    """What training found out: checks, validation, weights, blend and the anchor to keep."""
    findings = [Finding(**finding) for finding in model.facts.get("findings", [])]
    blocks = [findings_text(findings), *([] if model.report is None else [model.report.to_text()])]
    lines = [wrapped(line, indent="  ", first="- ") for line in blend_lines(model)]
    blend = section("Formula and trees", *lines, anchor_text(model))
    return "\n\n".join([*blocks, weights_text(model), blend])


def weights_text(model: HealthModel, *, limit: int | None = None) -> str:
    """Learned weights, largest first, with their intervals."""
    facts: Mapping[str, Mapping[str, float | None]] = model.facts["weights"]
    metrics = {metric.name: metric for metric in model.schema.metrics}
    ordered = sorted(facts, key=lambda name: -(facts[name]["weight"] or 0.0))
    rows = [
        [clipped(metrics[name].title, 36), clipped(metrics[name].group, 24),
         percent(facts[name]["weight"] or 0.0), _interval(facts[name])]
        for name in ordered[:limit]
    ]  # fmt: skip
    rest = len(ordered) - len(rows)
    more = f"... and {counted(rest, 'metric')} of smaller weight." if rest else ""
    return section("Learned weights", table(["Metric", "Group", "Weight", "95 % interval"], rows), more)


def _interval(weight: Mapping[str, float | None]) -> str:
    low, high = weight.get("low"), weight.get("high")
    return "–" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f} %"


def blend_lines(model: HealthModel) -> list[str]:
    """Sentences on how formula and trees share the work."""
    blend = model.facts["blend"]
    return [_share_line(blend), *_use_lines(blend), _trees_line(model.facts)]


def _share_line(blend: Mapping[str, Any]) -> str:
    share = blend["share_of_card"]
    losses = (
        f"log loss out of fold: base rate {blend['log_loss_base']:.4f}, formula alone "
        f"{blend['log_loss_card']:.4f}, model {blend['log_loss_blend']:.4f}"
    )
    if share is None:
        return f"Nothing could be predicted ({losses})."
    return f"The formula alone reaches {percent(share, decimals=0)} of what can be predicted ({losses})."


def _use_lines(blend: Mapping[str, Any]) -> list[str]:
    u, v = blend["card"], blend["trees"]
    line = f"The blend: u = {u:.3f} on the formula's log-odds, v = {v:.3f} on the trees'."
    if u == 0.0:
        return [line, "u = 0: the published score does not use the learned weights."]
    return [line]


def _trees_line(facts: Mapping[str, Any]) -> str:
    trees, blend = facts["trees"], facts["blend"]
    if trees is None:
        return "No trees were grown: the recipe asks for the formula alone."
    gain = f"{blend['gain']:.4f} of log loss (standard error {blend['gain_error']:.4f})"
    if trees["kept"]:
        return f"Trees kept: {trees['trees']:,} of them take off {gain}."
    return f"Trees dropped, the model is the formula: they take off {gain}, less than one standard error."


def anchor_text(model: HealthModel) -> str:
    """The lines of a recipe that keep the health scale where it is when the model is trained again."""
    anchor = model.facts["scale"]["base_rate"]
    if anchor is None:
        return f"- The health scale is {model.scale.name}."
    keep = "- To keep the health scale where it is in the next training, put into the recipe:"
    return f"{keep}\n    [scale]\n    base_rate = {anchor!r}"


def explanation_text(found: Explanation, names: Iterable[str], scores: Any, n: int) -> str:
    """Each account's score, its groups and its reasons."""
    against, for_it = found.reasons(n, side="against").to_list(), found.reasons(n, side="for").to_list()
    blocks = [
        _account_text(found, i, name, scores) + _sides(against[i], for_it[i]) for i, name in enumerate(names)
    ]
    return "\n\n".join(blocks)


def _account_text(found: Explanation, i: int, name: str, scores: Any) -> str:
    row = scores.iloc[i]
    if row["health_score"] != row["health_score"]:
        return section(name, f"no score: {row['status']} ({row['status_detail']})")
    head = (
        f"health score {row['health_score']:.1f} ({row['tier']}), churn probability "
        f"{percent(row['churn_probability'])}, {row['status']}"
    )
    groups = sorted(found.groups.iloc[i].items(), key=lambda item: item[1])
    sums = ", ".join(f"{group} {said_points(points).removesuffix(' points')}" for group, points in groups)
    return section(name, head, wrapped(f"{found.base:.1f} for the average account; {sums}", indent="  "))


def _sides(against: list[str], for_it: list[str]) -> str:
    lines = [f"  {reason}" for reason in (*against, *for_it)]
    return "".join(f"\n{clipped(line, WIDTH)}" for line in lines)
