"""A small company with everything that makes raw tables hard, and a brute-force oracle for its metrics."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

Tables = dict[str, pd.DataFrame]
START = pd.Timestamp("2023-01-01")
CUT = pd.Timestamp("2023-12-31")

SPECS: dict[str, dict[str, Any]] = {
    "accounts": {"columns": {"created": "created"}, "attributes": ["plan"], "id": "account_id"},
    "contracts": {
        "columns": {"start": "start", "end": "end", "product": "product", "mrr": "mrr", "seats": "seats"},
        "time": "signed",
        "id": "term_id",
    },
    "usage": {
        "time": "at",
        "columns": {"count": "n", "feature": "feature", "user": "user", "value": "minutes"},
    },
    "active_users": {"time": "day", "columns": {"users": "users"}},
    "tickets": {
        "columns": {
            "opened": "opened",
            "closed": "closed_at",
            "priority": "priority",
            "escalated": "escalated",
            "resolution_hours": "hours",
            "satisfaction": "csat",
        },
        "later": {"closed_at": ["hours"], "answered_at": ["csat"], "escalated_at": ["escalated"]},
    },
    "surveys": {
        "time": "sent",
        "columns": {"answered": "answered", "score": "score"},
        "later": {"answered": ["score"]},
    },
    "invoices": {
        "columns": {"issued": "issued", "due": "due", "paid": "paid", "amount": "amount", "failed": "failed"},
        "later": {"paid": []},
    },
    "touchpoints": {"time": "met", "columns": {"kind": "kind"}},
    "activity": {"time": "at", "columns": {"kind": "kind"}},
}


def company(seed: int = 0, *, accounts: int = 25) -> Tables:
    """Raw tables of a company: products side by side, gaps, upgrades in mid-term, returns, late fields."""
    rng = np.random.default_rng(seed)
    ids = np.arange(1, accounts + 1)
    created = START - pd.to_timedelta(rng.integers(0, 200, accounts), unit="D")
    found: Tables = {
        "accounts": pd.DataFrame(
            {"account_id": ids, "created": created, "plan": rng.choice(["a", "b", None], accounts)}
        ),
        "contracts": _contracts(rng, ids),
    }

    def dated(n: int, low: int = -100, high: int = 400) -> pd.Series:
        return pd.Series(START + pd.to_timedelta(rng.integers(low, high, n), unit="D"))

    def after(day: pd.Series, low: int, high: int, *, share: float) -> pd.Series:
        later = day + pd.to_timedelta(rng.integers(low, high, len(day)), unit="D")
        return later.where(rng.random(len(day)) < share)

    n = 40 * accounts
    at = dated(n) + pd.to_timedelta(rng.integers(0, 86_400, n), unit="s")
    found["usage"] = pd.DataFrame(
        {
            "account_id": rng.choice(ids, n),
            "at": at,
            "n": rng.integers(1, 9, n),
            "feature": rng.choice(["x", "y", "z", None], n),
            "user": rng.integers(1, 6, n),
            "minutes": np.where(rng.random(n) < 0.1, np.nan, rng.gamma(2.0, 10.0, n).round(3)),
        }
    )
    found["active_users"] = pd.DataFrame(
        {"account_id": rng.choice(ids, n), "day": dated(n), "users": rng.integers(1, 50, n)}
    ).drop_duplicates(["account_id", "day"])
    n = 8 * accounts
    opened = dated(n)
    closed = after(opened, 0, 40, share=0.8)
    answered, escalated = after(opened, 1, 60, share=0.5), after(opened, 0, 10, share=0.3)
    found["tickets"] = pd.DataFrame(
        {
            "account_id": rng.choice(ids, n),
            "opened": opened,
            "closed_at": closed,
            "hours": ((closed - opened).dt.days * 24 + 1.5).where(rng.random(n) < 0.9),
            "answered_at": answered,
            "csat": pd.Series(rng.integers(1, 6, n)).where(answered.notna()).astype("Float64"),
            "escalated_at": escalated,
            "escalated": escalated.notna().where(escalated.notna()),
            "priority": rng.choice(["low", "high", "urgent"], n),
        }
    )
    sent = dated(n)
    answered = after(sent, 0, 30, share=0.4)
    found["surveys"] = pd.DataFrame(
        {
            "account_id": rng.choice(ids, n),
            "sent": sent,
            "answered": answered,
            "score": pd.Series(rng.integers(0, 11, n), dtype="float64").where(answered.notna()),
        }
    )
    issued = dated(n)
    due = issued + pd.Timedelta(days=30)
    found["invoices"] = pd.DataFrame(
        {
            "account_id": rng.choice(ids, n),
            "issued": issued,
            "due": due,
            "paid": after(due, -20, 50, share=0.9),
            "amount": rng.gamma(2.0, 100.0, n).round(2),
            "failed": rng.random(n) < 0.2,
        }
    )
    kinds = rng.choice(["call", "mail", "visit"], n)
    found["touchpoints"] = pd.DataFrame({"account_id": rng.choice(ids, n), "met": dated(n), "kind": kinds})
    found["activity"] = pd.DataFrame({"account_id": rng.choice(ids, n), "at": dated(n), "kind": kinds[::-1]})
    found["tickets"]["escalated"] = found["tickets"]["escalated"].astype("boolean")
    return found


def _contracts(rng: np.random.Generator, ids: np.ndarray) -> pd.DataFrame:
    rows: list[tuple[Any, ...]] = []
    for account in ids:
        for product in ("core", "extra")[: 1 + (rng.random() < 0.3)]:
            start, mrr, seats = START - pd.Timedelta(days=int(rng.integers(0, 200))), 100.0, 5
            for _ in range(int(rng.integers(1, 12))):
                end = start + pd.Timedelta(days=int(rng.choice([30, 90, 365])))
                signed = start + pd.Timedelta(days=int(rng.integers(-10, 4)))
                rows.append((account, product, start, end, signed, round(mrr, 2), seats))
                if rng.random() < 0.1:  # an add-on that ends with it
                    middle = start + (end - start) / 2
                    rows.append((account, product, middle.normalize(), end, middle.normalize(), 10.0, 1))
                gap = int(rng.choice([0, 0, 0, 0, 2, 60]))
                if rng.random() < 0.1:  # an upgrade in mid-term
                    gap = -int((end - start).days // 2)
                start, mrr, seats = (
                    end + pd.Timedelta(days=gap),
                    mrr * rng.choice([0.8, 1, 1, 1.25]),
                    seats + 1,
                )
                if rng.random() < 0.15:
                    break
    columns = ["account_id", "product", "start", "end", "signed", "mrr", "seats"]
    made = pd.DataFrame(rows, columns=columns)
    return made.assign(term_id=np.arange(len(made)))


def cut_at(tables: Tables, day: pd.Timestamp, specs: dict[str, dict[str, Any]] = SPECS) -> Tables:
    """The tables as they stood at the end of a day: later rows gone, later fields blank."""
    known = {}
    for name, frame in tables.items():
        spec = specs[name]
        role_time = {"accounts": "created", "tickets": "opened", "invoices": "issued", "contracts": "start"}
        time = spec.get("time") or spec["columns"][role_time[name]]
        kept = frame[frame[time].dt.normalize() <= day].copy()
        for date_column, columns in spec.get("later", {}).items():
            unknown = ~(kept[date_column] <= day)
            for column in (*columns, date_column):
                kept[column] = kept[column].mask(unknown)
        known[name] = kept
    return known


@pytest.fixture(scope="session")
def make_company() -> Callable[..., Tables]:
    return company


@pytest.fixture(scope="session")
def cut_tables() -> Callable[..., Tables]:
    return cut_at


@pytest.fixture(scope="session")
def make_recipe() -> Callable[..., dict[str, Any]]:
    """Write tables to a folder, and return the recipe that reads them."""

    def make(
        tables: Tables, folder: Path, *, ending: str = ".parquet", metrics: Any = None, **snapshots: Any
    ) -> dict[str, Any]:
        folder.mkdir(parents=True, exist_ok=True)
        for name, frame in tables.items():
            path = folder / f"{name}{ending}"
            frame.to_parquet(path) if ending == ".parquet" else frame.to_csv(path, index=False)
        return {
            "data": {"path": str(folder)},
            "tables": {name: {**SPECS[name], "path": f"{name}{ending}"} for name in tables},
            "snapshots": {
                "first": "2023-04-01",
                "last": "2023-11-30",
                "data_cut": "2023-12-31",
                "horizon_days": 30,
                **snapshots,
            },
            "outcomes": {"from": "contracts", "grace_days": 5},
            "metrics": metrics or {},
        }

    return make
