"""How often does a verdict err? Every test and interval of chs_ml.validation, by simulation with known truth.

    python benchmarks/error_rates.py                                  # everything, one core
    python benchmarks/error_rates.py --only tests --part 1/4 --json part1.json
    python benchmarks/error_rates.py --summary part1.json part2.json  # one table of several runs

Closed forms are simulated with 10,000 seeds, what resamples with 1,000. Each line says how often the test
answered "not enough data" (counted apart), and where it spoke how often it rejected a true null, an
interval covered the truth, or a promise was broken; the nominal rate; the limit; and ok or MISS. The
limits: a true null is rejected at most 1.3 times the nominal rate plus two standard errors of the
simulation, and at n = 3,000 at least half the nominal rate (exact tests are conservative and excused);
intervals cover 93 to 97 %, two standard errors allowed; two equal models differ in 3 to 7 % of seeds, two
standard errors allowed; a certified promise is broken in at most 5 % of portfolios.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm
from simulated_books import SETTINGS, Binormal, Setting, book, portfolio, shared_normal, true_rate

from chs_ml.validation.bootstrap import Judged, replicates
from chs_ml.validation.calibration import calibration
from chs_ml.validation.certification import Promise, certify
from chs_ml.validation.comparison import compare
from chs_ml.validation.delong import delong_auc
from chs_ml.validation.discrimination import interval_of
from chs_ml.validation.intervals import churn_rate
from chs_ml.validation.intervention import treated_tiers
from chs_ml.validation.policy import Policy
from chs_ml.validation.promise_check import promise_test
from chs_ml.validation.result import HypothesisTest
from chs_ml.validation.score_tests import mean_test, slope_test
from chs_ml.validation.stability import stability_index
from chs_ml.validation.tier_predictions import hosmer_lemeshow_test, predicted_tests
from chs_ml.validation.tier_shape import critical_test
from chs_ml.validation.tier_tests import neighbour_differences, ordered_test, separated_tests
from chs_ml.validation.value_tests import ordered_by_value_test

ALPHA = 0.05
EXACT = {"predicted_binomial", "tier_promise"}
ONE_SIDED = {"critical_odds_ratio": 0.025}
LARGE = 3000
REPLICATES = 300


@dataclass(frozen=True)
class Finding:
    """One line of the result."""

    what: str
    setting: str
    seeds: int
    silent: float
    rate: float
    nominal: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        """Whether the rate is within its limits; nothing to judge where the test hardly ever spoke."""
        return bool(np.isnan(self.rate) or self.low <= self.rate <= self.high)


@dataclass(frozen=True)
class Cell:
    """One setting of one simulation; `run` takes the number of seeds."""

    run: Callable[[int], list[Finding]]
    resampled: bool = False


def standard_error(nominal: float, n: int) -> float:
    """Of a simulated rate."""
    return float(np.sqrt(nominal * (1.0 - nominal) / max(n, 1)))


# --- true nulls -----------------------------------------------------------------------------------------


def families(rng: np.random.Generator, setting: Setting) -> dict[str, list[HypothesisTest]]:
    """All closed-form tests on two draws in which their nulls are true."""
    policy, even = Policy(alpha=ALPHA), Policy(alpha=ALPHA, critical_odds_ratio=1.0)
    found: dict[str, list[HypothesisTest]] = {}
    columns, tiers = book(rng, setting, risk_spread=0.0)
    if 0 < columns.churned.sum() < setting.n:
        pairs = neighbour_differences(columns, tiers, level=0.95)
        found["separated"] = list(separated_tests(pairs, policy))
        found["ordered"] = [ordered_test(pairs, (setting.n, columns.counts.churned), policy)]
        found["ordered_by_value"] = [ordered_by_value_test(columns, tiers, policy)]
        found["critical_odds_ratio"] = [critical_test(columns, tiers, even, level=0.95)]
        found["treatment"] = list(treated_tiers(columns, tiers, np.asarray(columns.treated), policy).tests)
        promise = Promise(tier="Healthy", at_most=setting.base)
        found["tier_promise"] = [promise_test(columns, tiers, promise, policy)]
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


def test_errors(setting: Setting, seeds: int) -> list[Finding]:
    """Rejections of true nulls; a family rejects when any of its tests does."""
    spoke: dict[str, int] = {}
    rejected: dict[str, int] = {}
    rng = np.random.default_rng([1, setting.n, int(100 * setting.base), setting.rows_per_account])
    for _ in range(seeds):
        for name, tests in families(rng, setting).items():
            heard = [test for test in tests if test.spoke]
            spoke[name] = spoke.get(name, 0) + bool(heard)
            rejected[name] = rejected.get(name, 0) + any(map(rejects, heard))
    return [
        size_finding(name, str(setting), seeds, heard_in, rejected[name], large=setting.n >= LARGE)
        for name, heard_in in spoke.items()
    ]


def size_finding(name: str, setting: str, seeds: int, spoke: int, rejected: int, *, large: bool) -> Finding:
    """Compare a rejection rate with its limits."""
    nominal = ONE_SIDED.get(name, ALPHA)
    rate = rejected / spoke if spoke >= seeds / 100 else float("nan")  # else the odd draws are what it saw
    low = 0.5 * nominal if large and name not in EXACT else 0.0
    high = 1.3 * nominal + 2.0 * standard_error(nominal, spoke)
    return Finding(name, setting, seeds, 1.0 - spoke / seeds, rate, nominal, low, high)


def stability_errors(n: int, seeds: int) -> list[Finding]:
    """Drift alarms without drift, at the sample-size-aware critical value."""
    rng = np.random.default_rng([6, n])
    found = [stability_index(rng.normal(size=n), rng.normal(size=n)) for _ in range(seeds)]
    alarms = sum(one.index > one.critical for one in found)
    return [size_finding("stability", f"n = {n:,} and {n:,}", seeds, seeds, alarms, large=n >= LARGE)]


# --- intervals ------------------------------------------------------------------------------------------


def cover_finding(
    what: str, setting: str, hits: list[bool], low: float = 0.93, high: float = 0.97
) -> Finding:
    """Compare a coverage with its limits, two standard errors allowed."""
    allowed = 2.0 * standard_error(0.95, len(hits))
    return Finding(
        what, setting, len(hits), 0.0, float(np.mean(hits)), 0.95, low - allowed, min(high + allowed, 1.0)
    )


def rate_coverage(n: int, rows: int, seeds: int) -> list[Finding]:
    """Coverage of churn-rate intervals, on average over rates from 2 % to 30 %."""
    setting = Setting(n, 0.1, rows)
    rng = np.random.default_rng([2, n, rows])
    account = np.arange(n) // rows
    hits = []
    for rate in np.resize(np.linspace(0.02, 0.30, 15), seeds):
        churned = (norm.cdf(shared_normal(rng, setting, 0.6)) < rate).astype(np.float64)
        hits.append(churn_rate(churned, account).interval.holds(float(rate)))
    return [cover_finding("churn rate interval", f"n = {n:,}, {rows} rows per account, 2 to 30 %", hits)]


def auc_coverage(truth: Binormal, seeds: int) -> list[Finding]:
    """Coverage of AUC intervals; at .5 what it misses is what the verdict "ranks" gets wrong."""
    hits: dict[str, list[bool]] = {"AUC interval, bootstrap": [], "AUC interval, DeLong": []}
    rng = np.random.default_rng([3, int(100 * truth.auc), truth.accounts, truth.rows])
    for seed in range(seeds):
        churned, score, account = truth.draw(rng)
        found = delong_auc(score, churned, account)
        judged = Judged.of(churned, score=score, account=account)
        drawn = replicates(judged, n_bootstrap=REPLICATES, random_state=seed, threads=1)
        degrees = min(truth.churned, truth.accounts - truth.churned) - 1
        interval = interval_of("auc", found.auc, drawn["auc"], degrees=degrees)
        hits["AUC interval, bootstrap"].append(interval.holds(truth.auc))
        hits["AUC interval, DeLong"].append(found.interval.holds(truth.auc))
    return [cover_finding(what, str(truth), of) for what, of in hits.items()]


def equal_models(setting: Setting, seeds: int) -> list[Finding]:
    """Two scores with equally much noise differ in 3 to 7 % of seeds."""
    rng = np.random.default_rng([4, setting.n, setting.rows_per_account])
    account = np.arange(setting.n) // setting.rows_per_account
    found: dict[str, list[bool]] = {}
    for seed in range(seeds):
        margin = logit(setting.base) - 0.5 + 1.3 * shared_normal(rng, setting, 0.7)
        churned = (norm.cdf(shared_normal(rng, setting, 0.6)) < expit(margin)).astype(float)
        pair = {name: -margin - shared_normal(rng, setting, 0.5) for name in ("a", "b")}
        chances = {name: expit(-score / (1 + 1 / 1.69) - 0.8) for name, score in pair.items()}
        duel = compare(
            churned, pair, probabilities=chances, account=account, n_bootstrap=300, random_state=seed
        )
        for d in duel.differences:
            spoke = d.verdict != "not enough data"
            found.setdefault(f"equal models, {d.statistic}", []).extend([d.p_value < ALPHA] * spoke)
            if d.statistic == "auc":
                found.setdefault("equal models, auc (DeLong)", []).extend([d.delong_p_value < ALPHA] * spoke)
    return [equal_finding(what, str(setting), seeds, hits) for what, hits in found.items()]


def equal_finding(what: str, setting: str, seeds: int, hits: list[bool]) -> Finding:
    """Compare a share of differing equal models with 3 to 7 %, two standard errors allowed."""
    allowed = 2.0 * standard_error(ALPHA, len(hits))
    rate = float(np.mean(hits)) if hits else float("nan")
    return Finding(what, setting, seeds, 1.0 - len(hits) / seeds, rate, ALPHA, 0.03 - allowed, 0.07 + allowed)


# --- certificates ---------------------------------------------------------------------------------------


def certificates(at_most: float, n: int, wanted: float, seeds: int, *, known: bool) -> list[Finding]:
    """Broken promises, and the certified share of an oracle's tier: base rate 10 %, AUC .80."""
    broken, shares, given = [], [], 0
    for seed in range(seeds):
        truth, score, churned = portfolio(np.random.default_rng([5, seed, n]), n)
        found = certify(churned, score=score, at_most=at_most, probability=truth if known else None)
        oracle = np.searchsorted(np.cumsum(np.sort(truth)) / np.arange(1, n + 1), at_most)
        given += found.certified
        broken.append(found.certified and true_rate(found.lower_bound) > at_most)
        shares.append(float((score >= found.lower_bound).sum() / max(oracle, 1)) if found.certified else 0.0)
    words = f"at most {at_most:.0%}, {n:,} accounts, probabilities {'known' if known else 'unknown'}"
    silent = 1.0 - given / seeds
    findings = [Finding("promise broken", words, seeds, silent, float(np.mean(broken)), ALPHA, 0.0, ALPHA)]
    if n >= LARGE:
        share = float(np.mean(shares))
        findings.append(
            Finding("share of oracle's tier", words, seeds, silent, share, wanted, wanted, np.inf)
        )
    return findings


