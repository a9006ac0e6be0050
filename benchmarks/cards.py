"""Do the audit of a card and its learned weights say what is true? By simulation with known truth.

    python benchmarks/cards.py                        # 100 seeds; a quarter of an hour
    python benchmarks/cards.py --seeds 20 --first 500 --only few,audit

Each line says what was simulated, what came out (with its standard error over seeds), what was asked for, and
whether it holds.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm, rankdata

from chs_ml.card_audit import audit_card
from chs_ml.card_learning import Finding, learn_weights
from chs_ml.card_learning.health import CardRows, card_rows
from chs_ml.card_learning.learning import averaged_log_odds
from chs_ml.card_learning.strength import choose_strength
from chs_ml.curves import BandCurve, Edge, LinearCurve
from chs_ml.dataset import Dataset
from chs_ml.inputs import InputColumn
from chs_ml.metric import Metric
from chs_ml.scorecard import Measure, Scorecard
from chs_ml.validation import compare
from chs_ml.weights import Penalty, fit_weights

Array = NDArray[np.float64]
STRENGTH = 5.0


@dataclass(frozen=True)
class Result:
    """One line."""

    what: str
    found: float
    asked: str
    holds: bool
    seeds: int
    error: float = float("nan")


def mean_result(what: str, values: Sequence[float], *, least: float) -> Result:
    """A mean over seeds that must be at least so large."""
    found = np.asarray(values, dtype=np.float64)
    error = float(found.std(ddof=1) / np.sqrt(len(found))) if len(found) > 1 else float("nan")
    return Result(what, float(found.mean()), f">= {least:g}", bool(found.mean() >= least), len(found), error)


def share_result(what: str, hits: Sequence[bool], *, least: float, most: float = 1.0) -> Result:
    """A share of seeds that must lie in a range, two standard errors allowed at its upper end."""
    share, n = float(np.mean(hits)), len(hits)
    error = float(np.sqrt(share * (1.0 - share) / n))
    slack = 2.0 * error if most < 1.0 else 0.0
    asked = f"{least:.0%} to {most:.0%}"
    return Result(what, share, asked, least - slack <= share <= most + slack, n, error)


def card_of(weights: Array) -> Scorecard:
    """A card on m0, m1, ... whose values from 0 to 100 are their points."""
    curve = LinearCurve(x=(0.0, 100.0), points=(0.0, 100.0))
    lines = tuple(
        Measure(column=InputColumn(metric=Metric(name=f"m{k}")), curve=curve, weight=float(w))
        for k, w in enumerate(weights)
    )
    return Scorecard(name="by hand", measures=lines)


def simulated(truth: Array, *, rows: int, seed: int, churn: float = 0.1, segment: str = "") -> Dataset:
    """Correlated metrics, uniform from 0 to 100; log-odds of churn fall by 5 over their true mean's range."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=(rows, len(truth))) + 0.5 * rng.normal(size=(rows, 1))
    values = 100.0 * norm.cdf(normal / np.sqrt(1.25))
    risk = -STRENGTH * values @ truth / 100.0
    low, high = -30.0, 30.0
    for _ in range(50):
        middle = (low + high) / 2.0
        low, high = (middle, high) if expit(risk + middle).mean() < churn else (low, middle)
    frame = pd.DataFrame(values, columns=[f"m{k}" for k in range(len(truth))])
    return Dataset(
        frame=frame,
        metrics=tuple(Metric(name=name) for name in frame.columns),
        churned=(rng.random(rows) < expit(risk + low)).astype(np.float64),
        account=pd.Series([f"{segment}{i}" for i in range(rows)]),
        segment=pd.Series([segment] * rows) if segment else None,
    )


