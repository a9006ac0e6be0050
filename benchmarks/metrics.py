"""How fast raw events become metrics: events by account and day, monthly snapshots, twenty metrics.

    python benchmarks/metrics.py --events 10000000

It writes the events to a temporary folder, and times in processes of their own: the whole recipe (reading,
checks, outcomes, metrics), the metrics alone, the best hand-written DuckDB query that we know for the same
numbers, and a vectorised pandas loop. Peak memory is the process's own.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

ACCOUNTS = 50_000
MONTHS = 24
FIRST = pd.Timestamp("2022-01-01")
CUT = "2024-06-30"
WINDOWS = (30, 90)
FEATURES = 8


def write_tables(folder: Path, events: int, accounts: int) -> None:
    """Write events in parts of ten million rows, and a contract per account."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (folder / "events").mkdir()
    days = 900
    for part, start in enumerate(range(0, events, 10_000_000)):
        n = min(10_000_000, events - start)
        rng = np.random.default_rng(part)
        moment = FIRST.to_datetime64().astype("datetime64[us]") + (rng.random(n) * days * 86_400e6).astype(
            "timedelta64[us]"
        )
        table = pa.table(
            {
                "account_id": (rng.random(n) ** 2 * accounts).astype(np.int32),
                "at": moment,
                "feature": rng.integers(0, FEATURES, n).astype(np.int8),
                "minutes": rng.gamma(2.0, 5.0, n).round(2),
            }
        )
        pq.write_table(table, folder / "events" / f"part{part:03}.parquet")
    ids = np.arange(accounts)
    terms = pd.DataFrame({"account_id": ids, "start": FIRST, "end": pd.Timestamp("2025-06-30"), "mrr": 100.0})
    terms.to_parquet(folder / "contracts.parquet")


def recipe(folder: Path) -> dict:
    """Twenty metrics of the events: counts, sums, means, days, features, changes, slope, recency."""
    metrics: dict[str, dict] = {"recency": {"measure": "recency", "from": "events"}}
    for days in WINDOWS:
        of = {"from": "events", "days": days}
        metrics |= {
            f"n_{days}": of | {"measure": "count"},
            f"minutes_{days}": of | {"measure": "sum", "of": "minutes"},
            f"mean_{days}": of | {"measure": "mean", "of": "minutes"},
            f"longest_{days}": of | {"measure": "max", "of": "minutes"},
            f"days_{days}": of | {"measure": "active_days"},
            f"n3_{days}": of | {"measure": "count", "where": {"feature": 3}},
            f"minutes3_{days}": of | {"measure": "sum", "of": "minutes", "where": {"feature": 3}},
            f"long_{days}": of | {"measure": "share", "where": {"minutes": {"at_least": 10}}},
            f"change_{days}": {"measure": "change", "of": f"n_{days}"},
        }
    metrics["n_all"] = {"measure": "count", "from": "events"}
    return {
        "data": {"path": str(folder)},
        "tables": {
            "events": {"path": "events", "role": "usage", "time": "at", "catalogue": False},
            "contracts": {
                "path": "contracts.parquet",
                "columns": {"start": "start", "end": "end", "mrr": "mrr"},
                "catalogue": False,
            },
        },
        "snapshots": {"first": "2022-07-01", "last": CUT, "data_cut": CUT, "horizon_days": 90},
        "outcomes": {"from": "contracts"},
        "metrics": metrics,
    }


def run_ours(folder: Path) -> pd.DataFrame:
    """The recipe, whole."""
    from chs_ml.raw import build_snapshots
    from chs_ml.raw.duckdb_engine import DuckDBEngine
    from chs_ml.recipe import load_recipe

    return build_snapshots(load_recipe(recipe(folder)), engine=DuckDBEngine(threads=2, memory="6GB")).frame


