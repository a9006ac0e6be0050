"""How scores are judged, as one value: the home of what a recipe's ``[validation]`` says."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from chs_ml.validation.bootstrap import Resampling
from chs_ml.validation.certification import Promise
from chs_ml.validation.policy import Policy
from chs_ml.validation.profit import Campaign
from chs_ml.validation.worth import Outreach


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How scores are judged.

    Attributes
    ----------
    policy : Policy
        Thresholds of the verdicts.
    promises : tuple of Promise
        What tiers promised when they were certified.
    resampling : Resampling
        Bootstrap and level of the intervals.
    outreach : Outreach
        What the team can do.
    randomised : bool
        Whether a random hold-out decided who was treated.
    margins : mapping of str to float
        Differences that would not matter, by statistic.
    """

    policy: Policy = field(default_factory=Policy)
    promises: tuple[Promise, ...] = ()
    resampling: Resampling = field(default_factory=lambda: Resampling(replicates=1000))
    outreach: Outreach = field(default_factory=Outreach)
    randomised: bool = False
    margins: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Read the keys of a recipe's ``[validation]``, as plain values; absent ones take their defaults."""
        bootstrap = {"replicates": said.get("bootstrap", 1000)}
        bootstrap |= {name: said[name] for name in ("random_state", "level") if name in said}
        return cls(
            policy=Policy(**{f.name: said[f.name] for f in fields(Policy) if f.name in said}),
            promises=tuple(Promise(**promise) for promise in said.get("promises", ())),
            resampling=Resampling(**bootstrap),
            outreach=_outreach(said.get("value", {})),
            randomised=bool(said.get("randomised", False)),
            margins={name: margin for name, margin in said.get("margins", {}).items() if margin is not None},
        )

    @property
    def bootstrap(self) -> dict[str, Any]:
        """Replicates, seed and level as `validate` and `compare` take them."""
        drawn = self.resampling
        return {
            "n_bootstrap": drawn.replicates,
            "random_state": drawn.random_state,
            "level": drawn.level,
        }

    @property
    def of_one(self) -> dict[str, Any]:
        """What `validate` takes of them."""
        return {
            "policy": self.policy,
            "promises": self.promises,
            "outreach": self.outreach,
            "randomised": self.randomised,
            **self.bootstrap,
        }

    @property
    def of_many(self) -> dict[str, Any]:
        """What `compare` takes of them."""
        return {
            "policy": self.policy,
            "promises": self.promises,
            "margins": self.margins,
            **self.bootstrap,
        }


def _outreach(said: Mapping[str, Any]) -> Outreach:
    costs = {name: said.get(name) for name in ("incentive", "contact")}
    shape = {name: said[name] for name in ("alpha", "beta") if said.get(name) is not None}
    campaign = None
    if all(cost is not None for cost in costs.values()):
        campaign = Campaign(
            **{name: float(cost) for name, cost in (costs | shape).items() if cost is not None}
        )
    return Outreach(
        capacity=said.get("capacity"), campaign=campaign, customer_value=said.get("customer_value")
    )