def auc(health: Array, churned: Array) -> float:
    """Chance that a renewal scores above a churn."""
    ranks, churns = rankdata(-health), churned == 1.0
    n1, n0 = int(churns.sum()), int((~churns).sum())
    return float((ranks[churns].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def free_weights(rows: CardRows) -> Array:
    """Non-negative weights without a pull."""
    k = rows.health.shape[1]
    none = Penalty(np.full(k, 1.0 / k), 0.0)
    return fit_weights(rows.health, rows.churned, penalty=none, row_weight=np.ones(len(rows.churned))).beta


def pulled_weights(rows: CardRows, prior: Array) -> Array:
    """Weights as `learn_weights` finds them, before rounding."""
    strength = choose_strength([(rows.health, rows.churned, rows.account)], prior=prior)
    return averaged_log_odds(rows, prior=prior, strength=strength)


def true_weights(k: int) -> Array:
    """Weights that fall from the first metric to the last, which has none."""
    raw = np.linspace(1.0, 0.0, k) ** 1.5 + 1e-9
    return np.asarray(raw / raw.sum())


def few_churns(seeds: range) -> Iterator[Result]:
    """40 churns; priors right, half right and wrong; 5 and 12 metrics."""
    for k in (5, 12):
        truth = true_weights(k)
        priors = {"right": truth, "half right": (truth + truth[::-1]) / 2, "wrong": truth[::-1]}
        for name, prior in priors.items():
            found = np.array([_few(truth, prior, seed) for seed in seeds])
            by_hand, free, _ = found.mean(axis=0)
            better, worse = (0, 1) if by_hand > free else (1, 0)
            what = f"40 churns, {k} metrics, prior {name}: AUC against the"
            yield mean_result(f"{what} better", found[:, 2] - found[:, better], least=-0.005)
            if abs(by_hand - free) > 0.005:
                yield mean_result(f"{what} worse", found[:, 2] - found[:, worse], least=0.0)


def _few(truth: Array, prior: Array, seed: int) -> tuple[float, float, float]:
    rows = card_rows(card_of(prior), simulated(truth, rows=400, seed=seed))
    test = card_rows(card_of(prior), simulated(truth, rows=20_000, seed=10_000 + seed))
    scores = (prior, free_weights(rows), pulled_weights(rows, prior))
    by_hand, free, learned = (auc(test.health @ w, test.churned) for w in scores)
    return by_hand, free, learned


def many_churns(seeds: range) -> Iterator[Result]:
    """2,000 churns and a wrong prior: as without a pull; a fifth of the seeds, for each takes long."""
    for k in (5, 12):
        truth, gaps = true_weights(k), []
        for seed in seeds[: max(len(seeds) // 5, 2)]:
            rows = card_rows(card_of(truth[::-1]), simulated(truth, rows=20_000, seed=seed))
            test = card_rows(card_of(truth), simulated(truth, rows=20_000, seed=20_000 + seed))
            weights = (free_weights(rows), pulled_weights(rows, truth[::-1]))
            free, learned = (auc(test.health @ w, test.churned) for w in weights)
            gaps.append(abs(learned - free))
        what = f"2,000 churns, {k} metrics: AUC away from unpenalised, at most"
        yield Result(what, max(gaps), "<= 0.001", max(gaps) <= 0.001, len(gaps))


def audits(seeds: range) -> Iterator[Result]:
    """A true card, a card with one wrong sign and one useless measure, a random card."""
    truth = np.array([0.4, 0.3, 0.2, 0.1])
    kept, told, silent = [], [], []
    for seed in seeds:
        same = learn_weights(card_of(truth), simulated(truth, rows=1500, seed=seed), bootstrap=100)
        kept.append(same.improvement is None or not same.improvement.interval.low > 0.0)
        data = simulated(np.array([0.5, -0.3, 0.0, 0.4]), rows=3000, seed=seed, churn=0.15)
        independent = _independent(data, np.array([0.5, -0.3, 0.0, 0.4]), seed)
        found = audit_card(card_of(np.ones(4)), independent, n_bootstrap=100).measures
        findings = [Finding.WORKS, Finding.WRONG_WAY, Finding.NO_EVIDENCE, Finding.WORKS]
        told.append([m.finding for m in found] == findings)
        nothing = audit_card(card_of(np.ones(4)), _independent(data, np.zeros(4), seed), n_bootstrap=100)
        silent.append(nothing.answer == "no evidence")
    yield share_result("true card: not improved beyond its interval", kept, least=0.95)
    yield share_result("wrong sign and useless measure named", told, least=0.9)
    yield share_result("random card: no evidence", silent, least=0.9)


def _independent(like: Dataset, truth: Array, seed: int) -> Dataset:
    """The same table with independent metrics, 15 % churn on average."""
    rng = np.random.default_rng(seed + 500)
    values = rng.uniform(0.0, 100.0, like.frame.shape)
    risk = -STRENGTH * (values / 100.0 - 0.5) @ truth - 1.8
    churned = (rng.random(like.n) < expit(risk)).astype(np.float64)
    frame = pd.DataFrame(values, columns=like.frame.columns)
    return Dataset(frame=frame, metrics=like.metrics, churned=churned, account=like.account)


def segments(seeds: range) -> Iterator[Result]:
    """Five segments whose weights differ a little, one with 30 churns: pooled, one for all, separate."""
    found = np.array([_segments(seed) for seed in seeds])
    for name, column in (("one card for all", 1), ("separate cards", 2)):
        yield mean_result(
            f"segments: AUC of pooled cards over {name}", found[:, 0] - found[:, column], least=0.0
        )


def _segments(seed: int) -> tuple[float, float, float]:
    rng = np.random.default_rng(seed)
    common = true_weights(5)
    truths = [rng.dirichlet(12.0 * common + 0.2) for _ in range(5)]
    sizes = (300, 1200, 1200, 1200, 1200)
    card = card_of(common)
    parts = [
        card_rows(card, simulated(t, rows=n, seed=100 * seed + i, segment=f"s{i}-"))
        for i, (t, n) in enumerate(zip(truths, sizes, strict=True))
    ]
    tests = [
        card_rows(card, simulated(t, rows=8000, seed=50_000 + 100 * seed + i)) for i, t in enumerate(truths)
    ]
    health, churned = (np.concatenate([getattr(p, name) for p in parts]) for name in ("health", "churned"))
    account = np.arange(len(churned))
    everyone = CardRows(health, health, health, churned, churned, account, account)
    overall = pulled_weights(everyone, np.full(5, 0.2))
    prior = overall / overall.sum()
    strength = choose_strength([(p.health, p.churned, p.account) for p in parts], prior=prior)
    pooled = [averaged_log_odds(p, prior=prior, strength=strength) for p in parts]
    cards = (pooled, [overall] * 5, [free_weights(p) for p in parts])
    a, b, c = (
        float(np.mean([auc(t.health @ w, t.churned) for t, w in zip(tests, weights, strict=True)]))
        for weights in cards
    )
    return a, b, c


def ranges(seeds: range) -> Iterator[Result]:
    """Bands with wrong ends, and bands with the true ones: are the first replaced and the second kept?"""
    bounds = {"wrong": (60.0, 90.0), "true": (30.0, 70.0)}
    gains: dict[str, list[float]] = {name: [] for name in bounds}
    stays: dict[str, list[bool]] = {name: [] for name in bounds}
    for seed in seeds:
        data, fresh = _stepped(1500, seed), _stepped(20_000, 30_000 + seed)
        for name, ends in bounds.items():
            card = _banded_card(ends)
            found = learn_weights(card, data, ranges=True, bootstrap=0)
            plain = learn_weights(card, data, bootstrap=0)
            scores = (one.card.score(fresh.frame)["health_score"].to_numpy() for one in (found, plain))
            with_ranges, without = (auc(score, fresh.churned) for score in scores)
            gains[name].append(with_ranges - without)
            stays[name].append(found.ranges[0].learned is None)
    yield share_result("wrong ends: replaced", [not one for one in stays["wrong"]], least=0.9)
    yield mean_result("wrong ends: AUC of learned ranges over yours", gains["wrong"], least=0.0)
    yield share_result("true ends: your ranges stay", stays["true"], least=0.6)
    yield mean_result("true ends: AUC of learned ranges over yours", gains["true"], least=-0.002)


def _stepped(rows: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.0, 100.0, (rows, 3))
    risk = -0.7 - 1.2 * (values[:, 0] > 30.0) - 1.2 * (values[:, 0] > 70.0) - 0.01 * values[:, 1]
    frame = pd.DataFrame(values, columns=["m0", "m1", "m2"])
    return Dataset(
        frame=frame,
        metrics=tuple(Metric(name=name) for name in frame.columns),
        churned=(rng.random(rows) < expit(risk)).astype(np.float64),
        account=pd.Series([str(i) for i in range(rows)]),
    )


def _banded_card(bounds: tuple[float, float]) -> Scorecard:
    bands = BandCurve(bounds=bounds, points=(0.0, 50.0, 100.0), edge=Edge.TOP)
    straight = card_of(np.ones(3))
    return replace(straight, measures=(replace(straight.measures[0], curve=bands), *straight.measures[1:]))


def equal_cards(seeds: range) -> Iterator[Result]:
    """Two scores of truly equal worth, one signal with independent noise each: intervals must cover 0.

    Ten times the seeds, for 95 % is to be told from 93 %.
    """
    for accounts, months in ((600, 1), (300, 4)):
        covered: dict[str, list[bool]] = {}
        for seed in range(10 * seeds.start, 10 * seeds.stop):
            rng = np.random.default_rng([7, seed, months])
            account = np.repeat(np.arange(accounts), months)
            signal, *noises = (
                np.repeat(rng.normal(size=accounts), months) * 0.8 + 0.6 * rng.normal(size=len(account))
                for _ in range(3)
            )
            churned = (rng.random(len(account)) < expit(-1.9 - 1.2 * signal)).astype(np.float64)
            value = np.repeat(rng.lognormal(3.0, 1.0, accounts), months)
            duel = compare(
                churned, {name: 50.0 + 9.0 * (signal + e) for name, e in zip("ab", noises, strict=True)},
                account=account, value=value, n_bootstrap=300, random_state=seed,
            )  # fmt: skip
            for d in duel.differences:
                covered.setdefault(d.statistic, []).append(d.interval.low <= 0.0 <= d.interval.high)
        for statistic, hits in covered.items():
            what = f"equal worth, {accounts} accounts x {months}: interval of the difference in {statistic}"
            yield share_result(f"{what} covers 0", hits, least=0.93, most=0.97)


FAMILIES: dict[str, Callable[[range], Iterator[Result]]] = {
    "few": few_churns,
    "many": many_churns,
    "audit": audits,
    "segments": segments,
    "ranges": ranges,
    "equal": equal_cards,
}


def main() -> int:
    """Run what was asked for; 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--only", default=",".join(FAMILIES), help="families, separated by commas")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    results = []
    for name in asked.only.split(","):
        for result in FAMILIES[name](range(asked.first, asked.first + asked.seeds)):
            results.append(result)
            if not asked.json:
                mark = "ok  " if result.holds else "FAIL"
                error = "" if np.isnan(result.error) else f" ± {result.error:.4f}"
                print(f"{mark} {result.what}: {result.found:.4f}{error} ({result.asked})", flush=True)
    if asked.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    return int(not all(result.holds for result in results))


if __name__ == "__main__":
    raise SystemExit(main())
