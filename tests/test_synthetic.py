"""The simulated portfolio and the planted weights keep their promises."""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from chs_ml.errors import InputError
from chs_ml.outcome import churn_codes
from chs_ml.recipe import load_recipe
from chs_ml.scorecard import load_scorecard
from chs_ml.synthetic import Portfolio, planted_weights, simulate
from chs_ml.synthetic.accounts import TERMS, Calendar, draw_accounts
from chs_ml.synthetic.paths import draw_paths
from chs_ml.synthetic.truth import Truth, churn_at_renewal

HORIZON = pd.Timedelta(days=90)


@pytest.fixture(scope="module")
def portfolio() -> Portfolio:
    return simulate(seed=0)


@pytest.fixture(scope="module")
def large() -> Portfolio:
    return simulate(accounts=20_000, seed=1)


@pytest.fixture
def card_file(root: Path) -> Path:
    return root / "models" / "scorecards" / "cs_team.toml"


def csv(portfolio: Portfolio) -> str:
    tables = (portfolio.customers, portfolio.accounts, portfolio.renewals)
    return "".join(table.to_csv(index=False) for table in tables)


def matured(portfolio: Portfolio) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    known = (portfolio.customers["outcome"] != "open").to_numpy()
    churned = (portfolio.customers["outcome"] == "churned").to_numpy(dtype=float)
    return portfolio.customers[known], churned[known], portfolio.truth.probability[known]


def slope_and_intercept(probability: np.ndarray, churned: np.ndarray) -> tuple[float, float]:
    fit = LogisticRegression(C=np.inf).fit(logit(probability)[:, None], churned)
    return float(fit.coef_[0, 0]), float(fit.intercept_[0])


def logistic_inputs(portfolio: Portfolio) -> pd.DataFrame:
    """What a plain logistic regression takes: standardised numbers, missing as mean plus flag."""
    frame = portfolio.customers[list(portfolio.truth.weights)].replace({"yes": 1, "no": 0}).astype(float)
    flags = frame[["nps", "csat"]].isna().astype(float).add_suffix("_missing")
    return ((frame - frame.mean()) / frame.std()).fillna(0.0).join(flags)


def test_same_seed_same_bytes_other_seed_other_portfolio() -> None:
    first, again, other = (simulate(accounts=150, months=12, seed=seed) for seed in (3, 3, 4))
    assert csv(first) == csv(again)
    assert first.truth.probability.tobytes() == again.truth.probability.tobytes()
    assert csv(first) != csv(other)


def test_rows_are_unique_monthly_and_in_order(portfolio: Portfolio) -> None:
    customers = portfolio.customers
    keys = ["snapshot_date", "account_id"]
    assert not customers.duplicated(keys).any()
    assert customers[keys].equals(customers[keys].sort_values(keys, ignore_index=True))
    month_ends = pd.date_range("2024-01-31", periods=24, freq="ME")
    assert sorted(customers["snapshot_date"].unique()) == list(month_ends)
    assert portfolio.data_cut == month_ends[-1]
    assert customers["snapshot_date"].dtype == customers["renewal_date"].dtype == "datetime64[us]"


def test_base_rate_is_that_of_a_plausible_company(portfolio: Portfolio) -> None:
    _, churned, _ = matured(portfolio)
    assert 0.05 < churned.mean() < 0.12
    assert 0.03 < (portfolio.renewals["outcome"] == "churned").mean() < 0.12


def term_ends(account: Any, until: pd.Timestamp) -> list[pd.Timestamp]:
    """Contract ends by calendar arithmetic, one term after the other."""
    ends = []
    for count in range(1, 400):
        end = account.first_contract_date + pd.DateOffset(months=count * account.term_months)
        if end > until:
            break
        ends.append(end)
    return ends


