"""Simulated data with a known truth: a portfolio for demo and tests, and planted weights to recover."""

from chs_ml.synthetic.planted import PlantedWeights, planted_weights
from chs_ml.synthetic.portfolio import Portfolio, simulate
from chs_ml.synthetic.raw_tables import RawTables, write_raw_tables
from chs_ml.synthetic.truth import Truth

__all__ = [
    "PlantedWeights",
    "Portfolio",
    "RawTables",
    "Truth",
    "planted_weights",
    "simulate",
    "write_raw_tables",
]
