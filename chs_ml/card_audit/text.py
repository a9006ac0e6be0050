"""An audit as one page that a customer-success lead understands."""

from typing import TYPE_CHECKING

import numpy as np

from chs_ml.card_audit.policies import PolicyRow
from chs_ml.card_audit.ranges import RangeRow
from chs_ml.card_learning.evidence import Finding, MeasureEvidence
from chs_ml.validation.text import number, percent, range_text, rows_text, section, table, wrapped

if TYPE_CHECKING:
    from chs_ml.card_audit.values import CardAudit

MOST_GREEN = 5
CORRECTED = (
    "  AUC alone: share of pairs in which the renewing account has more points; .5 is a coin. Findings\n"
    "  also weigh what the other measures say, and are corrected for the number of measures."
)
WORDS = {
    "yes": "Yes: accounts with a higher score renew more often.",
    "no evidence": "No evidence that it does: it ranks accounts no better than chance would.",
    "the wrong way": "No, the wrong way round: accounts with a higher score churn more.",
    "not enough data": "Too few churns or renewals to say.",
}


def audit_text(audit: "CardAudit") -> str:
    """The page."""
    blocks = [
        section(f"Does the score {audit.card.name!r} predict renewals?", *_answer(audit)),
        section("Its measures", _measures(audit), CORRECTED),
        section("Its scoring ranges", *_ranges(audit)),
        section("What a missing value does", _policies(audit.policies), *_advice(audit.policies)),
        section("What the score means", *_chances(audit)),
        section("Its tiers", *_tiers(audit)),
        section("Churned from the healthiest tier", *_green(audit)),
    ]
    return "\n\n".join(blocks)


def _answer(audit: "CardAudit") -> list[str]:
    counts = audit.report.counts
    auc = audit.report.statistic("auc")
    lift = audit.report.statistic("top_decile_lift")
    lines = [
        WORDS[audit.answer],
        f"Judged on {rows_text(counts.judged, counts.accounts)}; {counts.churned:,} churned "
        f"({percent(counts.base_rate)}).",
        f"Of a churning and a renewing account it gives the renewing one more points in "
        f"{percent(auc.value)} of "
        f"pairs ({percent(auc.interval.low)} to {percent(auc.interval.high)}); a coin would in 50 %.",
        f"Among the tenth of accounts with the lowest scores, {number(lift.value, decimals=1)} times as "
        f"many churn "
        f"as on average ({number(lift.interval.low, decimals=1)} to "
        f"{number(lift.interval.high, decimals=1)}).",
    ]
    rivals = [
        d for d in audit.duel.differences if d.statistic == "auc" and d.second.startswith("best metric")
    ]
    for rival in rivals:
        ahead = {"better": "does better", "worse": "does worse"}.get(
            str(rival.verdict.value), "does about as well"
        )
        lines.append(
            f"Its best single metric ({rival.second.removeprefix('best metric: ')}), chosen on these rows "
            f"and so a little flattered, alone {ahead} {'as' if 'well' in ahead else 'than'} the card (AUC "
            f"{rival.difference:+.3f}, {rival.interval.low:+.3f} to {rival.interval.high:+.3f})."
        )
    if counts.withheld:
        lines.append(f"{counts.withheld:,} accounts had no score; they judge nothing.")
    return [wrapped(line, indent="  ") for line in lines]


def _measures(audit: "CardAudit") -> str:
    titles = {m.metric.name: m.metric.title for m in audit.card.measures}
    weights = audit.card.weight_by_metric()
    rows = [
        [
            titles[m.metric],
            percent(weights[m.metric], decimals=0),
            percent(m.n / max(m.n + m.missing, 1), decimals=0),
            number(m.auc, decimals=2),
            _alone(m),
            _said(m),
        ]
        for m in audit.measures
    ]
    return table(["measure", "weight", "known", "AUC alone", "interval", "finding"], rows)


def _alone(m: MeasureEvidence) -> str:
    return f"{m.interval.low:.2f} to {m.interval.high:.2f}" if m.interval.known else "–"


def _said(m: MeasureEvidence) -> str:
    return {Finding.WRONG_WAY: "POINTS THE WRONG WAY", Finding.NO_EVIDENCE: "NO EVIDENCE"}.get(
        m.finding, str(m.finding)
    )


