"""A portfolio summary as plain text."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chs_ml.validation.text import WIDTH, amount, clipped, percent, section, table, wrapped

if TYPE_CHECKING:
    from chs_ml.portfolio_summary.summary import AccountAtRisk, Expectation, PortfolioSummary

ID_WIDTH, TIER_WIDTH = 16, 12
LEAST_KEPT_WIDTH = 8


def summary_text(summary: "PortfolioSummary") -> str:
    """Sums first, then tiers, then the accounts to look at."""
    notes = [wrapped(note, indent="  ", first="- ") for note in summary.notes]
    blocks = [
        section("Portfolio", *_sums(summary)),
        section("Accounts per tier", _tiers(summary)),
        _top(summary) if summary.top else "",
        section("Notes", *notes) if notes else "",
    ]
    return "\n\n".join(block for block in blocks if block)


def _sums(summary: "PortfolioSummary") -> list[str]:
    states = ", ".join(f"{count:,} {status}" for status, count in summary.statuses.items() if count)
    lines = [
        f"Rows scored       {summary.rows:,} ({states or 'none'})",
        f"Accounts          {summary.accounts:,}",
        f"Expected churns   {_expectation(summary.expected_churns, decimals=1)}",
    ]
    at_risk, value = summary.value_at_risk, summary.value
    if at_risk is not None and value:
        share = f"{percent(at_risk.expected / value)} of {amount(value)} {summary.value_column}"
        lines.append(f"Value at risk     {_expectation(at_risk)}, {share}")
    return [*lines, "Intervals at 95 %: what chance alone may do if the probabilities are right."]


def _expectation(found: "Expectation", *, decimals: int = 0) -> str:
    low, high = f"{found.low:,.{decimals}f}", f"{found.high:,.{decimals}f}"
    return f"{found.expected:,.{decimals}f} ({low} to {high})"


def _tiers(summary: "PortfolioSummary") -> str:
    headers = ["Tier", "Accounts", "Share", "Expected churns"]
    rows = [
        [clipped(t.tier, 20), amount(t.accounts), percent(t.share, decimals=0), f"{t.expected_churns:,.1f}"]
        for t in summary.tiers
    ]
    if summary.value_column is not None:
        headers += ["Value", "Value at risk"]
        for row, tier in zip(rows, summary.tiers, strict=True):
            row += [amount(tier.value or 0.0), amount(tier.value_at_risk or 0.0)]
    return table(headers, rows)


def _top(summary: "PortfolioSummary") -> str:
    n, by_value = len(summary.top), summary.value_column is not None
    title = f"The {n} accounts " + ("with the most value at risk" if by_value else "likeliest to churn")
    head, rule, *lines = _top_table(summary.top, by_value=by_value).splitlines()
    told = [
        part
        for line, account in zip(lines, summary.top, strict=True)
        for part in (line, _reasons(account.reasons))
    ]
    return section(title, "Below each: what costs it most, in points of its score.", "", head, rule, *told)


def _top_table(top: Sequence["AccountAtRisk"], *, by_value: bool) -> str:
    numbers = [_numbers(account, by_value=by_value) for account in top]
    headers = ["Score", "Tier", "Churn", *(["Value", "At risk"] if by_value else [])]
    ids = [clipped(account.account, ID_WIDTH) for account in top]
    taken = sum(max(map(len, column)) + 2 for column in zip(headers, *numbers, strict=True))
    names, kept = _fitting(top, WIDTH - taken - max(map(len, ["Account", *ids])))
    columns = zip(ids, *kept, strict=True)
    rows = [[*texts, *row] for texts, row in zip(columns, numbers, strict=True)]
    return table(["Account", *names, *headers], rows)


def _numbers(account: "AccountAtRisk", *, by_value: bool) -> list[str]:
    churn = percent(account.churn_probability, decimals=0)
    row = [f"{account.health_score:.1f}", clipped(account.tier, TIER_WIDTH), churn]
    return row + ([amount(account.value or 0.0), amount(account.value_at_risk or 0.0)] if by_value else [])


def _fitting(top: Sequence["AccountAtRisk"], width: int) -> tuple[list[str], list[list[str]]]:
    """Names and texts of the kept columns that fit into the width, each clipped to its share of it."""
    names = list(top[0].kept)[: max(width // (LEAST_KEPT_WIDTH + 2), 0)]
    share = width // len(names) - 2 if names else 0
    columns = [[clipped(account.kept[name], share) for account in top] for name in names]
    return [clipped(name, share) for name in names], columns


def _reasons(reasons: Sequence[str]) -> str:
    told = "; ".join(reason.removesuffix(" points") for reason in reasons)
    return wrapped(told or "nothing: every metric is as healthy as usual", indent="    ")
