"""The demo: the main job from end to end, small."""

import json
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from chs_ml.bundle import load_model
from chs_ml.cli.demo_text import demo_text
from chs_ml.demo import BY_HAND, LEARNED, Demo, due_now, handcrafted_card, run_demo, write_portfolio
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
    return load_recipe(content).with_data(path.parent / "customers.csv")


def test_the_demo_compares_on_the_later_months(shown: Demo) -> None:
    assert [one.name for one in shown.duel.contestants] == [BY_HAND, LEARNED]
    assert shown.model.facts["split"]["out_of_time"] is True
    assert shown.duel.counts.judged == shown.report.counts.judged == shown.model.facts["split"]["test_rows"]


def test_the_demo_scores_who_is_due_now(shown: Demo) -> None:
    due, scores = read_table(shown.files["due"]), read_table(shown.files["scores"])
    assert due["account_id"].is_unique
    assert due["snapshot_date"].nunique() == 1
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
    assert set(report) == {"report", "duel", "summary", "true_weights", "files", "facts"}


def test_the_text_begins_with_a_verdict_and_fits_a_terminal(shown: Demo) -> None:
    text = demo_text(shown)
    assert text.startswith("Verdict\n=======\n- Learned from ")
    lines = [line for line in text.splitlines() if str(Path(shown.files["model"]).parent) not in line]
    assert max(map(len, lines)) <= 100
    for word in ("By hand", "Ranking:", "Probabilities:", "Truth", "value at risk", "Due now:"):
        assert word in text


def test_a_written_portfolio_comes_with_a_recipe_that_reads_it(tmp_path: Path) -> None:
    portfolio = simulate(accounts=40, months=6, seed=1)
    files = write_portfolio(portfolio, tmp_path / "new" / "folder")
    assert set(files) == {"customers", "accounts", "renewals", "recipe"}
    assert tomllib.loads(files["recipe"].read_text(encoding="utf-8")) == portfolio.recipe
    assert load_recipe(files["recipe"]).data_path == files["customers"]
    assert len(read_table(files["customers"])) == len(portfolio.customers)


def test_due_now_is_the_newest_day() -> None:
    portfolio = small_portfolio()
    due = due_now(portfolio)
    assert set(due["snapshot_date"]) == {portfolio.data_cut}
    assert due["account_id"].is_unique


def test_the_card_by_hand_scores_the_portfolio(root: Path) -> None:
    card = handcrafted_card()
    assert (
        card.to_toml()
        == type(card).from_toml((root / "models/scorecards/cs_team.toml").read_text()).to_toml()
    )
    scores = card.score(small_portfolio().customers)
    assert scores["health_score"].between(0, 100).all()
