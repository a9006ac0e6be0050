"""The demo: the main job from end to end, small."""

import json
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from chs_ml.bundle import load_model
from chs_ml.cli.demo_text import demo_text
from chs_ml.demo import BY_HAND, LEARNED, Demo, due_now, handcrafted_card, run_demo, write_portfolio
from chs_ml.errors import ChsError
from chs_ml.recipe import Recipe, load_recipe
from chs_ml.synthetic import simulate
from chs_ml.table import read_table
from tests.small_model import small_portfolio


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """A demo that trains in seconds: the formula alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chs_ml.demo.load_recipe", quick_recipe)
        return run_demo(tmp_path_factory.mktemp("demo"), accounts=400, seed=2)


def quick_recipe(path: Path) -> Recipe:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    content["model"] = {"kind": "scorecard", "bootstrap": 10, "folds": 3}
    return load_recipe(content).with_data(path.parent / "raw")


def test_the_demo_starts_from_raw_tables(shown: Demo) -> None:
    raw = Path(shown.files["raw"])
    assert {file.stem for file in raw.glob("*.parquet")} == set(shown.rows)
    for name in ("subscriptions", "events_daily"):
        assert len(read_table(raw / f"{name}.parquet")) == shown.rows[name]
    terms = read_table(raw / "subscriptions.parquet")
    cut = pd.Timestamp("2025-12-31")
    assert shown.renewals["churned"] == terms["cancelled_at"].notna().sum()
    assert shown.renewals["open"] == (terms["end_date"] > cut).sum()
    assert sum(shown.renewals.values()) == len(terms)


def test_the_demo_looks_for_leaks_before_it_trains(shown: Demo) -> None:
    assert shown.leaks.splits is not None
    assert [finding for finding in shown.leaks.findings if finding.severity != "note"] == []


def test_the_demo_compares_on_the_later_renewals(shown: Demo) -> None:
    assert [one.name for one in shown.duel.contestants] == [BY_HAND, LEARNED]
    assert shown.model.facts["split"]["out_of_time"] is True
    assert shown.duel.counts.judged == shown.report.counts.judged == shown.model.facts["split"]["test_rows"]


def test_the_demo_scores_who_is_due_now(shown: Demo) -> None:
    due, scores = read_table(shown.files["due"]), read_table(shown.files["scores"])
    assert due["account_id"].is_unique
    cut, lead = pd.Timestamp("2025-12-31"), pd.Timedelta(days=30)
    snapshots = pd.to_datetime(due["snapshot_date"])
    assert (snapshots <= cut).all()
    assert (snapshots + lead > cut).all()
    assert "outcome" not in due.columns
    assert scores["account_id"].to_list() == due["account_id"].to_list()
    assert shown.summary.accounts == len(due)
    assert len(shown.summary.top) == 20


def test_what_the_demo_wrote_can_be_used(shown: Demo) -> None:
    model = load_model(shown.files["model"])
    due = read_table(shown.files["due"])
    pd.testing.assert_frame_equal(model.score(due), shown.model.score(due), check_exact=True)
    report = json.loads(Path(shown.files["report"]).read_text(encoding="utf-8"))
    assert report == shown.to_dict()
    parts = {"rows", "renewals", "leaks", "report", "duel", "summary", "true_weights", "files", "facts"}
    assert set(report) == parts


def test_the_text_begins_with_a_verdict_and_fits_a_terminal(shown: Demo) -> None:
    text = demo_text(shown)
    assert text.startswith("Verdict\n=======\n- Learned from ")
    lines = [line for line in text.splitlines() if str(Path(shown.files["model"]).parent) not in line]
    assert max(map(len, lines)) <= 100
    for word in ("By hand", "Ranking:", "Probabilities:", "Truth", "value at risk", "Due now:", "From raw"):
        assert word in text


def test_a_written_portfolio_comes_with_a_recipe_that_reads_it(tmp_path: Path) -> None:
    portfolio = simulate(accounts=40, months=6, seed=1)
    files = write_portfolio(portfolio, tmp_path / "new" / "folder")
    assert set(files) == {"customers", "accounts", "renewals", "recipe"}
    assert tomllib.loads(files["recipe"].read_text(encoding="utf-8")) == portfolio.recipe
    assert load_recipe(files["recipe"]).data_path == files["customers"]
    assert len(read_table(files["customers"])) == len(portfolio.customers)


def test_due_now_are_the_open_renewals() -> None:
    words = ["renewed", "open", "churned", "open"]
    snapshots = pd.DataFrame({"account_id": list("abcd"), "usage": range(4), "outcome": words})
    due = due_now(snapshots)
    assert due.to_dict("list") == {"account_id": ["b", "d"], "usage": [1, 3]}


def test_without_the_engine_the_demo_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ChsError, match=r"Raw tables need DuckDB: install the extra chs-ml\[duckdb\]"):
        run_demo(tmp_path, accounts=20)


def test_the_learned_score_beats_the_one_by_hand(shown: Demo) -> None:
    hand, learned = ({s.name: s.value for s in one.statistics}["auc"] for one in shown.duel.contestants)
    assert 0.5 < hand < learned < 0.95


def test_the_card_by_hand_scores_the_portfolio(root: Path) -> None:
    card = handcrafted_card()
    assert (
        card.to_toml()
        == type(card).from_toml((root / "models/scorecards/cs_team.toml").read_text()).to_toml()
    )
    scores = card.score(small_portfolio().customers)
    assert scores["health_score"].between(0, 100).all()
