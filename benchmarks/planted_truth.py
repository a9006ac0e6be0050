"""Do the learned weights' intervals hold the true weights?

    python benchmarks/planted_truth.py --seeds 100

Portfolios of 5,000 accounts with 15 % churn and true weights .5, .3, .2, 0, 0. Counted: how often the true
weight lies inside its 95 % interval, over all weights and seeds, and in how many seeds the lower ends of
both null metrics are at most half a percent. Twice: with the true curves given, and with curves learned
(and refitted in every bootstrap replicate).
"""

import argparse
import time

import numpy as np

from chs_ml.curves import LinearCurve
from chs_ml.inputs import InputSchema
from chs_ml.learned_scorecard import LearnedScorecard
from chs_ml.synthetic import planted_weights

SMALL = 0.005


def coverage(seed: int, *, learn_curves: bool, replicates: int) -> tuple[list[bool], bool]:
    """Whether each true weight is covered, and whether both null metrics reach down to about zero."""
    planted = planted_weights(seed=seed)
    schema = InputSchema.learn(planted.frame, planted.metrics)
    given = [
        LinearCurve(x=tuple(x.tolist()), points=tuple(points.tolist()), missing=50.0)
        for x, points in planted.curves.values()
    ]
    card = LearnedScorecard(
        schema=schema,
        curves=None if learn_curves else given,
        bootstrap=replicates,
        random_state=seed,
    ).fit(schema.encode(planted.frame).values, planted.churned)
    pairs = [(card.intervals_[name], weight) for name, weight in planted.weights.items()]
    inside = [interval.low <= weight <= interval.high for interval, weight in pairs]
    nulls = [interval.low <= SMALL for interval, weight in pairs if weight == 0]
    return inside, all(nulls)


def main() -> None:
    """Measure both cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--replicates", type=int, default=200)
    arguments = parser.parse_args()
    for learn in (False, True):
        began = time.perf_counter()
        results = [
            coverage(seed, learn_curves=learn, replicates=arguments.replicates)
            for seed in range(arguments.seeds)
        ]
        inside = np.array([covered for covered, _ in results])
        nulls = np.mean([reached for _, reached in results])
        each = ", ".join(f"{share:.0%}" for share in inside.mean(axis=0))
        curves = "learned" if learn else "given"
        print(
            f"{curves} curves, {arguments.seeds} seeds: true weight inside the 95 % interval "
            f"in {inside.mean():.1%} ({each}); null metrics reach zero in {nulls:.0%} of seeds "
            f"({time.perf_counter() - began:.0f} s)",
            flush=True,
        )


if __name__ == "__main__":
    main()