def test_outcomes_follow_from_contracts_and_churn_dates_by_brute_force() -> None:
    portfolio = simulate(accounts=120, months=18, seed=5)
    cut = portfolio.data_cut
    left = portfolio.renewals.query("outcome == 'churned'").set_index("account_id")["renewal_date"]
    expected = {}
    for account in portfolio.accounts.itertuples():
        churn = left.get(account.account_id, pd.Timestamp.max)
        ends = term_ends(account, cut + HORIZON)
        for day in pd.date_range("2024-01-31", cut, freq="ME"):
            due = [end for end in ends if day < end <= day + HORIZON]
            if not due or not account.first_contract_date <= day < churn:
                continue
            word = "open" if day + HORIZON > cut else "churned" if churn <= day + HORIZON else "renewed"
            expected[account.account_id, day] = (due[0], word)
    found = {
        (row.account_id, row.snapshot_date): (row.renewal_date, row.outcome)
        for row in portfolio.customers.itertuples()
    }
    assert found == expected
    assert {word for _, word in expected.values()} == {"open", "renewed", "churned"}


def test_accounts_leave_only_at_the_end_of_a_term_and_do_not_come_back(portfolio: Portfolio) -> None:
    renewals = portfolio.renewals.merge(portfolio.accounts, on="account_id")
    first = renewals["first_contract_date"]
    months = (renewals["renewal_date"].dt.year - first.dt.year) * 12
    months += renewals["renewal_date"].dt.month - first.dt.month
    assert (renewals["renewal_date"].dt.day == first.dt.day).all()
    assert (months % renewals["term_months"] == 0).all()
    assert (months > 0).all()
    left = portfolio.renewals.query("outcome == 'churned'").set_index("account_id")["renewal_date"]
    assert left.index.is_unique
    assert left.max() <= portfolio.data_cut
    for table, date in ((portfolio.renewals, "renewal_date"), (portfolio.customers, "snapshot_date")):
        last = table.groupby("account_id")[date].max()
        assert (last[last.index.isin(left.index)] <= left.reindex(last.index).dropna()).all()


def test_exactly_the_last_three_month_ends_are_open(portfolio: Portfolio) -> None:
    # 30 September 2025 + 90 days is 29 December, before the cut; 31 October + 90 days is 29 January
    customers = portfolio.customers
    open_days = customers.loc[customers["outcome"] == "open", "snapshot_date"]
    assert sorted(open_days.unique()) == [pd.Timestamp(f"2025-{day}") for day in ("10-31", "11-30", "12-31")]
    assert (open_days >= "2025-10-31").sum() == (customers["snapshot_date"] >= "2025-10-31").sum()
    assert np.isnan(churn_codes(customers["outcome"])).sum() == len(open_days)


def test_data_cut_is_the_day_of_the_last_snapshot() -> None:
    assert simulate(accounts=5, months=12, seed=0).data_cut == pd.Timestamp("2024-12-31")
    assert simulate(accounts=5, months=14, seed=0).data_cut == pd.Timestamp("2025-02-28")


def test_true_probability_is_calibrated_row_by_row(large: Portfolio) -> None:
    _, churned, probability = matured(large)
    slope, intercept = slope_and_intercept(probability, churned)
    assert abs(slope - 1.0) < 0.04
    assert abs(intercept) < 0.1
    assert abs(probability.mean() - churned.mean()) < 0.003
    deciles = pd.DataFrame({"p": probability, "y": churned}).groupby(pd.qcut(probability, 10))
    error = (deciles["y"].mean() - deciles["p"].mean()).abs()
    allowed = 6 * np.sqrt(
        deciles["p"].mean() / deciles["p"].count()
    )  # rows of an account share their outcome
    assert (error < allowed).all()


def test_true_probability_is_calibrated_renewal_by_renewal(large: Portfolio) -> None:
    churned = (large.renewals["outcome"] == "churned").to_numpy(dtype=float)
    slope, intercept = slope_and_intercept(large.renewals["probability"].to_numpy(), churned)
    assert abs(slope - 1.0) < 0.05
    assert abs(intercept) < 0.12


