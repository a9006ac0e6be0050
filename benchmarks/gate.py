"""How often the gate promotes a challenger that deserves it, and one that does not.

    python benchmarks/gate.py --seeds 1000

Champion and challenger know the true log-odds of churn up to noise of their own. Accounts come back month
after month with a risk of their own, so that their rows are no independent witnesses. A challenger of equal
worth has as much noise as the champion: on every sample one of the two looks better, by luck. One that is
worse has more noise, one that is better has less. The share that the gate's gain rule lets pass should be at
most 5 % for the first two (2.5 % where the lower end of a two-sided 95 % interval holds what it says), and is
the gate's power for the last. The rule on newly failing tests, which comes on top, can only refuse more.
"""

import argparse
import time
from dataclasses import dataclass

import numpy as np
from scipy.special import expit
from scipy.stats import beta

from chs_ml.gate import judge_gain
from chs_ml.recipe import GateSpec

CHAMPION_NOISE = 0.6
CHALLENGERS = {"worse": 0.75, "equal": 0.6, "better": 0.2}


@dataclass(frozen=True)
class Sample:
    """What is judged: so many accounts over so many months, at a rate of churn."""

    accounts: int
    months: int
    intercept: float


SAMPLES = (Sample(150, 8, -2.0), Sample(500, 3, -2.5), Sample(800, 2, -3.0))


def promoted(
    sample: Sample, noise: float, *, statistic: str, replicates: int, seed: int
) -> tuple[bool, float]:
    """Whether the gate lets a challenger with this noise pass, and the share that churned."""
    rng = np.random.default_rng(seed)
    account = np.repeat(np.arange(sample.accounts), sample.months)
    n = len(account)
    own, seen = rng.normal(0.0, 0.8, sample.accounts)[account], rng.normal(0.0, 1.0, n)
    churned = rng.random(n) < expit(sample.intercept + own + seen)
    # noise stays with an account, as a model's error does; half of what the two get wrong, both get wrong
    shared = rng.normal(size=sample.accounts)
    columns = []
    for scale in (CHAMPION_NOISE, noise):
        error = scale * (shared + rng.normal(size=sample.accounts)) / np.sqrt(2.0)
        chance = expit(sample.intercept + 0.9 * seen + error[account])
        columns.append({"churn_probability": chance, "health_score": 100.0 * (1.0 - chance)})
    spec = GateSpec(statistic=statistic, bootstrap=replicates)
    verdict = judge_gain(churned.astype(float), *columns, account=account, spec=spec)
    return not verdict.reasons, float(churned.mean())


def share_interval(k: int, n: int) -> tuple[float, float]:
    """95 % interval of a share of k in n (Clopper and Pearson)."""
    low = 0.0 if k == 0 else float(beta.ppf(0.025, k, n - k + 1))
    return low, 1.0 if k == n else float(beta.ppf(0.975, k + 1, n - k))


def main() -> None:
    """Print a line per sample, statistic and challenger."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--first", type=int, default=0, help="first seed, to run a part")
    parser.add_argument("--challengers", default=",".join(CHALLENGERS), help="some of them, with commas")
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--statistics", default="log_loss", help="log_loss, auc, or both with a comma")
    said = parser.parse_args()
    for sample in SAMPLES:
        for statistic in said.statistics.split(","):
            for name in said.challengers.split(","):
                noise, began = CHALLENGERS[name], time.perf_counter()
                seeds = said.seeds if noise >= CHAMPION_NOISE else said.seeds // 5
                runs = [
                    promoted(sample, noise, statistic=statistic, replicates=said.replicates, seed=seed)
                    for seed in range(said.first, said.first + seeds)
                ]
                passed = sum(run[0] for run in runs)
                low, high = share_interval(passed, seeds)
                print(f"{sample.accounts:>5,} accounts x {sample.months} months, "
                      f"{np.mean([run[1] for run in runs]):.0%} churn, {statistic}: {name:<6} "
                      f"{passed / seeds:6.1%} promoted ({low:.1%} to {high:.1%}; {seeds:,} seeds, "
                      f"{time.perf_counter() - began:.0f} s)", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
