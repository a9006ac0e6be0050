"""How fast raw events become metrics: events by account and day, monthly snapshots, twenty metrics.

    python benchmarks/metrics.py --events 10000000 100000000 --without pandas --repeats 3
    python benchmarks/metrics.py --events 3000000

It writes the events to a temporary folder, and runs in processes of their own: the whole recipe (reading,
checks, outcomes, metrics), two hand-written DuckDB queries, and a vectorised pandas loop. All make the same
numbers, which is checked column by column; the better of the two queries is the best that we know. Repeats
take turns, so that a machine that slows down slows all of them, and their median counts. It prints for each
way wall-clock and processor seconds, the process's peak memory and its peak use of disk; then ours
by the best hand-written one, and with two numbers of events, how much steeper than the events the time grew.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

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


@contextmanager
def by_hand(folder: Path) -> Iterator[Any]:
    """A DuckDB connection with the settings of ours, the snapshots in `ends`, and events known by the cut."""
    import duckdb

    settings = {"threads": 2, "memory_limit": "6GB", "preserve_insertion_order": False}
    with tempfile.TemporaryDirectory() as spill:
        connection = duckdb.connect(str(Path(spill) / "hand.duckdb"), config=settings)
        connection.register("given", pd.DataFrame({"s": pd.date_range("2022-07-31", CUT, freq="ME").date}))
        connection.execute(f"""
            CREATE TABLE ends AS SELECT s FROM given;
            CREATE TABLE grid AS SELECT account_id, s FROM '{folder}/contracts.parquet', ends;
            CREATE VIEW events AS SELECT account_id, CAST("at" AS DATE) AS d, minutes, feature
            FROM read_parquet('{folder}/events/*.parquet') WHERE "at" < DATE '{CUT}' + 1;
        """)
        try:
            yield connection
        finally:
            connection.close()


MEASURED = """
    COUNT(*) AS n, SUM(minutes) AS m, MAX(minutes) AS x, COUNT(*) FILTER (WHERE feature = 3) AS n3,
    SUM(minutes) FILTER (WHERE feature = 3) AS m3, COUNT(*) FILTER (WHERE minutes >= 10) AS l
"""


def windowed(inside: str, before: str, days: str) -> str:
    """The nine metrics of each window; conditions and the count of days depend on how rows were grouped."""
    parts = []
    for w in WINDOWS:
        now, ago = (f"FILTER (WHERE {condition.format(w=w, ww=2 * w)})" for condition in (inside, before))
        parts += [
            f"COALESCE(SUM(n) {now}, 0) AS n_{w}, COALESCE(SUM(m) {now}, 0) AS minutes_{w}",
            f"SUM(m) {now} / SUM(n) {now} AS mean_{w}, MAX(x) {now} AS longest_{w}",
            f"COALESCE({days} {now}, 0) AS days_{w}, COALESCE(SUM(n3) {now}, 0) AS n3_{w}",
            f"COALESCE(SUM(m3) {now}, 0) AS minutes3_{w}, SUM(l) {now} / SUM(n) {now} AS long_{w}",
            f"(COALESCE(SUM(n) {now}, 0) - COALESCE(SUM(n) {ago}, 0)) "
            f"/ NULLIF(COALESCE(SUM(n) {now}, 0) + COALESCE(SUM(n) {ago}, 0), 0) AS change_{w}",
        ]
    return ", ".join(parts)


def run_days(folder: Path) -> pd.DataFrame:
    """By hand: account-days first, then each snapshot with all account-days before it."""
    metrics = windowed("d > s - {w}", "d <= s - {w} AND d > s - {ww}", "COUNT(*)")
    with by_hand(folder) as connection:
        connection.execute(f"CREATE TABLE days AS SELECT account_id, d, {MEASURED} FROM events GROUP BY ALL")
        return connection.execute(f"""
            SELECT g.account_id, g.s, {metrics}, MIN(s - d) AS recency, COALESCE(SUM(n), 0) AS n_all
            FROM grid g LEFT JOIN days d ON d.account_id = g.account_id AND d.d <= g.s GROUP BY ALL
        """).df()


def calendar() -> pd.DataFrame:
    """Each day's bucket (the next edge of a window), its bit in there, and the month end that follows."""
    ends = pd.date_range("2022-07-31", CUT, freq="ME")
    edges = {
        end - pd.Timedelta(days=days) for end in ends for days in (0, *WINDOWS, *(2 * w for w in WINDOWS))
    }
    edges |= set(pd.date_range(FIRST - pd.Timedelta(days=60), min(edges), freq="30D"))
    bucket, day = pd.DatetimeIndex(sorted(edges)), pd.date_range(FIRST, CUT)
    d, s = bucket[bucket.searchsorted(day)], ends[ends.searchsorted(day)]
    return pd.DataFrame({"day": day.date, "d": d.date, "s": s.date, "bit": 1 << (d - day).days.to_numpy()})