def test_probability_of_a_row_is_that_of_its_renewals(portfolio: Portfolio) -> None:
    """For annual contracts whose renewal is known, the row's probability is the renewal's."""
    rows = portfolio.customers.assign(p=portfolio.truth.probability)
    rows = rows[(rows["contract_term"] == "annual") & (rows["renewal_date"] <= portfolio.data_cut)]
    both = rows.merge(portfolio.renewals, on=["account_id", "renewal_date"])
    assert len(both) == len(rows) > 5000
    np.testing.assert_allclose(both["p"], both["probability"], atol=1e-12)


def test_monthly_contracts_have_three_chances_to_leave(portfolio: Portfolio) -> None:
    rows = portfolio.customers.assign(p=portfolio.truth.probability).query("contract_term == 'monthly'")
    row = rows[rows["outcome"] == "renewed"].iloc[0]
    of_account = portfolio.renewals.query(f"account_id == '{row['account_id']}'")
    ahead = of_account[
        of_account["renewal_date"].between(row["snapshot_date"], row["snapshot_date"] + HORIZON)
    ]
    assert len(ahead) == 3
    assert row["p"] == pytest.approx(1.0 - np.prod(1.0 - ahead["probability"]), abs=1e-12)


def test_chance_at_renewal_is_the_formula_of_truth() -> None:
    calendar, rng = Calendar(6), np.random.default_rng(11)
    accounts = draw_accounts(rng, 40, calendar)
    paths = draw_paths(rng, accounts, calendar)
    truth = Truth(probability=np.zeros(0))
    chance = churn_at_renewal(accounts, paths)
    for account in range(40):
        month = calendar.run_up + account % 6
        value = {name: path[account, month] for name, path in paths.true.items()}
        points = sum(w * np.interp(value[name], *truth.curves[name]) for name, w in truth.weights.items())
        margin = truth.intercept + truth.term_offsets[TERMS[accounts.term[account]]]
        margin += -truth.strength * points + truth.silence * paths.silent[account, month]
        margin += truth.isolation * (value["usage_days"] < truth.low_usage and value["sponsor"] == 0)
        assert chance[account, month] == pytest.approx(expit(margin), abs=1e-12)


def test_weights_sum_to_one_and_curves_run_in_their_direction(portfolio: Portfolio) -> None:
    truth, declared = portfolio.truth, portfolio.recipe["metrics"]
    assert sum(truth.weights.values()) == pytest.approx(1.0)
    assert min(truth.weights.values()) > 0.0
    assert set(truth.weights) == set(truth.curves) == {k for k, m in declared.items() if "direction" in m}
    for name, (values, points) in truth.curves.items():
        sign = {"higher": 1, "lower": -1}[declared[name]["direction"]]
        assert (np.diff(values) > 0).all(), name
        assert (sign * np.diff(points) > 0).all(), name
        assert (points.min(), points.max()) == (0.0, 100.0), name


@pytest.mark.parametrize("survey", ["nps", "csat"])
def test_missing_surveys_are_many_and_informative(portfolio: Portfolio, survey: str) -> None:
    rows, churned, _ = matured(portfolio)
    missing = rows[survey].isna().to_numpy()
    assert 0.25 < missing.mean() < 0.6
    assert churned[missing].mean() > 1.15 * churned[~missing].mean()


def test_silence_adds_risk_beyond_all_that_was_recorded(large: Portfolio) -> None:
    rows, churned, _ = matured(large)
    inputs = logistic_inputs(large).loc[rows.index]
    model = LogisticRegression(max_iter=1000).fit(inputs.to_numpy(), churned)
    effect = dict(zip(inputs.columns, model.coef_[0], strict=True))
    assert effect["nps_missing"] > 0.5 * large.truth.silence


def test_usage_dips_in_august_and_december(portfolio: Portfolio) -> None:
    usage = portfolio.customers.groupby(portfolio.customers["snapshot_date"].dt.month)["usage_days"].mean()
    others = usage.drop(index=[7, 8, 12])
    assert max(usage[8], usage[12]) < others.min() - 1.0