# --- the grid -------------------------------------------------------------------------------------------


def grid() -> dict[str, list[Cell]]:
    """Every cell of every simulation, by group."""
    ranks = [Binormal(auc, 300, 30, rows) for auc in (0.5, 0.7, 0.8, 0.9) for rows in (1, 3)]
    ranks += [Binormal(0.8, 60, 30, 1), Binormal(0.8, 3000, 300, 1), Binormal(0.8, 500, 50, 6)]
    equal = [Setting(300, 0.15, 1), Setting(1200, 0.15, 4), Setting(3000, 0.1, 1)]
    return {
        "tests": [Cell(lambda k, s=s: test_errors(s, k)) for s in SETTINGS],
        "rates": [Cell(lambda k, n=n, r=r: rate_coverage(n, r, k)) for r in (1, 6) for n in (60, 300, 3000)],
        "stability": [Cell(lambda k, n=n: stability_errors(n, k)) for n in (60, 300, 3000)],
        "auc": [Cell(lambda k, b=b: auc_coverage(b, k), resampled=True) for b in ranks],
        "equal": [Cell(lambda k, s=s: equal_models(s, k), resampled=True) for s in equal],
        "certificates": [
            Cell(lambda k, p=p, w=w, n=n, q=q: certificates(p, n, w, k, known=q), resampled=True)
            for p, w in ((0.05, 0.8), (0.03, 0.5)) for q in (True, False) for n in (300, 5000)
        ],
    }  # fmt: skip