def run_by_hand(folder: Path) -> pd.DataFrame:
    """By hand: account-days first, months as a calendar of buckets, windows as filtered sums."""
    import duckdb

    connection = duckdb.connect(
        config={"threads": 2, "memory_limit": "6GB", "preserve_insertion_order": False}
    )
    ends = pd.date_range("2022-07-31", CUT, freq="ME")
    connection.register("ends", pd.DataFrame({"s": ends.date}))
    connection.execute(
        f"""
        CREATE TEMP TABLE days AS
        SELECT account_id, CAST("at" AS DATE) AS d, COUNT(*) AS n, SUM(minutes) AS m, MAX(minutes) AS x,
               COUNT(*) FILTER (WHERE feature = 3) AS n3, SUM(minutes) FILTER (WHERE feature = 3) AS m3,
               COUNT(*) FILTER (WHERE minutes >= 10) AS l
        FROM read_parquet('{folder}/events/*.parquet') WHERE "at" < DATE '{CUT}' + 1 GROUP BY ALL
        """
    )
    parts = []
    for days in WINDOWS:
        inside = f"FILTER (WHERE d > s - {days})"
        before = f"FILTER (WHERE d <= s - {days} AND d > s - {2 * days})"
        parts += [
            f"COALESCE(SUM(n) {inside}, 0) AS n_{days}, SUM(m) {inside} AS minutes_{days}",
            f"SUM(m) {inside} / SUM(n) {inside} AS mean_{days}, MAX(x) {inside} AS longest_{days}",
            f"COUNT(*) {inside} AS days_{days}, SUM(n3) {inside} AS n3_{days}",
            f"SUM(m3) {inside} AS minutes3_{days}",
            f"SUM(l) {inside} / SUM(n) {inside} AS long_{days}",
            f"(SUM(n) {inside} - SUM(n) {before}) / (SUM(n) {inside} + SUM(n) {before}) AS change_{days}",
        ]
    return connection.execute(
        f"""
        SELECT c.account_id, s, {", ".join(parts)}, MIN(s - d) AS recency, SUM(n) AS n_all
        FROM (SELECT account_id, s FROM '{folder}/contracts.parquet', ends) c
        LEFT JOIN days d ON d.account_id = c.account_id AND d.d <= c.s GROUP BY ALL ORDER BY s, c.account_id
        """
    ).df()


def run_pandas(folder: Path) -> pd.DataFrame:
    """A vectorised loop over snapshots and windows, in memory."""
    events = pd.read_parquet(folder / "events")
    events["day"] = events["at"].dt.normalize()
    found = []
    for end in pd.date_range("2022-07-31", CUT, freq="ME"):
        row: dict[str, pd.Series] = {}
        for days in WINDOWS:
            part = events[(events["day"] <= end) & (events["day"] > end - pd.Timedelta(days=days))]
            by = part.groupby("account_id")
            row |= {f"n_{days}": by.size(), f"minutes_{days}": by["minutes"].sum()}
            row |= {f"mean_{days}": by["minutes"].mean(), f"longest_{days}": by["minutes"].max()}
            row |= {f"days_{days}": by["day"].nunique()}
            three = part[part["feature"] == 3].groupby("account_id")
            row |= {f"n3_{days}": three.size(), f"minutes3_{days}": three["minutes"].sum()}
        found.append(pd.DataFrame(row).assign(s=end))
    return pd.concat(found)


RUNS = {"ours": run_ours, "by hand": run_by_hand, "pandas": run_pandas}


def measured(name: str, folder: Path) -> dict[str, float]:
    """Time and peak memory of one way, in a process of its own."""
    command = [sys.executable, __file__, "--only", name, "--folder", str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def only(name: str, folder: Path) -> None:
    """Run one way and print what it took."""
    start = time.perf_counter()
    frame = RUNS[name](folder)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    checksum = float(frame["n_90"].sum())
    print(json.dumps({"seconds": seconds, "peak_gb": peak, "rows": len(frame), "checksum": checksum}))


def main() -> None:
    """Write the tables, and time each way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument("--only")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--without", nargs="*", default=[])
    given = parser.parse_args()
    if given.only:
        only(given.only, given.folder)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder, given.events, given.accounts)
        for way in RUNS:
            if way not in given.without:
                took = measured(way, folder)
                seconds, peak, rows = took["seconds"], took["peak_gb"], took["rows"]
                print(f"{way:8} {seconds:8.1f} s {peak:6.2f} GB  {rows:,.0f} rows {took['checksum']:,.0f}")


if __name__ == "__main__":
    main()