def test_low_usage_without_a_sponsor_is_worse_than_both_alone(large: Portfolio) -> None:
    """In log-odds, the interaction is more than the sum of its parts."""
    rows, churned, _ = matured(large)
    low, alone = (rows["usage_days"] < 9).to_numpy(), (rows["sponsor"] == "no").to_numpy()
    rate = {(a, b): logit(churned[(low == a) & (alone == b)].mean()) for a in (0, 1) for b in (0, 1)}
    assert rate[1, 1] - rate[0, 1] > rate[1, 0] - rate[0, 0] + 0.2


def test_values_stay_in_their_ranges(portfolio: Portfolio) -> None:
    customers = portfolio.customers
    ranges = {
        "usage_days": (0, 30),
        "feature_adoption": (0, 100),
        "seats_used": (0, 100),
        "usage_change": (-100, 200),
        "days_since_login": (0, 90),
        "csat": (1, 5),
        "nps": (0, 10),
        "contract_growth": (-35, 60),
        "overdue_days": (0, 90),
        "tenure_months": (0, 130),
        "arr": (500, 10_000_000),
    }
    for name, (low, high) in ranges.items():
        assert customers[name].dropna().between(low, high).all(), name
    assert (customers.loc[customers["tenure_months"] < 12, "contract_growth"].isna()).all()
    assert set(customers["sponsor"]) == {"yes", "no"}
    assert customers["owner"].str.fullmatch(r"csm-\d\d").all()
    complete = customers.drop(columns=["nps", "csat", "resolve_hours", "usage_change", "contract_growth"])
    assert not complete.isna().any().any()


def test_recipe_is_one_and_names_every_column(portfolio: Portfolio) -> None:
    recipe = load_recipe(portfolio.recipe)
    data = recipe.data
    named = {data.account, data.outcome, data.snapshot_date, data.value, data.segment, *data.keep}
    assert named | set(recipe.metrics) == set(portfolio.customers.columns)
    assert named & set(recipe.metrics) == set()
    assert data.horizon_days == 90
    assert len(recipe.metrics) == 21
    portfolio.recipe["data"]["keep"].clear()
    assert portfolio.recipe["data"]["keep"] == ["name", "owner", "renewal_date"]


@pytest.mark.parametrize("asked", [{"accounts": 0}, {"months": 3}, {"seed": -1}])
def test_impossible_portfolios_are_refused(asked: dict[str, int]) -> None:
    with pytest.raises(InputError, match=r"at least 1 account, 4 months.*not negative; got accounts="):
        simulate(**asked)


def test_smallest_portfolio_has_all_its_columns() -> None:
    columns = list(simulate(accounts=200, seed=0).customers.columns)
    assert list(simulate(accounts=1, months=4, seed=0).customers.columns) == columns


def points_by_hand(customers: pd.DataFrame, card_file: Path) -> np.ndarray:
    """The handcrafted card by its definition: weighted mean of the points that are there."""
    measures = tomllib.loads(card_file.read_text())["measures"]
    total, weights = np.zeros(len(customers)), np.zeros(len(customers))
    for name, measure in measures.items():
        known = customers[name].notna().to_numpy()
        points = np.interp(customers[name].fillna(0.0), *np.array(measure["curve"], dtype=float).T)
        total += np.where(known, measure["weight"] * points, 0.0)
        weights += np.where(known, measure["weight"], 0.0)
    return total / weights


def test_handcrafted_card_is_read_and_scores_as_written(portfolio: Portfolio, card_file: Path) -> None:
    score = load_scorecard(card_file).score(portfolio.customers)["health_score"]
    np.testing.assert_allclose(score, points_by_hand(portfolio.customers, card_file), atol=1e-8)
    declared = portfolio.recipe["metrics"]
    measures = tomllib.loads(card_file.read_text())["measures"]
    assert sum(measure["weight"] for measure in measures.values()) == pytest.approx(1.0)
    for name, measure in measures.items():
        for key in ("group", "label", "direction"):
            assert measure[key] == declared[name][key], (name, key)


