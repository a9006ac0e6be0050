"""The account-clustered bootstrap: accounts are drawn, their rows come along.

Replicates are drawn in blocks, each from its own child of the seed, so that the numbers do not depend
on how many threads share the work.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from chs_ml.errors import RecipeError
from chs_ml.validation.ranking import (
    ProbabilitySums,
    Ranking,
    probability_statistics,
    rank_statistics,
)
from chs_ml.validation.result import Array, Codes

CELLS_PER_BLOCK = 50_000  # blocks that fit into a core's cache: three times as fast as blocks of 400,000
MAX_THREADS = 4
Replicates = dict[str, Array]


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How a bootstrap is drawn: number of replicates, seed, and level of its intervals."""

    replicates: int = 500
    random_state: int = 0
    level: float = 0.95


USUAL = Resampling()
LEAST_REPLICATES = 2


def check_resampling(n_bootstrap: int, level: float) -> None:
    """Refuse a bootstrap that cannot be drawn, or a level that is no level."""
    if n_bootstrap < LEAST_REPLICATES:
        raise RecipeError(
            f"n_bootstrap must be at least {LEAST_REPLICATES}, got {n_bootstrap}; 1000 is usual."
        )
    if not 0.0 < level < 1.0:
        raise RecipeError(f"level must lie between 0 and 1, got {level!r}; 0.95 is usual.")


@dataclass(frozen=True)
class Judged:
    """One score, made ready for replicates.

    Attributes
    ----------
    ranking : Ranking
        Its rows, sorted.
    account : ndarray of int, shape (n,)
        Account codes in the ranking's order.
    sums : ProbabilitySums or None
        Of its probabilities, where it has some.
    """

    ranking: Ranking
    account: Codes
    sums: ProbabilitySums | None

    @classmethod
    def of(
        cls,
        churned: Array,
        *,
        score: Array,
        account: Codes,
        probability: Array | None = None,
        value: Array | None = None,
    ) -> "Judged":
        """Prepare columns of shape (n,)."""
        ranking = Ranking.of(score, churned, value)
        sums = None if probability is None else ProbabilitySums.of(probability, churned, account)
        return cls(ranking, account[ranking.order], sums)

    def statistics(self, counts: Array) -> Replicates:
        """Every statistic, for account counts of shape (b, g)."""
        found = rank_statistics(self.ranking, np.take(counts, self.account, axis=1))
        return found if self.sums is None else found | probability_statistics(self.sums, counts)

    def estimate(self) -> dict[str, float]:
        """Every statistic of the rows as they are."""
        ones = np.ones((1, int(self.account.max()) + 1))
        return {name: float(values[0]) for name, values in self.statistics(ones).items()}


def replicates(
    judged: Judged, *, n_bootstrap: int, random_state: int, threads: int | None = None
) -> Replicates:
    """Statistics of account-clustered replicates.

    Parameters
    ----------
    judged : Judged
        The prepared score.
    n_bootstrap : int
        Number of replicates.
    random_state : int
        Seed. Scores over the same accounts with the same seed see the same replicates.
    threads : int, optional
        Workers; all usable cores up to 4 by default. Results do not depend on it.

    Returns
    -------
    dict of str to ndarray of shape (n_bootstrap,)
        NaN in replicates that drew no churns or no renewals.
    """
    n_accounts = int(judged.account.max()) + 1
    return over_replicates(
        judged.statistics, n_accounts, len(judged.account),
        n_bootstrap=n_bootstrap, random_state=random_state, threads=threads,
    )  # fmt: skip


def over_replicates(
    compute: Callable[[Array], Replicates],
    n_accounts: int,
    n_rows: int,
    *,
    n_bootstrap: int,
    random_state: int,
    threads: int | None = None,
) -> Replicates:
    """Run a function of account counts, shape (b, g), over blocks of replicates."""
    size = max(1, CELLS_PER_BLOCK // n_rows)
    sizes = [min(size, n_bootstrap - start) for start in range(0, n_bootstrap, size)]
    seeds = np.random.SeedSequence(random_state).spawn(len(sizes))

    def block(task: tuple[int, np.random.SeedSequence]) -> Replicates:
        return compute(account_counts(n_accounts, size=task[0], rng=np.random.default_rng(task[1])))

    tasks = list(zip(sizes, seeds, strict=True))
    workers = min(threads or usable_cores(), len(tasks))
    if workers <= 1:
        blocks = [block(task) for task in tasks]
    else:
        with ThreadPoolExecutor(workers) as pool:
            blocks = list(pool.map(block, tasks))
    return {name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]} if blocks else {}


def resampled(compute: Callable[[Array], Replicates], account: Codes, resampling: Resampling) -> Replicates:
    """Run a function of account counts, shape (b, g), over the replicates that `resampling` asks for."""
    return over_replicates(
        compute,
        int(account.max()) + 1,
        len(account),
        n_bootstrap=resampling.replicates,
        random_state=resampling.random_state,
    )


def account_counts(n_accounts: int, *, size: int, rng: np.random.Generator) -> Array:
    """Draw accounts with replacement: multinomial counts of shape (size, n_accounts)."""
    drawn = rng.integers(0, n_accounts, size=(size, n_accounts), dtype=np.int64)
    drawn += np.arange(size, dtype=np.int64)[:, None] * n_accounts
    counts = np.bincount(drawn.ravel(), minlength=size * n_accounts)
    return counts.reshape(size, n_accounts).astype(np.float64)


def usable_cores() -> int:
    """Cores to use, at most 4."""
    return min(os.cpu_count() or 1, MAX_THREADS)
