"""What stands beside the outcome in its own table, and tells it."""

from typing import TYPE_CHECKING

import numpy as np

from chs_ml import checks
from chs_ml.findings import Finding, warning
from chs_ml.metric import Metric
from chs_ml.outcome import Outcome
from chs_ml.raw import sql
from chs_ml.raw.contracts import outcome_sql
from chs_ml.raw.engine import Engine
from chs_ml.raw.staging import ACCOUNT, RawTable

if TYPE_CHECKING:
    from chs_ml.recipe import OutcomeSpec

LEAKS = ("suspected-leak", "strong-alone")


def check_beside_outcome(engine: Engine, table: RawTable, spec: "OutcomeSpec") -> list[Finding]:
    """Name the columns of an undated table of outcomes that alone tell who churned.

    They were written when the outcome was known, as far as anyone can say; they are no metrics unless the
    recipe makes them one.
    """
    key, own = table.words(table.spec.account), {table.spec.account, spec.column}
    others = [column for column in table.types if column not in own]
    columns = [f"t.{sql.name(column)} AS {sql.name(column)}" for column in others]
    facts = RawTable(table.name, table.spec, table.types)
    word = outcome_sql(facts, spec).replace(f"f.{sql.name(facts.words(str(spec.column)))}", "q.chs_word")
    staged = ", ".join(
        [f"{table.forms[key]} AS {ACCOUNT}", f"{next(iter(facts.forms.values()))} AS chs_word", *columns]
    )
    frame = engine.frame(
        f"SELECT q.*, {word} AS chs_outcome FROM (SELECT {staged} FROM {sql.name(table.raw)} t) q "
        f"ORDER BY q.{ACCOUNT}"
    )
    codes = {str(Outcome.CHURNED): 1.0, str(Outcome.RENEWED): 0.0, str(Outcome.CONTRACTED): 0.0}
    churned = np.asarray(frame["chs_outcome"].map(codes), dtype=np.float64)
    known = checks.Facts.of(frame[ACCOUNT], None, churned)
    found: list[Finding] = []
    for column in others:
        metric = Metric(name=column, kind=checks.infer_kind(frame[column]))
        said = checks.check_metric(frame[column], metric, facts=known, declared=True)[1]
        found += [_beside(table, finding) for finding in said if finding.code in LEAKS]
    return found


def _beside(table: RawTable, finding: Finding) -> Finding:
    text = f"{finding.message} It stands beside the outcome in the table {table.name}."
    return warning(finding.code, finding.subject, text)