def test_story_is_believable_out_of_time(large: Portfolio, card_file: Path) -> None:
    """Handcrafted card < plain model < truth, each in the range that such things reach."""
    day, outcome = large.customers["snapshot_date"], large.customers["outcome"]
    churned = (outcome == "churned").to_numpy()
    test = ((day >= "2025-04-30") & (outcome != "open")).to_numpy()
    train = (day + HORIZON < "2025-04-30").to_numpy()
    inputs = logistic_inputs(large).to_numpy()
    model = LogisticRegression(max_iter=1000).fit(inputs[train], churned[train])
    auc = {
        "card": roc_auc_score(churned[test], -points_by_hand(large.customers, card_file)[test]),
        "model": roc_auc_score(churned[test], model.decision_function(inputs[test])),
        "truth": roc_auc_score(churned[test], large.truth.probability[test]),
    }
    assert 0.62 < auc["card"] < 0.70
    assert 0.75 < auc["model"] < 0.83
    assert auc["model"] + 0.03 < auc["truth"] < 0.90


def test_planted_weights_are_what_they_say() -> None:
    planted = planted_weights(seed=2)
    assert list(planted.weights.values()) == [0.5, 0.3, 0.2, 0.0, 0.0]
    assert planted.frame.shape == (5000, 5)
    assert [metric.name for metric in planted.metrics] == list(planted.frame.columns) == list(planted.curves)
    health = sum(w * np.interp(planted.frame[k], *planted.curves[k]) for k, w in planted.weights.items())
    expected = expit(planted.intercept - planted.strength * health)
    np.testing.assert_allclose(planted.probability, expected, atol=1e-12)
    assert planted.probability.mean() == pytest.approx(0.15, abs=1e-9)
    assert set(planted.churned) == {0.0, 1.0}


def test_planted_curves_span_the_inner_percentiles_in_their_direction() -> None:
    planted = planted_weights(accounts=200_000, seed=0)
    for metric in planted.metrics:
        values, points = planted.curves[metric.name]
        assert (metric.direction.sign * np.diff(points) > 0).all()
        assert {points[0], points[-1]} == {0.0, 100.0}
        inner = np.percentile(planted.frame[metric.name], [1, 99])
        np.testing.assert_allclose(values[[0, -1]], inner, atol=0.002 * np.ptp(values))


def test_planted_outcomes_follow_the_truth_over_seeds() -> None:
    drawn = [planted_weights(seed=seed) for seed in range(20)]
    auc = [roc_auc_score(p.churned, p.probability) for p in drawn]
    assert 0.75 < np.mean(auc) < 0.80
    assert np.mean([p.churned.mean() for p in drawn]) == pytest.approx(0.15, abs=0.005)
    probability, churned = (
        np.concatenate([getattr(p, k) for p in drawn]) for k in ("probability", "churned")
    )
    slope, intercept = slope_and_intercept(probability, churned)
    assert abs(slope - 1.0) < 0.03
    assert abs(intercept) < 0.06


def test_planted_weights_are_found_by_the_true_model() -> None:
    """Unpenalised logistic regression on the true curves: the estimate every learner is measured by."""
    planted = planted_weights(accounts=200_000, seed=1)
    points = np.column_stack([np.interp(planted.frame[k], *planted.curves[k]) for k in planted.weights])
    beta = -LogisticRegression(C=np.inf, tol=1e-8).fit(points, planted.churned).coef_[0]
    np.testing.assert_allclose(beta / beta.sum(), list(planted.weights.values()), atol=0.015)
    assert beta.sum() == pytest.approx(planted.strength, rel=0.02)


def test_planted_weights_repeat_and_take_another_base_rate() -> None:
    first, again = (planted_weights(accounts=300, seed=7, base_rate=0.4) for _ in range(2))
    assert first.frame.equals(again.frame)
    assert first.churned.tobytes() == again.churned.tobytes()
    assert first.probability.mean() == pytest.approx(0.4, abs=1e-9)


@pytest.mark.parametrize(
    "asked",
    [{"accounts": 0, "seed": 0}, {"seed": 0, "base_rate": 1.0}, {"seed": 0, "base_rate": 0.0}, {"seed": -1}],
)
def test_impossible_plantings_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"at least 1 account, a base rate in \(0, 1\)"):
        planted_weights(**asked)
