"""What serving costs: batch against bare LightGBM, HTTP against MLflow's own server.

    python benchmarks/serving.py [--rows 1000000] [--seconds 10]

Batch: Parquet to Parquet, scores only, against reading, ``predict`` of the same trees and writing. HTTP: one
account and a thousand, p50 in milliseconds, against ``mlflow models serve`` where the extra is installed.
Quote ratios of one run; seconds depend on the machine and on what else it does.
"""

import argparse
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from chs_ml.batch import score_file
from chs_ml.dataset import build_dataset
from chs_ml.health_model import HealthModel
from chs_ml.recipe import load_recipe
from chs_ml.table import TableWriter, iter_table, write_table
from chs_ml.training import fit_health_model

METRICS = 30
TRAINING_ROWS = 3_000
MANY = 1_000


def portfolio(rows: int, *, seed: int = 0) -> pd.DataFrame:
    """Accounts with 30 metrics; churn hangs on six of them."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, METRICS))
    margin = -2.0 + values[:, :6] @ np.array([0.9, -0.7, 0.5, 0.5, -0.4, 0.3])
    margin += 1.2 * ((values[:, 0] > 0.5) & (values[:, 1] < 0))
    frame = pd.DataFrame(values.round(4), columns=[f"metric_{i}" for i in range(METRICS)])
    frame.insert(0, "account_id", [f"A{i:09d}" for i in range(rows)])
    return frame.assign(churned=(rng.random(rows) < expit(margin)).astype(int))


def trained() -> HealthModel:
    """A blend of formula and trees."""
    data = {"account": "account_id", "outcome": "churned"}
    recipe = load_recipe({"data": data, "model": {"bootstrap": 0, "folds": 3}})
    return fit_health_model(build_dataset(recipe, portfolio(TRAINING_ROWS)), recipe)


def timed(work: Callable[[], Any]) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def bare(model: HealthModel, source: Path, target: Path) -> None:
    """Read, predict with the same trees by LightGBM itself, and write."""
    names = list(model.schema.names)
    with TableWriter(target) as writer:
        for frame in iter_table(source, rows=50_000):
            values = frame[names].to_numpy()
            boosters = () if model.trees is None else model.trees.boosters
            margin = sum((b.predict(values, raw_score=True) for b in boosters), np.zeros(len(frame)))
            writer.write(pd.DataFrame({"account_id": frame["account_id"], "probability": expit(margin)}))


def batch(model: HealthModel, rows: int, folder: Path) -> None:
    """Compare a batch run with the bare cost of its parts."""
    source = folder / "in.parquet"
    chunk = 250_000
    parts = (portfolio(min(chunk, rows - start), seed=start) for start in range(0, rows, chunk))
    write_table((part.drop(columns="churned") for part in parts), source)
    ours = timed(lambda: score_file(model, source, folder / "ours.parquet"))
    theirs = timed(lambda: bare(model, source, folder / "bare.parquet"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"batch of {rows:,} rows: {ours:.1f} s ({rows / ours:,.0f} rows/s), bare {theirs:.1f} s, "
          f"ratio {ours / theirs:.2f}; peak {peak:,.0f} MB")  # fmt: skip


@contextmanager
def running(command: list[str], port: int, path: str) -> Iterator[None]:
    """A server that answers, for as long as the block runs."""
    here = str(Path(sys.executable).parent)
    found = {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}
    server = subprocess.Popen(command, env=found, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            if server.poll() is not None:
                raise SystemExit(f"{' '.join(command[:3])} ended before it answered")
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1).read()
                break
            time.sleep(0.2)
        yield
    finally:
        server.terminate()
        server.wait(20)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def median_ms(url: str, body: bytes, seconds: float) -> tuple[float, int]:
    """Median milliseconds of requests one after the other over one connection, and how many there were."""
    import http.client
    from urllib.parse import urlsplit

    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.netloc)
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        connection.request("POST", place.path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"{url} answered {answer.status}")
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times), len(times)


def http(model: HealthModel, folder: Path, seconds: float) -> None:
    """Compare one account and a thousand with MLflow's server."""
    model.save(folder / "model")
    records = portfolio(MANY, seed=7)[list(model.schema.names)].to_dict("records")
    found: dict[str, list[float]] = {}
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("chs-ml")),
        "serve",
        str(folder / "model"),
        "--port",
        str(port),
    ]
    with running(command, port, "/health"):
        found["chs-ml serve"] = [
            median_ms(
                f"http://127.0.0.1:{port}/score", json.dumps({"accounts": records[:n]}).encode(), seconds
            )[0]
            for n in (1, MANY)
        ]
    if find_spec("mlflow") is not None:
        from chs_ml.registry.pyfunc import save_for_mlflow

        save_for_mlflow(model, folder / "logged")
        port = free_port()
        command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder / "logged"),
                   "-p", str(port), "--env-manager", "local"]  # fmt: skip
        with running(command, port, "/ping"):
            found["mlflow models serve"] = [
                median_ms(
                    f"http://127.0.0.1:{port}/invocations",
                    json.dumps({"dataframe_records": records[:n]}).encode(),
                    seconds,
                )[0]
                for n in (1, MANY)
            ]
    for name, (one, many) in found.items():
        print(f"{name:<20} one account p50 {one:7.2f} ms, {MANY:,} accounts p50 {many:8.1f} ms")


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    said = parser.parse_args()
    model = trained()
    with tempfile.TemporaryDirectory() as temporary:
        http(model, Path(temporary), said.seconds)
        batch(model, said.rows, Path(temporary))


if __name__ == "__main__":
    main()
