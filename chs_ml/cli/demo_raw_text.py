"""The part of the demo's report that says what the raw tables held, and what their checks found."""

from typing import TYPE_CHECKING

from chs_ml.cli.texts import counted
from chs_ml.validation.text import amount, number, section, table, wrapped

if TYPE_CHECKING:
    from chs_ml.demo import Demo

IN_A_ROW = 3


def raw_text(demo: "Demo") -> str:
    """Rows of each table, what became of the contract terms, checks, and the leak meter in short."""
    lines = [_renewals_line(demo), _checks_line(demo), _splits_line(demo)]
    return section(
        "From raw tables",
        _rows_table(demo),
        "",
        *(wrapped(line, indent="  ", first="- ") for line in lines if line),
    )


def _rows_table(demo: "Demo") -> str:
    cells = [part for name, rows in demo.rows.items() for part in (name, amount(rows))]
    cells += [""] * (-len(cells) % (2 * IN_A_ROW))
    rows = [cells[i : i + 2 * IN_A_ROW] for i in range(0, len(cells), 2 * IN_A_ROW)]
    return table(["Table", "Rows"] * IN_A_ROW, rows)


def _renewals_line(demo: "Demo") -> str:
    told = ", ".join(f"{count:,} {word}" for word, count in demo.renewals.items())
    return (
        f"Contract terms that ended or will: {told}. Snapshots begin with the simulated months; open ones "
        "neither train nor judge."
    )


def _checks_line(demo: "Demo") -> str:
    found = [finding for finding in demo.leaks.findings if finding.severity != "note"]
    if not found:
        return "Checks of the tables, and the leak meter: nothing is suspected."
    first = " ".join(finding.message for finding in found[:IN_A_ROW])
    return f"Checks of the tables, and the leak meter: {counted(len(found), 'warning')}. {first}"


def _splits_line(demo: "Demo") -> str:
    if demo.leaks.splits is None:
        return ""
    told = ", ".join(f"{number(score.auc)} {score.split}" for score in demo.leaks.splits.scores)
    return f"A quick model of the same renewals under three splits, AUC: {told}."
