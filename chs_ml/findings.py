"""What the checks at the door have to say."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from chs_ml.errors import TableError

Severity = Literal["note", "warning", "error"]
ORDER: tuple[Severity, ...] = ("error", "warning", "note")
"""Severities, gravest first."""


@dataclass(frozen=True)
class Finding:
    """One thing that a check found in a table.

    Attributes
    ----------
    code : str
        Short and stable, such as "suspected-leak".
    severity : {"note", "warning", "error"}
        An error stops training; a warning asks for a decision; a note is good to know.
    subject : str
        The column; empty where it is the table.
    message : str
        What was found and what to do.
    count : int
        How many rows or columns it concerns.
    """

    code: str
    severity: Severity
    subject: str
    message: str
    count: int = 0


def note(code: str, subject: str, message: str, *, count: int = 0) -> Finding:
    """Make a finding that is good to know and asks for nothing."""
    return Finding(code, "note", subject, message, count)


def warning(code: str, subject: str, message: str, *, count: int = 0) -> Finding:
    """Make a finding that goes into the report."""
    return Finding(code, "warning", subject, message, count)


def error(code: str, subject: str, message: str, *, count: int = 0) -> Finding:
    """Make a finding that stops training."""
    return Finding(code, "error", subject, message, count)


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether a finding stops training."""
    return any(finding.severity == "error" for finding in findings)


def raise_errors(findings: Iterable[Finding]) -> None:
    """Raise a TableError that joins all findings that are errors.

    Raises
    ------
    TableError
        Where there is one.
    """
    messages = [finding.message for finding in findings if finding.severity == "error"]
    if len(messages) == 1:
        raise TableError(messages[0])
    if messages:
        raise TableError("\n- ".join([f"The table cannot be used, for {len(messages)} reasons:", *messages]))
