"""``audit_card``: does the handcrafted score work?"""

import numpy as np
import pandas as pd

from chs_ml.card_audit.native import calibrate_card, crossed_probability, native_model
from chs_ml.card_audit.policies import missing_policies
from chs_ml.card_audit.ranges import judge_ranges
from chs_ml.card_audit.values import CardAudit, ScoreChance
from chs_ml.card_learning.evidence import measure_evidence
from chs_ml.card_learning.health import CardRows, card_rows
from chs_ml.dataset import Dataset
from chs_ml.health_model import CarriedColumns, HealthModel
from chs_ml.scale import churn_probability, published_score
from chs_ml.scorecard import Scorecard
from chs_ml.tiers import Tiers
from chs_ml.validation import Comparison, ValidationReport, compare, validate
from chs_ml.validation.result import Verdict

SCORES_SAID = (10.0, 30.0, 50.0, 70.0, 90.0)


def audit_card(
    card: Scorecard,
    dataset: Dataset,
    *,
    tiers: Tiers | None = None,
    carried: CarriedColumns | None = None,
    n_bootstrap: int = 1000,
    random_state: int = 0,
    level: float = 0.95,
) -> CardAudit:
    """Judge a handcrafted card by renewals, as a whole and line by line.

    Parameters
    ----------
    card : Scorecard
        What is judged, as it is.
    dataset : Dataset
        Metrics and outcomes; open outcomes judge nothing.
    tiers : Tiers, optional
        Where tiers begin on 0-100; 75 and 50 by default.
    carried : CarriedColumns, optional
        Columns that are no metrics, for the calibrated model.
    n_bootstrap, random_state, level
        As for `validate`.

    Returns
    -------
    CardAudit
        With a page of plain language (``to_text``).

    Raises
    ------
    NotEnoughData
        Where the scored rows lack churns or renewals.
    TableError
        Where a column of the card is missing.
    """
    rows = card_rows(card, dataset)
    cut = tiers or Tiers()
    fit = calibrate_card(rows, random_state=random_state)
    model = native_model(card, rows, fit, tiers=cut, carried=carried or CarriedColumns())
    settings = {"n_bootstrap": n_bootstrap, "random_state": random_state, "level": level}
    report = _report(rows, dataset, model, cut, settings)
    return CardAudit(
        card=card,
        answer=_answer(report),
        report=report,
        duel=_duel(card, rows, cut, settings),
        measures=measure_evidence(
            rows.bare, rows.churned, rows.account, names=card.metric_names, level=level
        ),
        ranges=judge_ranges(card, rows, level=level),
        policies=missing_policies(card, rows, level=level),
        chances=_chances(model) if model is not None and _answer(report) == "yes" else (),
        model=model,
        green_churn=_green_churn(rows, dataset, cut),
    )


def _report(
    rows: CardRows, dataset: Dataset, model: HealthModel | None, tiers: Tiers, settings: dict[str, float]
) -> ValidationReport:
    """The card's score on all rows of the dataset, so that withheld and open ones are counted."""
    score = np.full(dataset.n, np.nan)
    score[rows.positions] = published_score(rows.score)
    chance = None
    if model is not None:
        chance = np.full(dataset.n, np.nan)
        chance[rows.positions] = crossed_probability(rows, random_state=int(settings["random_state"]))
    return validate(
        dataset.churned,
        score=score,
        probability=chance,
        tiers=tiers,
        value=dataset.value,
        account=dataset.account.to_numpy(),
        segment=None if dataset.segment is None else dataset.segment.to_numpy(),
        **settings,  # type: ignore[arg-type]
    )


def _answer(report: ValidationReport) -> str:
    ranks = report.test("ranks")
    if ranks.verdict is Verdict.NOT_ENOUGH_DATA:
        return "not enough data"
    auc = report.statistic("auc").interval
    if auc.low > 0.5:
        return "yes"
    return "the wrong way" if auc.high < 0.5 else "no evidence"


def _duel(card: Scorecard, rows: CardRows, tiers: Tiers, settings: dict[str, float]) -> Comparison:
    numeric = [k for k, m in enumerate(card.measures) if not m.metric.is_category]
    metrics = pd.DataFrame({card.metric_names[k]: rows.values[:, k] for k in numeric})
    varied = metrics.loc[:, metrics.nunique() > 1]
    return compare(
        rows.churned,
        {"the card": rows.score},
        account=rows.account,
        metrics=varied if len(varied.columns) else None,
        base_rate=True,
        tiers=tiers,
        **settings,  # type: ignore[arg-type]
    )


def _chances(model: HealthModel) -> tuple[ScoreChance, ...]:
    margin = model.blend.intercept - model.blend.points * np.array(SCORES_SAID)
    pairs = zip(SCORES_SAID, churn_probability(margin).tolist(), strict=True)
    return tuple(ScoreChance(score=score, churn_probability=chance) for score, chance in pairs)


def _green_churn(rows: CardRows, dataset: Dataset, tiers: Tiers) -> pd.DataFrame:
    score = published_score(rows.score)
    green = (tiers.codes(score) == 0) & (rows.churned == 1.0)
    at = rows.positions[green]
    table = pd.DataFrame({"account": dataset.account.to_numpy()[at]})
    if dataset.snapshot_date is not None:
        table["snapshot_date"] = dataset.snapshot_date.to_numpy()[at]
    table["score"] = score[green]
    if dataset.value is not None:
        table["value"] = dataset.value[at]
    return table.sort_values(["score", "account"], ascending=[False, True], ignore_index=True)
