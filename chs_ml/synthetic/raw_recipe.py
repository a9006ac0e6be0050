"""A recipe for the simulated raw tables: the success team's metrics, made as of each snapshot.

Metrics that the tables give back have the names of `Portfolio.customers`, with two that are a little
different: logins_per_seat is not rounded, and resolve_hours is of tickets opened in 90 days. Where unit or
window differ (shares instead of percentages, numbers of features) the name does too. Every month at which an
account is a customer has a row, whether or not a renewal is due within the horizon.
"""

from typing import Any

from chs_ml.synthetic.catalogue import CATALOGUE

TABLES: dict[str, dict[str, Any]] = {
    "accounts": {
        "attributes": ["segment", "contract_term", "plan", "region", "industry"],
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

METRICS: dict[str, dict[str, Any]] = {
    "usage_days": {"from": "users", "measure": "active_days", "days": 30},
    "days_since_login": {"from": "events", "measure": "recency", "where": {"event_type": "login"}},
    "logins": {
        "from": "events",
        "measure": "sum",
        "of": "n_events",
        "where": {"event_type": "login"},
        "days": 30,
    },
    "seats": {"from": "subscriptions", "measure": "sum", "of": "seats", "active": True, "empty": "missing"},
    "logins_per_seat": {"measure": "ratio", "of": "logins", "per": "seats"},
    "features_used": {
        "from": "events",
        "measure": "distinct",
        "of": "event_type",
        "where": {"event_type": {"not_in": ["login"]}},
        "days": 30,
    },
    "users_peak": {"from": "users", "measure": "max", "of": "active_users", "days": 30, "empty": 0},
    "seats_used_share": {"measure": "ratio", "of": "users_peak", "per": "seats"},
    "usage_days_90d": {"from": "users", "measure": "active_days", "days": 90},
    "usage_days_change": {"measure": "change", "of": "usage_days_90d"},
    "tickets_open": {"from": "tickets", "measure": "count", "where": {"closed_at": {"known": False}}},
    "tickets_escalated": {
        "from": "tickets",
        "measure": "count",
        "where": {"escalated_at": {"known": True}},
        "days": 90,
    },
    "resolve_hours": {"from": "tickets", "measure": "mean", "of": "resolution_hours", "days": 90},
    # of surveys sent in two months, so that late answers count; the monthly metrics take 30 days of answers
    "nps_latest": {
        "from": "surveys",
        "measure": "latest",
        "of": "score",
        "where": {"kind": "nps"},
        "days": 60,
    },
    "csat_latest": {
        "from": "surveys",
        "measure": "latest",
        "of": "score",
        "where": {"kind": "csat"},
        "days": 60,
    },
    "sponsor": {"from": "sponsors", "measure": "latest", "of": "sponsor"},
    "tenure_days": {"from": "subscriptions", "measure": "age", "of": "start_date"},
    "touchpoints": {"from": "touchpoints", "measure": "count", "days": 90},
    "overdue_days": {
        "from": "invoices",
        "measure": "age",
        "of": "due_at",
        "where": {"due_at": {"past": True}, "paid_at": {"known": False}},
        "empty": 0,
    },
    "failed_payments": {"from": "payments", "measure": "count", "where": {"status": "failed"}, "days": 90},
}

OTHERS: dict[str, tuple[str, str, str, str]] = {
    "logins": ("Product usage", "Logins", "in 30 days", "higher"),
    "seats": ("Value", "Seats bought", "", "unknown"),
    "features_used": ("Product usage", "Features used", "of 10, in 30 days", "higher"),
    "users_peak": ("Product usage", "Most users of a day", "in 30 days", "higher"),
    "seats_used_share": ("Product usage", "Seats used", "share of seats bought", "higher"),
    "usage_days_90d": ("Product usage", "Usage frequency of the quarter", "days of 90", "higher"),
    "usage_days_change": ("Product usage", "Usage change", "-1 to 1, on the quarter before", "higher"),
    "nps_latest": ("Sentiment", "Latest NPS answer", "of 10", "higher"),
    "csat_latest": ("Sentiment", "Latest CSAT", "of 5", "higher"),
    "tenure_days": ("Relationship", "Tenure", "days", "higher"),
}


def raw_recipe(*, first: str, data_cut: str, horizon_days: int, folder: str) -> dict[str, Any]:
    """A recipe for the files of `write_raw_tables`, as ``load_recipe`` takes it.

    Parameters
    ----------
    first, data_cut : str
        First snapshot and last day known, as 2024-01-31.
    horizon_days : int
        Days within which churn counts.
    folder : str
        Where the files are.
    """
    return {
        "data": {"path": folder, "segment": "segment"},
        "tables": {name: _table(name, spec) for name, spec in TABLES.items()},
        "snapshots": {
            "kind": "calendar",
            "every": "month",
            "first": first,
            "horizon_days": horizon_days,
            "data_cut": data_cut,
        },
        "outcomes": {"from": "subscriptions"},
        "metrics": {name: {**_about(name), **definition} for name, definition in METRICS.items()},
    }


def _table(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """Only the metrics that are defined here, not the whole catalogue."""
    plain = {key: value for key, value in spec.items() if key != "file"}
    return {"path": f"{spec.get('file', name)}.parquet", "catalogue": False, **plain}


def _about(name: str) -> dict[str, Any]:
    if name in CATALOGUE:
        metric = CATALOGUE[name].metric
        group, label, unit, direction = metric.group, metric.label, metric.unit, metric.direction.value
        kind = {"kind": metric.kind.value}
    else:
        group, label, unit, direction = OTHERS[name]
        kind = {}
    return {"group": group, "label": label, "unit": unit, "direction": direction, **kind}
