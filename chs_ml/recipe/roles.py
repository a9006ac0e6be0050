"""What a raw table can hold, and the standard names of its columns.

A role says which checks and which catalogue metrics a table gets. A recipe maps standard names to the
columns of its file (``[tables.NAME.columns] start = "start_date"``); a standard name that the file has
as it stands needs no mapping only where the recipe says so, nothing is guessed.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """A kind of raw table.

    Attributes
    ----------
    meaning : str
        What one row is.
    columns : tuple of str
        Standard names, all optional but those in `required`.
    required : tuple of str
        Standard names without which the table cannot play the role.
    time : str
        The standard column from which a row is known where ``time`` is not given; empty if there is none.
    """

    meaning: str
    columns: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    time: str = ""


ROLES: dict[str, Role] = {
    "accounts": Role("an account and its attributes", ("created",), time="created"),
    "contracts": Role(
        "a contract term or subscription",
        ("start", "end", "product", "mrr", "seats", "discount", "bill_months"),
        required=("start",),
        time="start",
    ),
    "usage": Role("a usage event, or a day's count of them", ("count", "feature", "user", "value")),
    "active_users": Role("a day's number of active users", ("users",), required=("users",)),
    "tickets": Role(
        "a support ticket",
        ("opened", "closed", "priority", "escalated", "resolution_hours", "response_minutes", "satisfaction"),
        time="opened",
    ),
    "surveys": Role(
        "a survey that was sent, or an answer to one", ("answered", "score"), required=("score",)
    ),
    "invoices": Role(
        "an invoice or payment", ("issued", "due", "paid", "amount", "failed", "overdue_days"), time="issued"
    ),
    "touchpoints": Role("a contact with the success team", ("kind",)),
    "activity": Role("a community or marketing activity", ("kind",)),
    "renewals": Role(
        "a renewal and what came of it",
        ("due", "start", "outcome", "mrr", "mrr_next", "product"),
        required=("due", "outcome"),
        time="due",
    ),
    "cancellations": Role("a dated churn", ("cancelled",), time="cancelled"),
    "other": Role("anything else"),
}
