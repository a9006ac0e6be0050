"""What serving costs: batch against bare LightGBM, HTTP against MLflow's server, Spark against a bare job.

    python benchmarks/serving.py                                # everything, about 20 minutes
    python benchmarks/serving.py --only batch --rows 10000000   # Parquet to Parquet, scores only
    python benchmarks/serving.py --only http --seconds 10       # one account and a thousand, p50
    python benchmarks/serving.py --only load --minutes 2        # errors and memory under load
    python benchmarks/serving.py --only spark --rows 1000000    # local, against a plain mapInArrow

The alternatives use the same trees in the same run: batch reads, predicts with the boosters and writes id,
probability and score; Spark does the same inside ``mapInArrow``; HTTP is ``mlflow models serve`` of the
logged model. Sides take turns, each in a process of its own. Quote ratios: seconds depend on the machine and
on what else it does. `--model plain` takes the 300 trees of `benchmarks/scoring.py` instead of training.
"""

import argparse
import http.client
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.special import expit

from chs_ml.bundle import load_model
from chs_ml.dataset import build_dataset
from chs_ml.health_model import HealthModel
from chs_ml.recipe import load_recipe
from chs_ml.training import fit_health_model

METRICS = 30
TRAINING_ROWS = 3_000
MANY = 1_000
PARTS = ("http", "load", "spark", "batch")


def portfolio(rows: int, *, seed: int = 0) -> pd.DataFrame:
    """Accounts with 30 metrics; churn hangs on six of them."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, METRICS))
    margin = -2.0 + values[:, :6] @ np.array([0.9, -0.7, 0.5, 0.5, -0.4, 0.3])
    margin += 1.2 * ((values[:, 0] > 0.5) & (values[:, 1] < 0))
    frame = pd.DataFrame(values.round(4), columns=[f"metric_{i}" for i in range(METRICS)])
    frame.insert(0, "account_id", [f"A{seed:03d}{i:09d}" for i in range(rows)])
    return frame.assign(churned=(rng.random(rows) < expit(margin)).astype(int))


def model_of(kind: str) -> HealthModel:
    """A blend of formula and trees as `train` makes it, or the one of `benchmarks/scoring.py`."""
    if kind == "plain":
        import scoring

        return scoring.model_of(scoring.simulated_frame(20_000))
    data = {"account": "account_id", "outcome": "churned"}
    recipe = load_recipe({"data": data, "model": {"bootstrap": 0, "folds": 3}})
    return fit_health_model(build_dataset(recipe, portfolio(TRAINING_ROWS)), recipe)


def write_portfolio(rows: int, target: Path) -> None:
    """Write accounts to Parquet as Arrow does by default."""
    chunk, writer = 250_000, None
    for number, start in enumerate(range(0, rows, chunk)):
        part = portfolio(min(chunk, rows - start), seed=number).drop(columns="churned")
        table = pa.Table.from_pandas(part, preserve_index=False)
        writer = writer or pq.ParquetWriter(target, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


# --- batch ---


def bare_columns(model: HealthModel, batch: pa.RecordBatch, threads: int) -> dict[str, Any]:
    """Probability and score of a batch by LightGBM itself."""
    values = np.column_stack([batch.column(name).to_numpy() for name in model.schema.names])
    boosters = () if model.trees is None else model.trees.boosters
    margin = sum(
        (b.predict(values, raw_score=True, num_threads=threads) for b in boosters), np.zeros(len(values))
    )
    probability = expit(margin / max(len(boosters), 1))
    return {"probability": probability, "score": 100.0 * (1.0 - probability)}


def bare(model: HealthModel, source: Path, target: Path) -> None:
    """Read, predict with the same trees by LightGBM itself, and write."""
    writer, keyed = None, "account_id" in pq.read_schema(source).names
    for batch in pq.ParquetFile(source).iter_batches(batch_size=100_000):
        columns = bare_columns(model, batch, os.cpu_count() or 1)
        keys = {"account_id": batch.column("account_id")} if keyed else {}
        table = pa.table({**keys, **columns})
        writer = writer or pq.ParquetWriter(target, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def one_side(side: str, bundle: Path, source: Path, target: Path) -> None:
    """Score one file in this process; say seconds and peak memory."""
    from chs_ml.batch import score_file

    model = load_model(bundle)
    if model.trees is not None:
        _ = model.trees.boosters
    began, busy = time.perf_counter(), time.process_time()
    if side == "ours":
        score_file(model, source, target)
    else:
        bare(model, source, target)
    seconds, processor = time.perf_counter() - began, time.process_time() - busy
    peak = int(status_of(os.getpid(), "VmHWM"))
    print(json.dumps({"seconds": seconds, "processor": processor, "peak": peak}))


def status_of(process: int, field: str) -> float:
    """Memory of a process in MB, as Linux counts it."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return float(found[1]) / 1024 if found else float("nan")