def _ranges(audit: "CardAudit") -> list[str]:
    titles = {m.metric.name: m.metric.title for m in audit.card.measures}
    turned = {m.metric for m in audit.measures if m.finding is Finding.WRONG_WAY}  # to be turned round first
    lines = [
        _range_line(row, titles[row.metric])
        for row in audit.ranges
        if row.finding and row.metric not in turned
    ]
    return [wrapped(line, indent="  ") for line in lines] or ["  Nothing is found wrong with them."]


def _range_line(row: RangeRow, title: str) -> str:
    where = f"{title} {range_text(row.low, row.high)}"
    rate = f"{row.n:,} rows, {percent(row.churn)} churned"
    return {
        "too wide": f"{where} is too wide: all get {row.points:.4g} points, but inside it the value "
        "still tells "
        f"who churns ({rate}). Split it.",
        "crowded": f"{where} holds nearly everyone ({rate}): it hardly tells accounts apart.",
        "out of order": f"{where} gets more points than the range beside it, and churns more ({rate}).",
    }[row.finding]


def _policies(policies: tuple[PolicyRow, ...]) -> str:
    if not any(np.isfinite(p.score_missing) for p in policies):
        return "  No account that is scored lacks a value: no rule is needed."
    rows = [
        [
            f"{p.policy}{' (yours)' if p.current else ''}", f"{p.scored:,}", number(p.auc, decimals=3),
            number(p.score_full, decimals=1), percent(p.churn_full), number(p.score_missing, decimals=1),
            percent(p.churn_missing),
        ]
        for p in policies
    ]  # fmt: skip
    heads = ["policy", "scored", "AUC", "score, complete", "churn", "score, gaps", "churn "]
    return table(heads, rows)


def _advice(policies: tuple[PolicyRow, ...]) -> list[str]:
    """Whether your rule flatters silence, and whether another would rank better on the same rows."""
    lines = [
        f"Your rule flatters silence: accounts with gaps score {p.score_missing:.1f} against "
        f"{p.score_full:.1f}, and {percent(p.churn_missing)} of them churned against {percent(p.churn_full)}."
        for p in policies
        if p.current and p.flatters
    ]
    better = [p for p in policies if p.gain_interval.known and p.gain_interval.low > 0.0]
    if better:
        best = max(better, key=lambda p: p.gain)
        lines.append(
            f"A missing value says something that your rule leaves unused: under {best.policy!r} the card "
            f"would rank better (AUC {best.gain:+.3f}, {best.gain_interval.low:+.3f} to "
            f"{best.gain_interval.high:+.3f})."
        )
    return [wrapped(line, indent="  ") for line in lines]


def _chances(audit: "CardAudit") -> list[str]:
    if not audit.chances:
        return ["  Nothing that the average churn rate does not say."]
    pairs = ", ".join(f"{c.score:.0f}: {percent(c.churn_probability)}" for c in audit.chances)
    return [wrapped(f"Churn probability by score: {pairs}.", indent="  ")]


def _tiers(audit: "CardAudit") -> list[str]:
    lines = [
        f"  {row.tier}: {row.rows:,} rows ({percent(row.share_of_rows)}), {percent(row.churn_rate)} churned."
        for row in audit.report.tiers
    ]
    tested = [t for t in audit.report.tests if t.name in ("ordered", "separated", "critical_lift")]
    return [*lines, *(wrapped(f"{t.verdict.value}: {t.sentence}", indent="  ") for t in tested)]


def _green(audit: "CardAudit") -> list[str]:
    green = audit.green_churn
    if green.empty:
        return ["  None."]
    each = green.drop_duplicates("account")  # its highest score first
    pairs = zip(each["account"][:MOST_GREEN], each["score"], strict=False)
    first = ", ".join(f"{account} ({score:.0f})" for account, score in pairs)
    more = f" and {len(each) - MOST_GREEN:,} more" if len(each) > MOST_GREEN else ""
    rows = rows_text(len(green), len(each))
    return [wrapped(f"{rows}, of {audit.report.counts.churned:,} that churned: {first}{more}.", indent="  ")]