def line(finding: Finding) -> str:
    """One line of the table."""
    rate = "silent" if np.isnan(finding.rate) else f"{finding.rate:.4f}"
    top = f"to {finding.high:.3f}" if np.isfinite(finding.high) else "or more"
    return (
        f"{'ok' if finding.holds else 'MISS':<5}{finding.what:<27} {finding.setting:<58} "
        f"no data {finding.silent:>4.0%}  {rate:>7}  nominal {finding.nominal:.3f}  "
        f"limit {max(finding.low, 0.0):.3f} {top}  ({finding.seeds:,} seeds)"
    )


def summary(findings: Iterable[Finding]) -> str:
    """How many cells hold, and which do not."""
    every = list(findings)
    missed = [finding for finding in every if not finding.holds]
    mute = sum(bool(np.isnan(finding.rate)) for finding in every)
    head = f"{len(every)} cells: {len(every) - len(missed) - mute} ok, {mute} silent, {len(missed)} missed"
    return "\n".join([head, *(line(finding) for finding in missed)])


def chosen_cells(only: str, part: str) -> list[Cell]:
    """The cells of the named groups; of part i/k every k-th from the i-th."""
    every = grid()
    cells = [cell for name in (only.split(",") if only else every) for cell in every[name]]
    i, k = (int(number) for number in part.split("/"))
    return cells[i - 1 :: k]