def run_buckets(folder: Path) -> pd.DataFrame:
    """By hand: events to the days between window edges, then each snapshot with the buckets in its reach.

    What looks at all history is summed up from month to month. Days with events are bits of a number.
    """
    flag = "d > s - {w} AS w{w}, d <= s - {w} AND d > s - {ww} AS b{w}"
    flags = ", ".join(flag.format(w=w, ww=2 * w) for w in WINDOWS)
    metrics = windowed("w{w}", "b{w}", "SUM(BIT_COUNT(days))")
    with by_hand(folder) as connection:
        connection.register("calendar", calendar())
        connection.execute(f"""
            CREATE TABLE buckets AS
            SELECT account_id, c.d AS d, ANY_VALUE(c.s) AS month, MAX(e.d) AS last, BIT_OR(bit) AS days,
                   {MEASURED} FROM events e JOIN calendar c ON c.day = e.d GROUP BY account_id, c.d;
            CREATE TABLE reach AS SELECT d, s, {flags} FROM (SELECT DISTINCT d FROM calendar) c, ends
            WHERE d <= s AND d > s - {2 * max(WINDOWS)};
            CREATE TABLE history AS
            SELECT account_id, s, COALESCE(SUM(k) OVER past, 0) AS n_all, s - MAX(last) OVER past AS recency
            FROM grid LEFT JOIN (SELECT account_id, month AS s, SUM(n) AS k, MAX(last) AS last FROM buckets
                                 GROUP BY ALL) m USING (account_id, s)
            WINDOW past AS (PARTITION BY account_id ORDER BY s);
            CREATE TABLE windowed AS
            SELECT account_id, s, {metrics} FROM buckets JOIN reach USING (d) GROUP BY account_id, s
        """)
        return connection.execute("SELECT * FROM history LEFT JOIN windowed USING (account_id, s)").df()


def run_pandas(folder: Path) -> pd.DataFrame:
    """A vectorised loop over snapshots and windows, in memory."""
    events = pd.read_parquet(folder / "events")
    events["day"] = events["at"].dt.normalize()
    events["long"] = events["minutes"] >= 10
    accounts = pd.read_parquet(folder / "contracts.parquet")["account_id"].to_numpy()
    found = []
    for end in pd.date_range("2022-07-31", CUT, freq="ME"):
        past = events[events["day"] <= end]
        all_of = past.groupby("account_id")
        row: dict[str, pd.Series] = {"n_all": all_of.size()}
        row["recency"] = (end - all_of["day"].max()).dt.days
        for days in WINDOWS:
            since = end - pd.Timedelta(days=days)
            part = past[past["day"] > since]
            by = part.groupby("account_id")
            n = by.size()
            row |= {f"n_{days}": n, f"minutes_{days}": by["minutes"].sum()}
            row |= {f"mean_{days}": by["minutes"].mean(), f"longest_{days}": by["minutes"].max()}
            row |= {f"days_{days}": by["day"].nunique(), f"long_{days}": by["long"].mean()}
            three = part[part["feature"] == 3].groupby("account_id")
            row |= {f"n3_{days}": three.size(), f"minutes3_{days}": three["minutes"].sum()}
            earlier = past[(past["day"] <= since) & (past["day"] > since - pd.Timedelta(days=days))]
            ago = earlier.groupby("account_id").size()
            row[f"change_{days}"] = n.sub(ago, fill_value=0) / n.add(ago, fill_value=0)
        found.append(pd.DataFrame(row, index=accounts).rename_axis("account_id").reset_index().assign(s=end))
    return pd.concat(found)


OURS = "ours"
BY_HAND = {"by hand, days": run_days, "by hand, buckets": run_buckets}
RUNS = {OURS: run_ours, **BY_HAND, "pandas": run_pandas}
ZERO = tuple(f"{name}_{days}" for days in WINDOWS for name in ("n", "minutes", "days", "n3", "minutes3"))


