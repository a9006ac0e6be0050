"""Scoring files: every row, in order, the same numbers as the whole table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from chs_ml.batch import score_file
from chs_ml.errors import InputError, TableError
from chs_ml.explanation import explain
from chs_ml.files import part_of
from chs_ml.health_model import HealthModel
from chs_ml.table import iter_table, read_table, write_table
from tests.small_model import customers, small_model


@pytest.fixture(scope="module")
def model() -> HealthModel:
    return small_model()


def hostile() -> pd.DataFrame:
    """Customers with what production brings: extra columns, other order, new categories, infinities, gaps."""
    frame = customers().drop(columns="outcome")
    frame = frame[frame.columns[::-1]].assign(extra="x")
    frame.loc[2, "contract_term"] = "daily"
    frame["usage_days"] = frame["usage_days"].astype("float64")
    frame.loc[3, "usage_days"] = np.inf
    frame["tickets_open"] = frame["tickets_open"].astype("Int64")
    frame.loc[4, "tickets_open"] = pd.NA
    frame.loc[7, "name"] = 'a "quoted", name'
    frame.loc[8, "account_id"] = frame.loc[9, "account_id"]
    return frame


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
@pytest.mark.parametrize("rows", [100, 5000])
def test_a_file_gets_the_numbers_of_the_whole_table(
    model: HealthModel, tmp_path: Path, ending: str, rows: int
) -> None:
    source, target = tmp_path / f"in.{ending}", tmp_path / "out.parquet"
    write_table(hostile(), source)
    score_file(model, source, target, rows=rows)
    expected = model.score(read_table(source)).astype({"tier": "str"})
    pd.testing.assert_frame_equal(read_table(target), expected, check_exact=True, check_dtype=False)


def test_the_text_of_a_csv_is_carried_untouched(model: HealthModel, tmp_path: Path) -> None:
    frame = hostile().astype({"renewal_date": "str"})
    frame.loc[0, "owner"] = " 007 "
    frame.loc[1, "owner"] = "1.50"
    write_table(frame, tmp_path / "in.csv")
    score_file(model, tmp_path / "in.csv", tmp_path / "out.csv", rows=50)
    before, after = read_table(tmp_path / "in.csv"), read_table(tmp_path / "out.csv")
    for name in ("account_id", "name", "owner", "renewal_date"):
        pd.testing.assert_series_equal(before[name], after[name])


def test_statuses_are_per_row_and_counted(model: HealthModel, tmp_path: Path) -> None:
    write_table(hostile(), tmp_path / "in.parquet")
    summary = score_file(model, tmp_path / "in.parquet", tmp_path / "out.csv")
    written = read_table(tmp_path / "out.csv")
    assert written.loc[3, "status"] == "invalid"
    assert pd.isna(written.loc[3, "health_score"])
    assert written.loc[[2, 4], "status"].to_list() == ["degraded", "degraded"]
    assert summary.statuses == {
        **dict.fromkeys(summary.statuses, 0),
        **written["status"].value_counts().to_dict(),
    }


def test_bytes_do_not_depend_on_the_chunks(model: HealthModel, tmp_path: Path) -> None:
    write_table(hostile(), tmp_path / "in.csv")
    told = [
        score_file(model, tmp_path / "in.csv", tmp_path / f"{rows}.csv", rows=rows, reasons=2)
        for rows in (97, 5000)
    ]
    assert (tmp_path / "97.csv").read_bytes() == (tmp_path / "5000.csv").read_bytes()
    assert told[0].to_dict() == told[1].to_dict()


def test_reasons_are_columns(model: HealthModel, tmp_path: Path) -> None:
    write_table(customers().head(40), tmp_path / "in.csv")
    score_file(model, tmp_path / "in.csv", tmp_path / "out.csv", reasons=2, rows=11)
    written = read_table(tmp_path / "out.csv")
    expected = explain(model, read_table(tmp_path / "in.csv")).reasons(2, side="against")
    for i, reasons in enumerate(expected):
        found = [reason for reason in written.loc[i, ["reason_1", "reason_2"]] if not pd.isna(reason)]
        assert found == reasons


def test_the_top_are_told_with_owner_and_reasons(model: HealthModel, tmp_path: Path) -> None:
    write_table(customers(), tmp_path / "in.csv")
    summary = score_file(model, tmp_path / "in.csv", tmp_path / "out.csv", rows=100)
    table = customers().join(model.score(customers())[["churn_probability", "health_score"]])
    last = table.sort_values("snapshot_date", kind="stable").groupby("account_id").tail(1)
    at_risk = (last["churn_probability"] * last["arr"]).sort_values(ascending=False).head(20)
    rows = table.loc[at_risk.index]
    assert [one.account for one in summary.top] == rows["account_id"].to_list()
    assert [one.kept["owner"] for one in summary.top] == rows["owner"].to_list()
    assert [one.value_at_risk for one in summary.top] == pytest.approx(at_risk.to_list())
    assert [one.snapshot_date for one in summary.top] == rows["snapshot_date"].dt.strftime(
        "%Y-%m-%d"
    ).to_list()
    reasons = explain(model, rows).reasons(3, side="against")
    assert [list(one.reasons) for one in summary.top] == reasons.to_list()


def test_a_file_may_be_scored_onto_itself(model: HealthModel, tmp_path: Path) -> None:
    write_table(customers(), tmp_path / "in.csv")
    expected = score_file(model, tmp_path / "in.csv", tmp_path / "out.csv")
    again = score_file(model, tmp_path / "in.csv", tmp_path / "in.csv")
    assert again.to_dict() == expected.to_dict()
    assert (tmp_path / "in.csv").read_bytes() == (tmp_path / "out.csv").read_bytes()


def test_progress_counts_rows(model: HealthModel, tmp_path: Path) -> None:
    write_table(customers().head(25), tmp_path / "in.csv")
    seen: list[int] = []
    score_file(model, tmp_path / "in.csv", tmp_path / "out.csv", rows=10, progress=seen.append)
    assert seen == [10, 20, 25]


def test_only_one_chunk_is_held(model: HealthModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_table(customers(), tmp_path / "in.parquet")
    largest: list[int] = []

    def watched(path: Path, *, rows: int) -> object:
        for frame in iter_table(path, rows=rows):
            largest.append(len(frame))
            yield frame

    monkeypatch.setattr("chs_ml.batch.iter_table", watched)
    score_file(model, tmp_path / "in.parquet", tmp_path / "out.parquet", rows=64)
    assert max(largest) == 64


def test_what_cannot_be_scored_leaves_no_file(model: HealthModel, tmp_path: Path) -> None:
    write_table(customers().drop(columns="usage_days"), tmp_path / "in.csv")
    with pytest.raises(TableError, match="usage_days"):
        score_file(model, tmp_path / "in.csv", tmp_path / "out.csv")
    with pytest.raises(TableError, match="does not exist"):
        score_file(model, tmp_path / "nothing.csv", tmp_path / "out.csv")
    with pytest.raises(TableError, match="there is no folder"):
        score_file(model, tmp_path / "in.csv", tmp_path / "nowhere" / "out.csv")
    with pytest.raises(InputError, match="must not be negative"):
        score_file(model, tmp_path / "in.csv", tmp_path / "out.csv", reasons=-1)
    assert {path.name for path in tmp_path.iterdir()} == {"in.csv"}


def test_what_a_killed_run_was_writing_is_removed(model: HealthModel, tmp_path: Path) -> None:
    write_table(customers().head(5), tmp_path / "in.csv")
    left = part_of(tmp_path / "out.csv")
    left.write_text("account_id,health_sc")
    score_file(model, tmp_path / "in.csv", tmp_path / "out.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_reasons_only_below_a_tier(model: HealthModel, tmp_path: Path) -> None:
    write_table(hostile(), tmp_path / "in.parquet")
    score_file(model, tmp_path / "in.parquet", tmp_path / "all.parquet", reasons=2)
    score_file(model, tmp_path / "in.parquet", tmp_path / "some.parquet", reasons=2, below="Healthy", rows=90)
    everyone, some = read_table(tmp_path / "all.parquet"), read_table(tmp_path / "some.parquet")
    worse = everyone["tier"].isin(["At-Risk", "Critical"])
    assert 0 < worse.sum() < len(everyone)
    for name in ("reason_1", "reason_2"):
        pd.testing.assert_series_equal(some[name], everyone[name].where(worse, None))
    pd.testing.assert_frame_equal(some.iloc[:, :-2], everyone.iloc[:, :-2])
    with pytest.raises(InputError, match="'Healthy', 'At-Risk', 'Critical'; got 'Fine'"):
        score_file(model, tmp_path / "in.parquet", tmp_path / "x.parquet", reasons=1, below="Fine")
