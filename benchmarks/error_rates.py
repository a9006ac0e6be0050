"""How often does a verdict err? Every test and interval of chs_ml.validation, by simulation with known truth.

    python benchmarks/error_rates.py                       # everything: 10,000 and 1,000 seeds, hours
    python benchmarks/error_rates.py --seeds 1000 --bootstraps 200 --only tests,rates

Each line says what was simulated, how often the test spoke, how often it rejected a true null (or an
interval covered the truth, or a promise was broken), the simulation's own standard error, and whether
that is within the limits: a true null is rejected at most 1.3 times the nominal rate plus two standard
errors, and at n = 3,000 at least half of it (exact tests are conservative and excused); intervals cover
93 to 97 %; two equal models differ in 3 to 7 % of seeds.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm

from chs_ml.validation.bootstrap import Judged, replicates
from chs_ml.validation.calibration import calibration
from chs_ml.validation.certification import certify
from chs_ml.validation.columns import Counts, JudgedColumns
from chs_ml.validation.comparison import compare
from chs_ml.validation.delong import delong_auc
from chs_ml.validation.discrimination import interval_of
from chs_ml.validation.intervals import churn_rate
from chs_ml.validation.policy import Policy
from chs_ml.validation.result import HypothesisTest
from chs_ml.validation.score_tests import mean_test, slope_test
from chs_ml.validation.stability import stability_index
from chs_ml.validation.tier_predictions import hosmer_lemeshow_test, predicted_tests
from chs_ml.validation.tier_shape import critical_test
from chs_ml.validation.tier_table import TierCodes, with_correlation
from chs_ml.validation.tier_tests import neighbour_differences, ordered_test, separated_tests
from chs_ml.validation.value_tests import ordered_by_value_test

Array = NDArray[np.float64]
ALPHA = 0.05
NAMES = ("Healthy", "At-Risk", "Critical")
SHARES = (0.5, 0.3, 0.2)
EXACT = {"predicted_binomial"}
ONE_SIDED_LIMIT = {"critical_odds_ratio": 0.025}


@dataclass(frozen=True)
class Finding:
    """One line of the result."""

    what: str
    setting: str
    seeds: int
    spoke: float
    rate: float
    error: float
    limit: str
    holds: bool


@dataclass(frozen=True)
class Setting:
    """Rows, base rate, and rows per account."""

    n: int
    base: float
    rows_per_account: int

    def __str__(self) -> str:
        clusters = f", {self.rows_per_account} rows per account" if self.rows_per_account > 1 else ""
        return f"n = {self.n:,}, base rate {self.base:.0%}{clusters}"


SETTINGS = tuple(Setting(n, base, rows) for rows in (1, 6) for base in (0.1, 0.3) for n in (60, 300, 3000))


def shared_normal(rng: np.random.Generator, setting: Setting, share: float) -> Array:
    """Standard normal per row, of which the account's rows share a part."""
    account = np.arange(setting.n) // setting.rows_per_account
    own, common = rng.normal(size=setting.n), rng.normal(size=setting.n)[account]
    return np.asarray(np.sqrt(share) * common + np.sqrt(1.0 - share) * own)


def book(
    rng: np.random.Generator, setting: Setting, *, risk_spread: float
) -> tuple[JudgedColumns, TierCodes]:
    """Draw a calibrated book; with spread 0 all tiers churn alike."""
    score = shared_normal(rng, setting, 0.8)
    margin = logit(setting.base) - risk_spread * score
    probability = expit(margin)
    luck = shared_normal(rng, setting, 0.6)
    churned = (norm.cdf(luck) < probability).astype(np.float64)
    account = np.arange(setting.n) // setting.rows_per_account
    edges = norm.isf(np.cumsum(SHARES)[:-1])
    codes = len(edges) - np.searchsorted(edges[::-1], score, side="right")
    counts = Counts(
        rows=setting.n, open=0, withheld=0, without_probability=0, judged=setting.n,
        churned=int(churned.sum()), accounts=int(account.max()) + 1,
    )  # fmt: skip
    columns = JudgedColumns(
        churned=churned, score=score, account=account, probability=probability,
        value=rng.lognormal(0.0, 0.7, setting.n), segment=None, tier=None, new_account=None,
        positions=np.arange(setting.n), counts=counts,
    )  # fmt: skip
    return columns, with_correlation(columns, TierCodes(NAMES, codes.astype(np.intp)))


