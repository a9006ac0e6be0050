"""Several cards, the resolver and its ties; parents."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chs_ml.errors import ScorecardError, TableError
from chs_ml.scorecard import CardBook, Condition, Entry, Scorecard, load_book, load_scorecard, parent_scores
from tests.scorecard.cards import NAN, straight

CARDS = Path(__file__).resolve().parents[2] / "models" / "scorecards"


def plain(name: str, weight: float) -> Scorecard:
    return Scorecard(name=name, measures=(straight("a", weight), straight("b", 1.0)))


def book(ties: str = "first") -> CardBook:
    return CardBook(
        name="book",
        ties=ties,  # type: ignore[arg-type]
        entries=(
            Entry(card=plain("young", 3.0), when=(Condition(column="age", below=90.0),)),
            Entry(card=plain("default", 1.0)),
            Entry(
                card=plain("big", 0.0),
                when=(
                    Condition(column="segment", among=("Enterprise", "1")),
                    Condition(column="age", at_least=10.0),
                ),
            ),
        ),
    )


FRAME = pd.DataFrame(
    {
        "a": 100.0, "b": 20.0,
        "age": [5.0, 89.9999, 90.0, 50.0, NAN, 400.0],
        "segment": ["SMB", "SMB", "SMB", "Enterprise", "Enterprise", 1],
    },
    index=list("uvwxyz"),
)  # fmt: skip


def test_each_row_is_scored_by_its_own_card_and_ties_go_to_the_first_or_last() -> None:
    # young: (3 * 100 + 20) / 4 = 80;  default: 60;  big: 20.
    # x fits young and big; y has no age and fits neither
    table = book().score(FRAME)
    assert table["card"].tolist() == ["young", "young", "default", "young", "default", "big"]
    np.testing.assert_allclose(table["health_score"], [80, 80, 60, 80, 60, 20], atol=1e-9)
    assert table.index.tolist() == list("uvwxyz")
    assert book("last").score(FRAME)["card"].tolist() == [
        "young",
        "young",
        "default",
        "big",
        "default",
        "big",
    ]


def test_a_row_alone_is_scored_as_among_others() -> None:
    together = book().score(FRAME)
    for name in FRAME.index:
        pd.testing.assert_frame_equal(book().score(FRAME.loc[[name]]), together.loc[[name]])


def test_books_that_cannot_be() -> None:
    with pytest.raises(ScorecardError, match="exactly one must be the default"):
        CardBook(name="b", entries=(Entry(card=plain("x", 1.0)), Entry(card=plain("y", 1.0))))
    with pytest.raises(ScorecardError, match="either labels or a range"):
        Condition(column="age")
    with pytest.raises(TableError, match=r"needs the column 'age'"):
        book().score(FRAME.drop(columns="age"))
    with pytest.raises(ScorecardError, match="ties must be"):
        book("best")


def test_the_lifecycle_book_resolves_by_age() -> None:
    lifecycle = load_book(CARDS / "lifecycle.toml")
    frame = pd.DataFrame({"age_days": ["0", "89", "90", "364", "365", "729", "730", ""]})
    names = [lifecycle.entries[i].card.name for i in lifecycle.resolve(frame)]
    assert names == ["Onboarding", "Onboarding", "First year", "First year", "Established", "Established",
    "Loyal",
                     "Established"]  # fmt: skip


def test_book_files_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text("format = 2\n[[cards]]\nwhen = {}\n", encoding="utf-8")
    with pytest.raises(ScorecardError, match="must name its file"):
        load_book(tmp_path / "b.toml")
    (tmp_path / "b.toml").write_text("format = 2\ncards = []\n", encoding="utf-8")
    with pytest.raises(ScorecardError, match="at least one"):
        load_book(tmp_path / "b.toml")


def test_a_parent_is_the_average_of_its_children_that_have_a_score() -> None:
    scores = pd.DataFrame({"health_score": [80.0, 40.0, NAN, 10.0, 70.0]})
    parents = parent_scores(scores, ["p", "p", "p", "q", None])
    assert parents.index.tolist() == ["p", "q"]
    np.testing.assert_allclose(parents["health_score"], [60.0, 10.0])
    assert parents[["children", "children_scored"]].to_numpy().tolist() == [[3, 2], [1, 1]]
    assert parents["tier"].tolist() == ["At-Risk", "Critical"]
    weighted = parent_scores(scores, ["p", "p", "p", "q", None], weight=[1, 3, 5, 1, 1])
    assert weighted["health_score"]["p"] == pytest.approx((80 + 3 * 40) / 4)
    with pytest.raises(TableError, match="one value per score"):
        parent_scores(scores, ["p"])


def test_the_order_of_children_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    scores = pd.DataFrame({"health_score": rng.uniform(0, 100, 500)})
    parents = np.array([f"p{i % 7}" for i in range(500)])
    order = rng.permutation(500)
    one = parent_scores(scores, parents)["health_score"]
    two = parent_scores(scores.iloc[order], parents[order])["health_score"]
    np.testing.assert_array_equal(one, two)


def test_every_example_card_loads_scores_and_survives_its_text() -> None:
    frame = pd.read_csv(Path(__file__).parent / "accounts.csv")
    for path in sorted(CARDS.glob("*.toml")):
        if path.name == "lifecycle.toml":
            continue
        card = load_scorecard(path)
        assert Scorecard.from_toml(card.to_toml()).to_toml() == card.to_toml(), path.name
        score = card.score(frame, as_of="2026-06-30")["health_score"]
        assert score.dropna().between(0, 100).all(), path.name
        assert score.isna().tolist() == [False, False, False, True], path.name