def main() -> int:
    """Run the simulations and print the table; exit code 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10_000, help="seeds for closed forms")
    parser.add_argument("--bootstraps", type=int, default=1_000, help="seeds for what resamples")
    parser.add_argument("--only", default="", help="comma-separated: " + ", ".join(grid()))
    parser.add_argument("--part", default="1/1", help="I/K: every K-th of the chosen cells, from the I-th")
    parser.add_argument("--json", type=Path, help="write the findings here too")
    parser.add_argument("--summary", type=Path, nargs="+", help="print the findings of these files instead")
    options = parser.parse_args()
    findings: list[Finding] = []
    for path in options.summary or ():
        findings += [Finding(**one) for one in json.loads(path.read_text(encoding="utf-8"))]
    for finding in findings:
        print(line(finding))
    for cell in () if options.summary else chosen_cells(options.only, options.part):
        started = time.process_time()
        for finding in cell.run(options.bootstraps if cell.resampled else options.seeds):
            print(line(finding), flush=True)
            findings.append(finding)
        print(f"     ({time.process_time() - started:.0f} s of processor time)", flush=True)
    if options.json:
        plain = [asdict(finding) for finding in findings]
        options.json.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
    print(summary(findings))
    return int(not all(finding.holds for finding in findings))


if __name__ == "__main__":
    sys.exit(main())