def families(rng: np.random.Generator, setting: Setting) -> dict[str, list[HypothesisTest]]:
    """All closed-form tests on one draw in which their nulls are true."""
    policy, even = Policy(alpha=ALPHA), Policy(alpha=ALPHA, critical_odds_ratio=1.0)
    found: dict[str, list[HypothesisTest]] = {}
    columns, tiers = book(rng, setting, risk_spread=0.0)
    if 0 < columns.churned.sum() < setting.n:
        pairs = neighbour_differences(columns, tiers, level=0.95)
        found["separated"] = list(separated_tests(pairs, policy))
        found["ordered"] = [ordered_test(pairs, (setting.n, columns.counts.churned), policy)]
        found["ordered_by_value"] = [ordered_by_value_test(columns, tiers, policy)]
        found["critical_odds_ratio"] = [critical_test(columns, tiers, even, level=0.95)]
    columns, tiers = book(rng, setting, risk_spread=0.8)
    if 0 < columns.churned.sum() < setting.n:
        cal = calibration(np.asarray(columns.probability), columns.churned, columns.account)
        found["calibration_mean"] = [mean_test(columns, cal, policy)]
        found["calibration_slope"] = [slope_test(columns, cal, policy)]
        predicted = predicted_tests(columns, tiers, policy, level=0.95)
        for name in ("predicted_jeffreys", "predicted_binomial"):
            found[name] = [test for test in predicted if test.name == name]
        found["hosmer_lemeshow"] = [hosmer_lemeshow_test(columns, tiers, policy)]
    return found


def rejects(test: HypothesisTest) -> bool:
    """Whether a test that spoke rejected its null."""
    if test.name == "critical_odds_ratio":
        return test.verdict == "pass"
    return test.p_value < ALPHA


def test_errors(seeds: int) -> Iterator[Finding]:
    """Rejections of true nulls; a family rejects when any of its tests does."""
    for setting in SETTINGS:
        spoke: dict[str, int] = {}
        rejected: dict[str, int] = {}
        rng = np.random.default_rng([1, setting.n, int(100 * setting.base), setting.rows_per_account])
        for _ in range(seeds):
            for name, tests in families(rng, setting).items():
                heard = [test for test in tests if test.spoke]
                spoke[name] = spoke.get(name, 0) + bool(heard)
                rejected[name] = rejected.get(name, 0) + any(map(rejects, heard))
        for name, heard_in in spoke.items():
            yield size_finding(name, str(setting), seeds, heard_in, rejected[name], large=setting.n >= 3000)


def size_finding(name: str, setting: str, seeds: int, spoke: int, rejected: int, *, large: bool) -> Finding:
    """Compare a rejection rate with its limits."""
    nominal = ONE_SIDED_LIMIT.get(name, ALPHA)
    if spoke < seeds / 100:  # the few draws in which it spoke are the odd ones
        return Finding(name, setting, seeds, spoke / seeds, float("nan"), float("nan"), "silent", True)
    rate = rejected / spoke
    error = float(np.sqrt(nominal * (1.0 - nominal) / spoke))
    most = 1.3 * nominal + 2.0 * error
    least = 0.5 * nominal - 2.0 * error if large and name not in EXACT else 0.0
    limit = f"{max(least, 0.0):.3f} to {most:.3f}"
    return Finding(name, setting, seeds, spoke / seeds, rate, error, limit, least <= rate <= most)