def batch(model: HealthModel, said: argparse.Namespace, folder: Path) -> None:
    """Compare a batch run with the bare cost of its parts."""
    bundle, source = folder / "batch-model", folder / "in.parquet"
    model.save(bundle)
    write_portfolio(said.rows, source)
    found: dict[str, list[dict[str, float]]] = {"ours": [], "bare": []}
    for _ in range(said.repeats):
        for side, runs in found.items():
            command = [sys.executable, __file__, "--side", side, str(bundle), str(source), str(folder / side)]
            command[-1] += ".parquet"
            runs.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    best = {side: min(run["seconds"] for run in runs) for side, runs in found.items()}
    work = {side: min(run["processor"] for run in runs) for side, runs in found.items()}
    peak = {side: max(run["peak"] for run in runs) for side, runs in found.items()}
    trees = 0 if model.trees is None else model.trees.n_trees
    print(f"batch of {said.rows:,} rows, {trees:,} trees: ours {best['ours']:.1f} s "
          f"({said.rows / best['ours']:,.0f} rows/s), bare {best['bare']:.1f} s, ratio "
          f"{best['ours'] / best['bare']:.2f} (at most 1.5); processor time {work['ours']:.1f} and "
          f"{work['bare']:.1f} s, ratio {work['ours'] / work['bare']:.2f}; peak memory {peak['ours']:,.0f} "
          f"and {peak['bare']:,.0f} MB (under 2,048)", flush=True)  # fmt: skip


# --- HTTP ---


@contextmanager
def running(command: list[str], port: int, path: str) -> Iterator[int]:
    """A server that answers, for as long as the block runs; it and its children end with the block."""
    here = str(Path(sys.executable).parent)
    found = {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}
    server = subprocess.Popen(
        command, env=found, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        for _ in range(600):
            if server.poll() is not None:
                raise SystemExit(f"{' '.join(command[:3])} ended before it answered")
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1).read()
                break
            time.sleep(0.2)
        yield server.pid
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(server.pid, how)  # a session of its own: nobody else's processes are in it
            with suppress(subprocess.TimeoutExpired):
                server.wait(10)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def posted(connection: http.client.HTTPConnection, path: str, body: bytes) -> float:
    """Milliseconds of one request; an answer that is not 200 is an error."""
    start = time.perf_counter()
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}")
    return 1000 * (time.perf_counter() - start)


def median_ms(port: int, path: str, body: bytes, seconds: float) -> float:
    """Median milliseconds of requests one after the other over one connection, after five unmeasured ones."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 10:
        times.append(posted(connection, path, body))
    return statistics.median(times[5:])


def our_server(model: HealthModel, folder: Path) -> tuple[list[str], int]:
    """Command and port of `chs-ml serve`."""
    bundle, port = folder / "served", free_port()
    model.save(bundle)
    program = "from chs_ml.cli import main; main()"
    return [sys.executable, "-c", program, "serve", str(bundle), "--port", str(port)], port


def mlflow_server(model: HealthModel, folder: Path) -> tuple[list[str], int]:
    """Command and port of MLflow's server of the same model."""
    from chs_ml.registry.pyfunc import save_for_mlflow

    place, port = folder / "logged", free_port()
    save_for_mlflow(model, place)
    options = ["-p", str(port), "--env-manager", "local"]
    return [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(place), *options], port


def compare_http(model: HealthModel, said: argparse.Namespace, folder: Path) -> None:
    """Compare one account and a thousand with MLflow's server."""
    records = portfolio(MANY, seed=7)[list(model.schema.names)].to_dict("records")
    found = {}
    for name, (command, port), ready, path, key in (
        ("chs-ml serve", our_server(model, folder), "/health", "/score", "accounts"),
        ("mlflow models serve", mlflow_server(model, folder), "/ping", "/invocations", "dataframe_records"),
    ):
        with running(command, port, ready):
            bodies = [json.dumps({key: records[:n]}).encode() for n in (1, MANY)]
            found[name] = [median_ms(port, path, body, said.seconds) for body in bodies]
        one, many = found[name]
        print(f"{name:<20} one account p50 {one:6.2f} ms, {MANY:,} accounts p50 {many:6.1f} ms", flush=True)
    ours, theirs = found["chs-ml serve"], found["mlflow models serve"]
    print(f"one account {theirs[0] / ours[0]:.1f} times faster (at least 2), {MANY:,} accounts "
          f"{theirs[1] / ours[1]:.1f} times (at least 1)", flush=True)  # fmt: skip


