"""Do the audit of a card and its learned weights say what is true? By simulation with known truth.

    python benchmarks/cards.py                        # 100 seeds; some minutes
    python benchmarks/cards.py --seeds 20 --only audit,speed

Each line says what was simulated, what came out, what was asked for, and whether it holds.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

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
from chs_ml.scorecard import Group, Measure, Scorecard
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


def few_churns(seeds: int) -> Iterator[Result]:
    """40 churns; priors right, half right and wrong; 5 and 12 metrics."""
    for k in (5, 12):
        truth = true_weights(k)
        priors = {"right": truth, "half right": (truth + truth[::-1]) / 2, "wrong": truth[::-1]}
        for name, prior in priors.items():
            found = np.array([_few(truth, prior, seed) for seed in range(seeds)])
            by_hand, free, learned = found.mean(axis=0)
            best, worst = max(by_hand, free), min(by_hand, free)
            what = f"40 churns, {k} metrics, prior {name}"
            yield Result(
                f"{what}: AUC against the better", learned - best, ">= -0.005", learned >= best - 0.005, seeds
            )
            if best - worst > 0.005:
                yield Result(f"{what}: AUC against the worse", learned - worst, "> 0", learned > worst, seeds)


def _few(truth: Array, prior: Array, seed: int) -> tuple[float, float, float]:
    rows = card_rows(card_of(prior), simulated(truth, rows=400, seed=seed))
    test = card_rows(card_of(prior), simulated(truth, rows=20_000, seed=10_000 + seed))
    scores = (prior, free_weights(rows), pulled_weights(rows, prior))
    by_hand, free, learned = (auc(test.health @ w, test.churned) for w in scores)
    return by_hand, free, learned


def many_churns(seeds: int) -> Iterator[Result]:
    """2,000 churns and a wrong prior: as without a pull."""
    truth, gaps = true_weights(5), []
    for seed in range(max(seeds // 10, 2)):
        rows = card_rows(card_of(truth[::-1]), simulated(truth, rows=20_000, seed=seed))
        test = card_rows(card_of(truth), simulated(truth, rows=20_000, seed=20_000 + seed))
        weights = (free_weights(rows), pulled_weights(rows, truth[::-1]))
        free, learned = (auc(test.health @ w, test.churned) for w in weights)
        gaps.append(abs(learned - free))
    worst = max(gaps)
    yield Result("2,000 churns: AUC away from unpenalised", worst, "<= 0.001", worst <= 0.001, len(gaps))


def audits(seeds: int) -> Iterator[Result]:
    """A true card, a card with one wrong sign and one useless measure, a random card."""
    truth = np.array([0.4, 0.3, 0.2, 0.1])
    kept = told = silent = 0
    for seed in range(seeds):
        same = learn_weights(card_of(truth), simulated(truth, rows=1500, seed=seed), bootstrap=100)
        kept += same.improvement is None or not same.improvement.interval.low > 0.0
        data = simulated(np.array([0.5, -0.3, 0.0, 0.4]), rows=3000, seed=seed, churn=0.15)
        independent = _independent(data, np.array([0.5, -0.3, 0.0, 0.4]), seed)
        found = audit_card(card_of(np.ones(4)), independent, n_bootstrap=100).measures
        told += [m.finding for m in found] == [
            Finding.WORKS, Finding.WRONG_WAY, Finding.NO_EVIDENCE, Finding.WORKS,
        ]  # fmt: skip
        nothing = audit_card(card_of(np.ones(4)), _independent(data, np.zeros(4), seed), n_bootstrap=100)
        silent += nothing.answer == "no evidence"
    yield Result(
        "true card: not improved beyond its interval", kept / seeds, ">= 0.95", kept >= 0.95 * seeds, seeds
    )
    yield Result("wrong sign and useless measure named", told / seeds, ">= 0.9", told >= 0.9 * seeds, seeds)
    yield Result("random card: no evidence", silent / seeds, ">= 0.9", silent >= 0.9 * seeds, seeds)


def _independent(like: Dataset, truth: Array, seed: int) -> Dataset:
    """The same table with independent metrics, 15 % churn on average."""
    rng = np.random.default_rng(seed + 500)
    values = rng.uniform(0.0, 100.0, like.frame.shape)
    risk = -STRENGTH * (values / 100.0 - 0.5) @ truth - 1.8
    churned = (rng.random(like.n) < expit(risk)).astype(np.float64)
    frame = pd.DataFrame(values, columns=like.frame.columns)
    return Dataset(frame=frame, metrics=like.metrics, churned=churned, account=like.account)


def segments(seeds: int) -> Iterator[Result]:
    """Five segments whose weights differ a little, one with 30 churns: pooled, one for all, separate."""
    found = np.array([_segments(seed) for seed in range(seeds)])
    pooled, overall, separate = found.mean(axis=0)
    yield Result(
        "segments: AUC of pooled cards over one for all", pooled - overall, "> 0", pooled > overall, seeds
    )
    yield Result(
        "segments: AUC of pooled over separate cards", pooled - separate, "> 0", pooled > separate, seeds
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


KNOTS, POINTS = (0.0, 30.0, 60.0, 100.0), (0.0, 50.0, 80.0, 100.0)
BOUNDS, BAND_POINTS = (25.0, 50.0, 75.0), (0.0, 40.0, 70.0, 100.0)


def speed_card(measures: int) -> Scorecard:
    """Bands and piecewise-linear maps in turn, in groups of six with weights; gaps drop out."""
    bands = BandCurve(bounds=BOUNDS, points=BAND_POINTS, edge=Edge.TOP)
    line = LinearCurve(x=KNOTS, points=POINTS)
    lines = tuple(
        Measure(
            column=InputColumn(metric=Metric(name=f"m{k}", group=f"g{k // 6}")),
            curve=bands if k % 2 else line,
            weight=1.0 + k % 4,
        )
        for k in range(measures)
    )
    groups = tuple(Group(name=f"g{g}", weight=2.0 + g) for g in range((measures + 5) // 6))
    return Scorecard(name="speed", measures=lines, groups=groups)


def speed(seeds: int, *, rows: int = 1_000_000, measures: int = 30) -> Iterator[Result]:
    """``Scorecard.score`` from a frame, against the same arithmetic and columns written by hand in NumPy."""
    rng, card = np.random.default_rng(0), speed_card(measures)
    frame = pd.DataFrame({f"m{k}": _with_gaps(rng, rows) for k in range(measures)})
    ours, theirs = _best(lambda: card.score(frame)), _best(lambda: _by_hand(frame, card.weights))
    few = frame.head(1000)
    pd.testing.assert_frame_equal(
        card.score(few)[["health_score", "tier", "coverage", "status"]], _by_hand(few, card.weights),
        check_dtype=False, check_categorical=False, atol=1e-8,
    )  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    what = f"{rows:,} accounts x {measures} measures: score() {ours:.2f} s, NumPy by hand {theirs:.2f} s"
    yield Result(f"{what}, peak {peak:,.0f} MB; ratio", ours / theirs, "<= 3", ours <= 3.0 * theirs, 1)


def _with_gaps(rng: np.random.Generator, rows: int) -> Array:
    values = rng.uniform(0.0, 100.0, rows)
    values[rng.random(rows) < 0.1] = np.nan
    return values


def _by_hand(frame: pd.DataFrame, weights: Array) -> pd.DataFrame:
    """What an analyst writes: column by column, tiers by searchsorted."""
    total, present = np.zeros(len(frame)), np.zeros(len(frame))
    table = np.array(BAND_POINTS)
    for k, weight in enumerate(weights):
        values = frame[f"m{k}"].to_numpy()
        known = ~np.isnan(values)
        points = (
            table[np.minimum(np.searchsorted(BOUNDS, values, side="left"), 3)]
            if k % 2
            else np.interp(values, KNOTS, POINTS)
        )
        total += weight * np.where(known, points, 0.0)
        present += weight * known
    score = np.round(total / np.where(present > 0, present, np.nan), 9)
    tier = 2 - np.searchsorted(np.array([50.0, 75.0]), score, side="right")
    tier = np.where(np.isnan(score), -1, tier)
    names = ["Healthy", "At-Risk", "Critical"]
    status = np.where(present > 0, "ok", "withheld")
    return pd.DataFrame(
        {
            "health_score": score,
            "tier": pd.Categorical.from_codes(tier, names, ordered=True),
            "coverage": np.round(present, 9),
            "status": pd.array(status, dtype="str"),
        },
        index=frame.index,
    )


def _best(job: Callable[[], object], runs: int = 3) -> float:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        job()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


FAMILIES: dict[str, Callable[[int], Iterator[Result]]] = {
    "few": few_churns,
    "many": many_churns,
    "audit": audits,
    "segments": segments,
    "speed": speed,
}


def main() -> int:
    """Run what was asked for; 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--only", default=",".join(FAMILIES), help="families, separated by commas")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    results = []
    for name in asked.only.split(","):
        for result in FAMILIES[name](asked.seeds):
            results.append(result)
            if not asked.json:
                mark = "ok  " if result.holds else "FAIL"
                print(f"{mark} {result.what}: {result.found:.4f} ({result.asked})", flush=True)
    if asked.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    return int(not all(result.holds for result in results))


if __name__ == "__main__":
    raise SystemExit(main())
