"""Plain text for people: tables of at most 100 columns, no markup."""

import math
import textwrap
from collections.abc import Sequence

from chs_ml.validation.result import Interval

WIDTH = 100
DASH = "–"


def number(value: float, *, decimals: int = 3) -> str:
    """A number with so many decimals; a dash where there is none."""
    return DASH if math.isnan(value) else _rounded(value, decimals)


def _rounded(value: float, decimals: int) -> str:
    """A rounded number without a minus sign before nothing but zeros."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0.0 else text


def percent(value: float, *, decimals: int = 1) -> str:
    """A share in percent; a dash where there is none."""
    return DASH if math.isnan(value) else f"{_rounded(100 * value, decimals)} %"


def amount(value: float) -> str:
    """A whole number with thousands separators; a dash where there is none."""
    return DASH if math.isnan(value) else f"{value:,.0f}"


def p_text(value: float) -> str:
    """A p-value with three decimals, "< 0.001" below that, a dash where there is none."""
    return DASH if math.isnan(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"


def interval_text(interval: Interval, *, decimals: int = 3) -> str:
    """Both ends of an interval; a dash where there is none."""
    if not interval.known:
        return DASH
    return f"{_rounded(interval.low, decimals)} to {_rounded(interval.high, decimals)}"


def percent_interval(interval: Interval, *, decimals: int = 1) -> str:
    """Both ends of an interval of shares in percent; a dash where there is none."""
    inner = interval_text(Interval(100 * interval.low, 100 * interval.high), decimals=decimals)
    return inner if inner == DASH else f"{inner} %"


def rows_text(rows: int, accounts: int) -> str:
    """Rows as people think of them: accounts, or snapshots where an account has several."""
    return f"{rows:,} accounts" if rows == accounts else f"{rows:,} snapshots of {accounts:,} accounts"


def range_text(low: float, high: float) -> str:
    """A range of a number, open where an end is infinite."""
    if math.isinf(low):
        return f"up to {high:g}"
    return f"above {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in plain text: first column left, the others right, a rule below the headers.

    Parameters
    ----------
    headers : sequence of k str
        Column headers.
    rows : sequence of sequences of k str
        Cells.
    """
    widths = [max(len(cell) for cell in column) for column in zip(headers, *rows, strict=True)]
    lines = [_line(headers, widths), "  ".join("-" * width for width in widths)]
    return "\n".join(lines + [_line(row, widths) for row in rows])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "  ".join([first, *rest]).rstrip()


def wrapped(text: str, *, indent: str = "", first: str | None = None) -> str:
    """Break a sentence at the width, with an indent."""
    return textwrap.fill(
        text, width=WIDTH, initial_indent=indent if first is None else first, subsequent_indent=indent
    )


def section(title: str, *parts: str) -> str:
    """A titled block; empty parts are left out."""
    return "\n".join([title, "=" * len(title), *(part for part in parts if part)])


def clipped(text: str, width: int) -> str:
    """Text of at most that width, with an ellipsis where it was cut."""
    return text if len(text) <= width else text[: width - 1] + "…"