def load(model: HealthModel, said: argparse.Namespace, folder: Path) -> None:
    """Four clients at once, for some minutes: errors, and the server's memory before and after."""
    records = portfolio(MANY, seed=7)[list(model.schema.names)].to_dict("records")
    bodies = [
        ("/score", records[:1]),
        ("/score", records[:100]),
        ("/score", records),
        ("/explain", records[:5]),
    ]
    command, port = our_server(model, folder)
    with running(command, port, "/health") as server:
        bombard(port, bodies, seconds=min(20.0, 15 * said.minutes))
        before = status_of(server, "VmRSS")
        times, errors = bombard(port, bodies, seconds=60 * said.minutes)
        after = status_of(server, "VmRSS")
    print(f"load for {said.minutes:g} minutes, 4 clients: {len(times):,} requests, {len(errors)} errors "
          f"{sorted(set(errors))}, p99 {np.quantile(times, 0.99):.0f} ms; memory {before:.0f} MB before, "
          f"{after:.0f} MB after ({after - before:+.0f})", flush=True)  # fmt: skip


def bombard(port: int, bodies: list[tuple[str, Any]], *, seconds: float) -> tuple[list[float], list[str]]:
    """A client per body, as fast as answers come; times in milliseconds, and errors."""
    times: list[float] = []
    errors: list[str] = []

    def client(path: str, accounts: list[dict[str, float]]) -> None:
        connection, body = (
            http.client.HTTPConnection("127.0.0.1", port, timeout=60),
            json.dumps({"accounts": accounts}),
        )
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            try:
                times.append(posted(connection, path, body.encode()))
            except (RuntimeError, OSError, http.client.HTTPException) as error:
                errors.append(f"{type(error).__name__}: {error}")
                connection.close()

    clients = [threading.Thread(target=client, args=each) for each in bodies]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    return times, errors


# --- Spark ---


def compare_spark(model: HealthModel, said: argparse.Namespace, folder: Path) -> None:
    """Compare with a plain mapInArrow around LightGBM, local and on all cores."""
    from pyspark.sql import SparkSession

    import chs_ml.spark as chs_spark

    source = folder / "spark.parquet"
    write_portfolio(said.rows, source)
    texts = () if model.trees is None else model.trees.models
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # or workers take whatever python3 is on the path
    session = SparkSession.builder.master("local[*]").config("spark.ui.enabled", "false").getOrCreate()
    try:
        table = session.read.parquet(str(source))
        plain = table.mapInArrow(
            plain_job(texts, list(model.schema.names)), "account_id string, probability double, score double"
        )
        sides = {"ours": chs_spark.score(table, model), "plain": plain}
        times: dict[str, list[float]] = {side: [] for side in sides}
        for _ in range(said.repeats + 1):
            for side, job in sides.items():
                times[side].append(timed(lambda job=job: job.write.format("noop").mode("overwrite").save()))
    finally:
        session.stop()
    best = {side: min(found[1:]) for side, found in times.items()}
    print(f"Spark local, {said.rows:,} rows: ours {best['ours']:.1f} s, plain mapInArrow "
          f"{best['plain']:.1f} s, ratio "
          f"{best['ours'] / best['plain']:.2f} (at most 1.2)", flush=True)  # fmt: skip


def plain_job(texts: tuple[str, ...], names: list[str]) -> Callable[[Any], Any]:
    """What somebody would write who wants nothing but predictions."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import lightgbm

        boosters = [lightgbm.Booster(model_str=text) for text in texts]
        for batch in batches:
            values = np.column_stack([batch.column(name).to_numpy() for name in names])
            margin = sum(b.predict(values, raw_score=True, num_threads=1) for b in boosters)
            probability = 1.0 / (1.0 + np.exp(-margin / len(boosters)))
            columns = [batch.column("account_id").cast(pa.string()), probability, 100.0 * (1.0 - probability)]
            yield pa.RecordBatch.from_arrays(
                [pa.array(c) for c in columns], names=["account_id", "probability", "score"]
            )

    return run


def timed(work: Callable[[], Any]) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--model", choices=("trained", "plain"), default="trained")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of batch and Spark")
    parser.add_argument("--repeats", type=int, default=1, help="of batch and Spark; the fastest counts")
    parser.add_argument("--seconds", type=float, default=10.0, help="per HTTP measurement")
    parser.add_argument("--minutes", type=float, default=2.0, help="of load")
    parser.add_argument("--folder", type=Path, help="where files go for the time of the run")
    parser.add_argument(
        "--side", nargs=4, metavar=("SIDE", "MODEL", "SOURCE", "TARGET"), help=argparse.SUPPRESS
    )
    said = parser.parse_args()
    if said.side:
        one_side(said.side[0], *map(Path, said.side[1:]))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are ended
    model = model_of(said.model)
    parts = {"http": compare_http, "load": load, "spark": compare_spark, "batch": batch}
    with tempfile.TemporaryDirectory(dir=said.folder) as temporary:
        for name in said.only or PARTS:
            parts[name](model, said, Path(temporary))


if __name__ == "__main__":
    main()
