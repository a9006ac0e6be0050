"""How long validation takes: ``validate`` and ``compare`` at growing sizes, 1,000 bootstrap replicates.

    python benchmarks/validation.py

The promise: 100,000 rows with 1,000 replicates in at most 60 s on 2 cores.
"""

import argparse
import time

import numpy as np
from scipy.special import expit

from chs_ml.validation import compare, validate

MOST_SECONDS = 60.0


def main() -> int:
    """Time both, print a line per size; exit code 1 where the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--replicates", type=int, default=1_000)
    options = parser.parse_args()
    print(f"{'rows':>10}  {'validate':>10}  {'compare two':>12}")
    slowest = 0.0
    for n in options.rows:
        rng = np.random.default_rng(0)
        margin = rng.normal(-2.5, 1.4, n)
        churned = (rng.random(n) < expit(margin)).astype(float)
        account, value = rng.integers(0, max(n // 3, 1), n), rng.lognormal(9.0, 1.0, n)
        score = np.clip(62.5 - 12.5 / np.log(2.0) * (margin + 2.2), 0.01, 99.99)
        started = time.perf_counter()
        validate(
            churned,
            score=score,
            probability=expit(margin),
            account=account,
            value=value,
            n_bootstrap=options.replicates,
        )
        judged = time.perf_counter()
        rival = score + rng.normal(0.0, 20.0, n)
        compare(
            churned, {"a": rival, "b": score}, account=account, value=value, n_bootstrap=options.replicates
        )
        ended = time.perf_counter()
        print(f"{n:>10,}  {judged - started:>8.1f} s  {ended - judged:>10.1f} s", flush=True)
        slowest = max(slowest, judged - started)
    return int(slowest > MOST_SECONDS)


if __name__ == "__main__":
    raise SystemExit(main())
