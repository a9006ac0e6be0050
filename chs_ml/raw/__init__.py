"""Facts: from raw tables to point-in-time metrics and renewal outcomes.

The past is cut once, in one join (`chs_ml.raw.atoms`) that every metric passes through; days from which
rows and values are known come from one place (`chs_ml.raw.staging`). Only outcomes read the time after.
"""

from chs_ml.raw.build import SnapshotTable, build_snapshots, examine_tables, snapshots_of, with_catalogue

__all__ = ["SnapshotTable", "build_snapshots", "examine_tables", "snapshots_of", "with_catalogue"]
