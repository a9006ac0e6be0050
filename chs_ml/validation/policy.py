"""The thresholds that turn numbers into verdicts: one object, said beside every verdict."""

from dataclasses import dataclass

from chs_ml.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class Policy:
    """When a test passes, warns, fails, or keeps silent.

    Attributes
    ----------
    alpha : float
        Error rate of each family of tests, after Holm's correction.
    least_expected : float
        Expected churns and expected renewals that every cell of a test must have before it speaks;
        further rows of an account count half (`chs_ml.validation.intervals.countable_rows`).
    least_accounts : int
        Distinct accounts that a cell must have besides, where accounts repeat: a clustered standard error
        from fewer is too small.
    relevant_ratio : float
        Neighbouring tiers whose churn rates differ by less than this factor are no two tiers: where the
        interval rules this factor out, "not separated" fails; where it does not, it warns.
    most_healthy : float
        Largest share of accounts in the healthiest tier.
    most_concentrated : float
        Largest Herfindahl index of the tiers' shares.
    critical_odds_ratio : float
        Least churn odds of the least healthy tier against the base rate's odds (lower end).
    critical_lift : float or None
        Least churn rate of the least healthy tier against the base rate (lower end); asked instead of
        the odds ratio where it is given.
    mean_tolerance : float
        Miscalibration of a mean, as a probability, that is too small to matter: significant but
        smaller deviations warn, larger ones fail.
    slope_tolerance : float
        Same for the calibration slope: distance from 1.
    least_segment : int
        Judged rows below which a segment is listed but not judged.
    """

    alpha: float = 0.05
    least_expected: float = 10.0
    least_accounts: int = 20
    relevant_ratio: float = 2.0
    most_healthy: float = 0.8
    most_concentrated: float = 0.66
    critical_odds_ratio: float = 2.0
    critical_lift: float | None = None
    mean_tolerance: float = 0.015
    slope_tolerance: float = 0.15
    least_segment: int = 50

    @property
    def silence(self) -> str:
        """When tests keep silent, in words."""
        return f"silent below {self.least_expected:g} effective expected churns or renewals"

    def speaks(self, expected: float, *, accounts: int, rows: int) -> bool:
        """Whether a cell with that many effective expected churns or renewals is enough."""
        return expected >= self.least_expected and (accounts == rows or accounts >= self.least_accounts)

    def lacking(self, found: float) -> str:
        """Why a test kept silent, in words."""
        if found >= self.least_expected:
            return f"too few distinct accounts, {self.least_accounts} are needed"
        return f"{found:.1f} effective expected churns or renewals, {self.least_expected:g} are needed"

    def __post_init__(self) -> None:
        if not 0.0 < self.alpha < 0.5:
            raise RecipeError(f"alpha must lie between 0 and 0.5, got {self.alpha!r}; 0.05 is usual.")
        if self.least_expected < 1.0:
            raise RecipeError(
                f"least_expected must be at least 1, got {self.least_expected!r}: the tests are approximate "
                "below 10 expected churns and empty below 1."
            )
