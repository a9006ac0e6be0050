"""A recipe for the simulated raw tables: the success team's metrics, made as of each snapshot.

They have the names, units and directions of `Portfolio.customers`, and are the same numbers but for these:

- logins_per_seat and feature_adoption are not rounded; seats_used has no noise of its own.
- usage_change compares days of use in 90 days with the 90 days before (customers: three month ends each).
- resolve_hours is of tickets opened in 90 days (customers: closed in 30).
- nps and csat are the latest answers to surveys sent in 60 days, so that late answers count (customers: 30).
- tenure_months is not whole, and contract_growth does not know the prices that change inside a term.

Parts of ratios, and what is only carried, say ``model = false``: they are made and not learned from.
"""

from typing import Any, Literal

from chs_ml.synthetic.catalogue import CATALOGUE

LEAD_DAYS = 30

TABLES: dict[str, dict[str, Any]] = {
    "accounts": {
        "attributes": ["name", "owner", "segment", "contract_term", "plan", "region", "industry"],
        "id": "account_id",
    },
    "subscriptions": {
        "role": "contracts",
        "columns": {"start": "start_date", "end": "end_date", "mrr": "mrr", "seats": "seats"},
        "later": {"cancelled_at": []},
    },
    "events": {
        "file": "events_daily",
        "role": "usage",
        "time": "event_date",
        "columns": {"count": "n_events", "feature": "event_type"},
        "id": ["account_id", "event_date", "event_type"],
    },
    "users": {
        "file": "active_users_daily",
        "role": "active_users",
        "time": "event_date",
        "columns": {"users": "active_users"},
        "id": ["account_id", "event_date"],
    },
    "tickets": {
        "columns": {
            "opened": "opened_at",
            "closed": "closed_at",
            "priority": "priority",
            "resolution_hours": "resolution_hours",
        },
        "later": {"closed_at": ["resolution_hours"], "escalated_at": []},
        "id": "ticket_id",
    },
    "surveys": {
        "time": "sent_at",
        "columns": {"answered": "answered_at", "score": "score"},
        "later": {"answered_at": ["score"]},
        "id": "survey_id",
    },
    "invoices": {
        "columns": {"issued": "issued_at", "due": "due_at", "paid": "paid_at", "amount": "amount"},
        "later": {"paid_at": []},
        "id": "invoice_id",
    },
    "payments": {"role": "other", "time": "attempted_at"},
    "touchpoints": {"time": "happened_at", "columns": {"kind": "kind"}},
    "sponsors": {"role": "other", "time": "recorded_at"},
}

_LOGIN = {"event_type": "login"}
_MRR = {"from": "subscriptions", "of": "mrr", "measure": "sum", "active": True, "empty": "missing"}

PARTS: dict[str, dict[str, Any]] = {
    "logins": {"from": "events", "measure": "sum", "of": "n_events", "where": _LOGIN, "days": 30},
    "users_peak": {"from": "users", "measure": "max", "of": "active_users", "days": 30, "empty": 0},
    "usage_days_90d": {"from": "users", "measure": "active_days", "days": 90},
    "seats": _MRR | {"of": "seats"},
    "mrr": _MRR,
    "arr": _MRR | {"times": 12},
    "name": {},
    "owner": {},
    "segment": {},
}
"""Made, and not learned from."""

METRICS: dict[str, dict[str, Any]] = {
    "usage_days": {"from": "users", "measure": "active_days", "days": 30},
    "feature_adoption": {
        "from": "events",
        "measure": "distinct",
        "of": "event_type",
        "where": {"event_type": {"not_in": ["login"]}},
        "days": 30,
        "times": 10,  # of ten features, in percent
    },
    "logins_per_seat": {"measure": "ratio", "of": "logins", "per": "seats"},
    "usage_change": {"measure": "growth", "of": "usage_days_90d", "times": 100},
    "seats_used": {"measure": "ratio", "of": "users_peak", "per": "seats", "times": 100},
    "days_since_login": {"from": "events", "measure": "recency", "where": _LOGIN},
    "tickets_open": {"from": "tickets", "measure": "count", "where": {"closed_at": {"known": False}}},
    "tickets_escalated": {
        "from": "tickets",
        "measure": "count",
        "where": {"escalated_at": {"known": True}},
        "days": 90,
    },
    "resolve_hours": {"from": "tickets", "measure": "mean", "of": "resolution_hours", "days": 90},
    "csat": {"from": "surveys", "measure": "latest", "of": "score", "where": {"kind": "csat"}, "days": 60},
    "nps": {"from": "surveys", "measure": "latest", "of": "score", "where": {"kind": "nps"}, "days": 60},
    "contract_growth": {"measure": "growth", "of": "mrr", "days": 365, "times": 100},
    "touchpoints": {"from": "touchpoints", "measure": "count", "days": 90},
    "sponsor": {"from": "sponsors", "measure": "latest", "of": "sponsor"},
    "tenure_months": {"from": "subscriptions", "measure": "age", "of": "start_date", "times": 12 / 365.25},
    "overdue_days": {
        "from": "invoices",
        "measure": "age",
        "of": "due_at",
        "where": {"due_at": {"past": True}, "paid_at": {"known": False}},
        "empty": 0,
    },
    "failed_payments": {"from": "payments", "measure": "count", "where": {"status": "failed"}, "days": 90},
}


def raw_recipe(
    *, kind: Literal["renewal", "calendar"], first: str, data_cut: str, horizon_days: int, folder: str
) -> dict[str, Any]:
    """A recipe for the files of `write_raw_tables`, as ``load_recipe`` takes it.

    Parameters
    ----------
    kind : {"renewal", "calendar"}
        Snapshots 30 days before each renewal, or each month's end at which an account is a customer,
        whether or not a renewal falls due within the horizon.
    first, data_cut : str
        First snapshot and last day known, as 2024-01-31.
    horizon_days : int
        Days within which churn counts, on a calendar.
    folder : str
        Where the files are.
    """
    when: dict[str, Any] = {"kind": kind, "first": first, "data_cut": data_cut}
    when |= (
        {"lead_days": LEAD_DAYS} if kind == "renewal" else {"every": "month", "horizon_days": horizon_days}
    )
    return {
        "data": {"path": folder, "value": "arr", "segment": "segment", "keep": ["name", "owner"]},
        "tables": {name: _table(name, spec) for name, spec in TABLES.items()},
        "snapshots": when,
        "outcomes": {"from": "subscriptions"},
        "metrics": {
            **{name: {**definition, "model": False} for name, definition in PARTS.items()},
            **{name: {**_about(name), **definition} for name, definition in METRICS.items()},
            **{name: _about(name) for name in ("contract_term", "plan", "region", "industry")},
        },
    }


def _table(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Only the metrics that are defined here, not the whole catalogue."""
    plain = {key: value for key, value in spec.items() if key != "file"}
    return {"path": f"{spec.get('file', name)}.parquet", "catalogue": False, **plain}


def _about(name: str) -> dict[str, Any]:
    metric = CATALOGUE[name].metric
    said = {"group": metric.group, "label": metric.label, "kind": metric.kind.value, "unit": metric.unit}
    return {key: word for key, word in said.items() if word} | {"direction": metric.direction.value}