def rate_coverage(seeds: int) -> Iterator[Finding]:
    """Coverage of churn-rate intervals, on average over rates from 2 % to 30 %."""
    rates = np.linspace(0.02, 0.30, 15)
    for rows in (1, 6):
        for n in (60, 300, 3000):
            setting = Setting(n, 0.1, rows)
            rng = np.random.default_rng([2, n, rows])
            hits = []
            for _ in range(max(1, seeds // len(rates))):
                luck = norm.cdf(shared_normal(rng, setting, 0.6))
                account = np.arange(n) // rows
                hits += [
                    churn_rate((luck < p).astype(float), account).interval.holds(float(p)) for p in rates
                ]
            yield cover_finding("churn rate, Jeffreys", f"n = {n:,}, {rows} rows per account", hits)


def cover_finding(what: str, setting: str, hits: list[bool], *, low: float = 0.93) -> Finding:
    """Compare a coverage with 93 to 97 %, two standard errors allowed."""
    error = float(np.sqrt(0.95 * 0.05 / len(hits)))
    rate = float(np.mean(hits))
    holds = low - 2 * error <= rate <= 0.97 + 2 * error
    return Finding(what, setting, len(hits), 1.0, rate, error, f"{low:.2f} to 0.97", holds)


def auc_coverage(seeds: int) -> Iterator[Finding]:
    """Coverage of AUC intervals with 30 churns, binormal scores; in clusters rows share luck and score."""
    for auc in (0.7, 0.8, 0.9):
        for rows in (1, 3):
            hits: dict[str, list[bool]] = {"AUC, bootstrap": [], "AUC, DeLong": []}
            rng = np.random.default_rng([3, int(100 * auc), rows])
            distance = float(np.sqrt(2.0) * norm.ppf(auc))
            account = np.repeat(np.arange(300), rows)
            for seed in range(seeds):
                churned = np.repeat((rng.random(300) < 0.1).astype(float), rows)
                noise = np.sqrt(0.5) * rng.normal(size=300)[account] + np.sqrt(0.5) * rng.normal(
                    size=300 * rows
                )
                score = -(noise + distance * churned)
                found = delong_auc(score, churned, account)
                hits["AUC, DeLong"].append(found.interval.holds(auc))
                judged = Judged.of(churned, score=score, account=account)
                drawn = replicates(judged, n_bootstrap=400, random_state=seed)
                degrees = max(int(churned[::rows].sum()) - 1, 1)
                interval = interval_of("auc", found.auc, drawn["auc"], degrees=degrees)
                hits["AUC, bootstrap"].append(interval.holds(auc))
            for what, of in hits.items():
                yield cover_finding(what, f"AUC {auc:.2f}, about 30 churned of 300, {rows} rows each", of)


def equal_models(seeds: int) -> Iterator[Finding]:
    """Two scores with equally much noise differ in 3 to 7 % of seeds."""
    for n, base, rows in ((300, 0.15, 1), (1000, 0.1, 1), (1200, 0.15, 4)):
        setting = Setting(n, base, rows)
        rng = np.random.default_rng([4, n, rows])
        found: dict[str, list[bool]] = {}
        for seed in range(seeds):
            margin = logit(base) - 0.5 + 1.3 * shared_normal(rng, setting, 0.7)
            churned = (norm.cdf(shared_normal(rng, setting, 0.6)) < expit(margin)).astype(float)
            if not 10 <= churned.sum() <= n - 10:
                continue
            pair = {name: -margin - shared_normal(rng, setting, 0.5) for name in ("a", "b")}
            chances = {name: expit(-score / (1 + 1 / 1.69) - 0.8) for name, score in pair.items()}
            account = np.arange(n) // rows
            duel = compare(
                churned, pair, probabilities=chances, account=account, n_bootstrap=300, random_state=seed
            )
            for d in duel.differences:
                found.setdefault(f"equal models, {d.statistic}", []).append(d.p_value < ALPHA)
                if d.statistic == "auc":
                    found.setdefault("equal models, auc (DeLong)", []).append(d.delong_p_value < ALPHA)
        for what, hits in found.items():
            error = float(np.sqrt(ALPHA * (1 - ALPHA) / len(hits)))
            rate = float(np.mean(hits))
            holds = 0.03 - 2 * error <= rate <= 0.07 + 2 * error
            yield Finding(what, str(setting), len(hits), 1.0, rate, error, "0.03 to 0.07", holds)


def certificates(seeds: int) -> Iterator[Finding]:
    """Broken promises, and the share of an oracle's tier that is certified: base rate 10 %, AUC .80."""
    for at_most, wanted in ((0.05, 0.8), (0.03, 0.5)):
        for known in (True, False):
            for n in (300, 5000):
                broken, shares, given = [], [], 0
                for seed in range(seeds):
                    rng = np.random.default_rng([5, seed, n])
                    margin = -2.7806 + 1.288 * rng.normal(size=n)
                    truth = expit(margin)
                    churned = (rng.random(n) < truth).astype(float)
                    probability = truth if known else None
                    found = certify(churned, score=-margin, at_most=at_most, probability=probability)
                    inside = -margin >= found.lower_bound
                    order = np.sort(truth)
                    oracle = np.searchsorted(np.cumsum(order) / np.arange(1, n + 1), at_most)
                    given += found.certified
                    broken.append(bool(found.certified and true_rate(found.lower_bound) > at_most))
                    shares.append(float(inside.sum() / max(oracle, 1)) if found.certified else 0.0)
                setting = (
                    f"at most {at_most:.0%}, {n:,} accounts, probabilities {'known' if known else 'unknown'}"
                )
                error = float(np.sqrt(0.05 * 0.95 / seeds))
                rate = float(np.mean(broken))
                holds = rate <= 0.05 + 2 * error
                yield Finding(
                    "promise broken", setting, seeds, given / seeds, rate, error, "at most 0.05", holds
                )
                if n == 5000:
                    share, spread = float(np.mean(shares)), float(np.std(shares) / np.sqrt(seeds))
                    limit = f"at least {wanted}"
                    yield Finding(
                        "share of oracle's tier",
                        setting,
                        seeds,
                        given / seeds,
                        share,
                        spread,
                        limit,
                        share >= wanted,
                    )


_GRID = np.linspace(-9.0, 9.0, 20001)
_DENSITY = norm.pdf(_GRID)
_TRUTH = expit(-2.7806 + 1.288 * _GRID)


def true_rate(lower_bound: float) -> float:
    """Churn rate of all accounts that could ever score at least so high, by integration."""
    inside = lower_bound <= 2.7806 - 1.288 * _GRID
    return float(np.sum((_DENSITY * _TRUTH)[inside]) / np.sum(_DENSITY[inside]))


def stability_errors(seeds: int) -> Iterator[Finding]:
    """Drift alarms without drift, at the sample-size-aware critical value."""
    for n in (60, 300, 3000):
        rng = np.random.default_rng([6, n])
        alarms = 0
        for _ in range(seeds):
            found = stability_index(rng.normal(size=n), rng.normal(size=n))
            alarms += found.index > found.critical
        yield size_finding("stability", f"n = {n:,} and {n:,}", seeds, seeds, alarms, large=n >= 3000)


CLOSED: dict[str, Callable[[int], Iterator[Finding]]] = {
    "tests": test_errors,
    "rates": rate_coverage,
    "stability": stability_errors,
}
RESAMPLED: dict[str, Callable[[int], Iterator[Finding]]] = {
    "auc": auc_coverage,
    "equal": equal_models,
    "certificates": certificates,
}


def line(finding: Finding) -> str:
    """One line of the table."""
    rate = "–" if np.isnan(finding.rate) else f"{finding.rate:.3f}"
    mark = "ok" if finding.holds else "NO"
    return (
        f"{mark:<3} {finding.what:<28} {finding.setting:<60} spoke {finding.spoke:>5.0%}  {rate:>6} "
        f"(limit {finding.limit}, {finding.seeds:,} seeds)"
    )


def main() -> int:
    """Run the simulations and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10_000, help="seeds for closed forms")
    parser.add_argument("--bootstraps", type=int, default=1_000, help="seeds for what resamples")
    parser.add_argument("--only", default="", help="comma-separated: " + ", ".join([*CLOSED, *RESAMPLED]))
    parser.add_argument("--json", type=Path, help="write the findings here too")
    options = parser.parse_args()
    chosen = set(options.only.split(",")) if options.only else {*CLOSED, *RESAMPLED}
    findings = []
    for group, seeds in ((CLOSED, options.seeds), (RESAMPLED, options.bootstraps)):
        for name, simulate in group.items():
            if name in chosen:
                for finding in simulate(seeds):
                    print(line(finding), flush=True)
                    findings.append(finding)
    if options.json:
        options.json.write_text(json.dumps([asdict(f) for f in findings], indent=2) + "\n", encoding="utf-8")
    return int(not all(finding.holds for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