def comparable(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows by account and day, columns by name, empty windows alike."""
    frame = frame.rename(columns={"snapshot_date": "s"}).drop(columns="outcome", errors="ignore")
    frame = frame.assign(account_id=frame["account_id"].astype(np.int64), s=pd.to_datetime(frame["s"]))
    frame = frame.set_index(["s", "account_id"]).sort_index().sort_index(axis=1).astype(np.float64)
    return frame.fillna(dict.fromkeys([*ZERO, "n_all"], 0.0))


def differing(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """Columns in which two results are not the same numbers, but for the rounding of sums."""
    if list(one.columns) != list(other.columns) or not one.index.equals(other.index):
        return [
            f"{len(one.columns)} columns of {len(one):,} rows, not {len(other.columns)} of {len(other):,}"
        ]
    return [
        name
        for name in one.columns
        if not np.allclose(one[name], other[name], rtol=1e-9, atol=1e-6, equal_nan=True)
    ]


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder, some of which may go away meanwhile."""
    total = 0
    for where, _, files in os.walk(folder):
        for name in files:
            try:
                total += (Path(where) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def measured(name: str, folder: Path) -> dict[str, float]:
    """Time, peak memory and peak use of disk of one way, in a process of its own."""
    command = [sys.executable, __file__, "--only", name, "--folder", str(folder)]
    done, peaks = threading.Event(), [0]
    with tempfile.TemporaryDirectory(dir=folder) as spill:

        def watch() -> None:
            while not done.wait(0.2):
                peaks.append(size_of(Path(spill)))

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            environment = {**os.environ, "TMPDIR": spill}
            run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        finally:
            done.set()
            watcher.join()
        left = size_of(Path(spill))
    if run.returncode:
        raise SystemExit(f"{name} failed: {run.stderr[-2000:]}")
    found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return found | {"disk_gb": max(peaks) / 1024**3, "left": left}


def only(name: str, folder: Path) -> None:
    """Run one way, keep its result, and print what it took."""
    start = time.perf_counter()
    frame = RUNS[name](folder)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    frame.to_parquet(folder / f"{name}.result.parquet")
    took = {"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "peak_gb": used.ru_maxrss / 1024**2}
    print(json.dumps(took))


def median_of(runs: list[dict[str, float]]) -> dict[str, float]:
    """One figure of each kind of several runs: the largest one of what they left behind."""
    return {
        key: max(r[key] for r in runs) if key == "left" else median(r[key] for r in runs) for key in runs[0]
    }


def compared(events: int, accounts: int, without: list[str], repeats: int) -> dict[str, dict[str, float]]:
    """Write the tables, time each way and compare the results."""
    took: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tables(folder, events, accounts)
        stored = size_of(folder / "events") / 1024**3
        print(f"\n{events:,} events of {accounts:,} accounts, {stored:.2f} GB of Parquet")
        print(f"{'way':18}{'seconds':>9}{'cpu s':>9}{'memory':>10}{'disk':>10}  against ours")
        ways = [way for way in RUNS if way not in without]
        runs = [{way: measured(way, folder) for way in ways} for _ in range(repeats)]
        for way in ways:
            took[way] = median_of([run[way] for run in runs])
            ours, its = (comparable(pd.read_parquet(folder / f"{w}.result.parquet")) for w in (OURS, way))
            wrong = differing(ours, its)
            said = f"differs in {', '.join(wrong)}" if wrong else f"the same {len(its.columns)} columns"
            left = f"; leaves {took[way]['left']:,} bytes behind" if took[way]["left"] else ""
            print(
                f"{way:18}{took[way]['seconds']:9.1f}{took[way]['cpu']:9.1f}{took[way]['peak_gb']:7.2f} GB"
                f"{took[way]['disk_gb']:7.2f} GB  {said}{left}",
                flush=True,
            )
    rivals = [way for way in BY_HAND if way in took]
    if rivals:
        best = min(rivals, key=lambda way: took[way]["seconds"])
        ratio = took[OURS]["seconds"] / took[best]["seconds"]
        print(f"ours / best by hand ({best.removeprefix('by hand, ')}): {ratio:.2f}; asked: at most 1.30")
    return took


def main() -> None:
    """Compare at each number of events."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--events", type=int, nargs="+", default=[10_000_000])
    parser.add_argument("--accounts", type=int, default=ACCOUNTS)
    parser.add_argument(
        "--repeats", type=int, default=1, help="Runs of each way, of which the median counts."
    )
    parser.add_argument("--only")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--without", nargs="*", default=[], help="Ways to leave out, such as pandas.")
    given = parser.parse_args()
    if given.only:
        only(given.only, given.folder)
        return
    sizes = sorted(given.events)
    found = [compared(events, given.accounts, given.without, given.repeats) for events in sizes]
    if len(sizes) > 1:
        print(f"\nTime from {sizes[0]:,} to {sizes[-1]:,} events, by that of the events (1 is linear):")
        for way in found[0]:
            growth = found[-1][way]["seconds"] / found[0][way]["seconds"] / (sizes[-1] / sizes[0])
            print(f"{way:18}{growth:6.2f}{'; asked: at most 1.30' if way == OURS else ''}")


if __name__ == "__main__":
    main()
