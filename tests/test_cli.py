"""The command line: results on stdout, one message on stderr, and exit codes that can be relied on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w
from typer.testing import CliRunner

from chs_ml.bundle import load_model, save_model
from chs_ml.cli import app
from chs_ml.cli.running import progress_bars
from chs_ml.table import read_table, write_table
from tests.small_model import customers, small_model, small_recipe

COMMANDS = (
    "demo", "simulate", "check", "metrics", "train", "validate", "learn-weights", "judge-history",
    "compare", "certify", "tiers", "backtest", "score", "explain", "register", "promote", "rollback",
    "serve", "write-back",
)  # fmt: skip


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(*arguments: object) -> Ran:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def refused(*arguments: object) -> str:
    """Message of a command that must fail with exit code 2, one message, and nothing on stdout."""
    ran = run(*arguments)
    assert ran.code == 2, ran
    assert ran.out == ""
    assert ran.err.startswith("Error: ")
    assert "Traceback" not in ran.err
    return ran.err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the table, a recipe and a saved model."""
    write_table(customers(), tmp_path / "customers.csv")
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps(small_recipe(path="customers.csv")))
    save_model(small_model(), tmp_path / "model")
    return tmp_path


# --- help ---


def test_help_names_every_command() -> None:
    shown = run("--help")
    assert shown.code == 0
    assert all(f"  {name}" in shown.out for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    shown = run(command, "--help")
    assert shown.code == 0
    assert "--json" in shown.out


def test_version() -> None:
    assert run("--version").out.startswith("chs-ml 0.")


@pytest.mark.parametrize(
    "arguments", [["no-such"], ["train"], ["score", "a"], ["train", "r", "--threads", "0"]]
)
def test_bad_usage_is_2(arguments: list[str]) -> None:
    ran = run(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "Usage: " in ran.err


# --- simulate and check ---


def test_simulate_writes_tables_and_a_recipe(tmp_path: Path) -> None:
    ran = run("simulate", tmp_path / "new", "--accounts", 40, "--months", 6, "--seed", 1, "--json")
    assert ran.code == 0
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "customers.csv", "accounts.csv", "renewals.csv", "recipe.toml",
    }  # fmt: skip
    assert ran.json["rows"] == len(read_table(ran.json["files"]["customers"]))
    assert run("check", tmp_path / "new" / "recipe.toml").code == 0
    assert "months" in refused("simulate", tmp_path / "x", "--months", 2)


def test_check_fails_on_errors_and_when_strict_on_warnings(folder: Path) -> None:
    assert run("check", folder / "recipe.toml", "--strict").code == 0  # blanks and open outcomes are notes
    table = customers()
    table["constant"] = 1
    write_table(table, folder / "constant.csv")
    data = ("--data", folder / "constant.csv")
    assert run("check", folder / "recipe.toml", *data).code == 0
    assert run("check", folder / "recipe.toml", *data, "--strict").code == 1
    table = customers()
    table.loc[0, "account_id"] = None
    write_table(table, folder / "blank.csv")
    ran = run("check", folder / "recipe.toml", "--data", folder / "blank.csv", "--json")
    assert ran.code == 1
    assert ran.json["findings"][0]["code"] == "blank-account"
    assert ran.json["errors"] == 1
    told = run("check", folder / "recipe.toml", "--data", folder / "blank.csv")
    assert told.out.splitlines()[2].startswith("error ")


# --- train ---


def test_train_saves_reports_and_logs(folder: Path) -> None:
    place = folder / "models" / "new"
    ran = run("train", folder / "recipe.toml", "--out", place, "--threads", 1)
    assert ran.code == 0
    assert ran.err == ""
    for word in (
        "Checks",
        "Validation: ",
        "Learned weights",
        "Formula and trees",
        "u = ",
        "base_rate = ",
        str(place),
    ):
        assert word in ran.out, word
    assert max(map(len, ran.out.replace(str(folder), "").splitlines())) <= 100
    log = json.loads(place.with_name("new.run.json").read_text())
    assert log["threads"] == 1
    assert log["seconds"]["all"] > 0
    assert log["recipe"].endswith("recipe.toml")
    assert load_model(place).report is not None


def test_train_as_json_and_threads_leave_no_trace_in_the_bundle(folder: Path) -> None:
    told = [
        run("train", folder / "recipe.toml", "--out", folder / f"m{n}", "--threads", n, "--json").json
        for n in (1, 2)
    ]
    assert told[0]["fingerprint"] == told[1]["fingerprint"]
    names = [sorted(path.name for path in (folder / f"m{n}").iterdir()) for n in (1, 2)]
    assert names[0] == names[1]
    for name in names[0]:
        assert (folder / "m1" / name).read_bytes() == (folder / "m2" / name).read_bytes()
    assert told[0]["report"]["verdict"]


def test_train_replaces_a_model_and_nothing_else(folder: Path) -> None:
    before = (folder / "model" / "manifest.json").read_bytes()
    assert run("train", folder / "recipe.toml", "--out", folder / "model").code == 0
    assert (folder / "model" / "manifest.json").read_bytes() != before
    assert "holds other files" in refused("train", folder / "recipe.toml", "--out", folder)


def test_too_few_churns_are_an_honest_refusal(folder: Path) -> None:
    table = customers()
    churned = table.index[table["outcome"] == "churned"]
    write_table(table.drop(index=churned[4:]), folder / "few.csv")
    ran = run("train", folder / "recipe.toml", "--data", folder / "few.csv", "--out", folder / "few")
    assert ran.code == 1
    assert ran.err.startswith("Error: ")
    assert not (folder / "few").exists()


# --- validate and compare ---


def test_validate_a_model_on_a_table(folder: Path) -> None:
    ran = run("validate", folder / "model", folder / "customers.csv")
    assert ran.out.startswith("Validation: ")
    assert "not later than the training data" in " ".join(ran.out.split())
    ran = run("validate", folder / "model", folder / "customers.csv", "--json")
    assert ran.json["counts"]["judged"] == (customers()["outcome"] != "open").sum()
    assert ran.code == (ran.json["verdict"] in ("fail", "not enough data"))


def test_validate_later_rows_is_out_of_time(folder: Path) -> None:
    last = small_model().facts["snapshots"][1]
    later = customers()[customers()["snapshot_date"] > pd.Timestamp(last)]
    write_table(later, folder / "later.parquet")
    ran = run("validate", folder / "model", folder / "later.parquet", "--json")
    assert ran.err == ""
    assert any("Out of time" in note for note in ran.json["notes"])


@pytest.fixture
def exported(folder: Path) -> Path:
    """Scores from elsewhere, with the outcomes."""
    frame = customers()
    scores = small_model().score(frame)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "id": frame["account_id"],
            "good": scores["health_score"],
            "p": scores["churn_probability"],
            "noise": rng.uniform(0, 100, len(frame)),
            "arr": frame["arr"],
            "segment": frame["segment"],
            "left": frame["outcome"].map({"churned": "yes", "renewed": "no"}),
            "outcome": frame["outcome"],
        }
    )
    write_table(table, folder / "scores.csv")
    return folder / "scores.csv"


def test_validate_any_score_column(exported: Path) -> None:
    options = ["--scores", exported, "--outcome", "outcome", "--account", "id", "--value", "arr", "--json"]
    good = run("validate", *options, "--score", "good", "--probability", "p", "--segment", "segment")
    assert good.json["calibration"] is not None
    assert good.json["segments"]
    noise = run("validate", *options, "--score", "noise")
    assert noise.code == 1
    assert noise.json["calibration"] is None
    by_value = run(
        "validate", "--scores", exported, "--outcome", "left", "--churned", "yes", "--score", "good", "--json"
    )
    assert by_value.json["counts"]["churned"] == good.json["counts"]["churned"]


def test_compare_scores(exported: Path) -> None:
    command = ["compare", exported, "--outcome", "outcome", "--score", "noise", "--score", "good"]
    ran = run(*command, "--account", "id", "--value", "arr", "--json")
    assert ran.code == 0
    assert next(d for d in ran.json["differences"] if d["statistic"] == "auc")["verdict"] == "better"
    assert "good is better than noise" in run(*command, "--probability", "good=p").out


def test_columns_that_are_not_there_are_named(exported: Path, folder: Path) -> None:
    message = refused("validate", "--scores", exported, "--outcome", "outcme", "--score", "good")
    assert "no column 'outcme'. Did you mean 'outcome'?" in message
    assert "has no column 'health_score'" in refused("validate", "--scores", exported, "--outcome", "outcome")
    assert "at least two scores" in refused("compare", exported, "--outcome", "outcome", "--score", "good")
    for usage in (["validate"], ["validate", folder / "model"], ["validate", "--scores", exported],
                  ["compare", exported, "--outcome", "o", "--score", "a", "--probability", "p"]):  # fmt: skip
        ran = run(*usage)
        assert (ran.code, ran.out) == (2, "")
        assert "Invalid value" in ran.err


# --- score and explain ---


def test_score_writes_rows_and_sums_up(folder: Path) -> None:
    ran = run("score", folder / "model", folder / "customers.csv", folder / "out.parquet", "--reasons", 1)
    assert ran.code == 0
    assert "Value at risk" in ran.out
    assert "csm-" in ran.out
    written = read_table(folder / "out.parquet")
    assert len(written) == len(customers())
    assert written.columns[-1] == "reason_1"
    told = run("score", folder / "model", folder / "customers.csv", folder / "out.csv", "--json").json
    assert told["rows"] == len(customers())
    assert len(told["top"]) == 20


def test_explain_an_account(folder: Path) -> None:
    chosen = customers()["account_id"].iloc[-1]
    ran = run("explain", folder / "model", folder / "customers.csv", "--account", chosen, "--json")
    assert len(ran.json) == (customers()["account_id"] == chosen).sum()
    first = ran.json[0]
    assert first["account"] == chosen
    assert first["base"] + sum(first["points"].values()) == pytest.approx(first["health_score"], abs=1e-6)
    text = run("explain", folder / "model", folder / "customers.csv", "--account", chosen, "-n", 2).out
    assert text.startswith(chosen)
    assert "points" in text


def test_explain_the_first_rows(folder: Path) -> None:
    assert len(run("explain", folder / "model", folder / "customers.csv", "--json").json) == 10
    table = customers()
    table["usage_days"] = table["usage_days"].astype("float64")
    table.loc[0, "usage_days"] = np.inf
    write_table(table, folder / "inf.csv")
    assert "no score: invalid" in run("explain", folder / "model", folder / "inf.csv").out


def test_explain_nobody(folder: Path) -> None:
    message = refused("explain", folder / "model", folder / "customers.csv", "--account", "nobody")
    assert "No row of customers.csv has account_id = 'nobody'" in message
    write_table(customers().drop(columns="account_id"), folder / "anonymous.csv")
    message = refused("explain", folder / "model", folder / "anonymous.csv", "--account", "x")
    assert "needs the column 'account_id'" in message


# --- hostile input ---


def scored(folder: Path, table: pd.DataFrame, name: str = "hostile.parquet") -> pd.DataFrame:
    """Scores of a table that must be scored whatever it looks like: no row lost."""
    write_table(table, folder / name)
    ran = run("score", folder / "model", folder / name, folder / "out.parquet", "--json")
    assert (ran.code, ran.err) == (0, "")
    written = read_table(folder / "out.parquet")
    assert len(written) == len(table) == sum(ran.json["statuses"].values())
    return written


def test_shuffled_and_extra_columns_change_nothing(folder: Path) -> None:
    plain = scored(folder, customers())
    mixed = scored(folder, customers()[customers().columns[::-1]].assign(extra=1))
    pd.testing.assert_frame_equal(mixed[plain.columns], plain)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda table: table.assign(usage_days=pd.array([None] * len(table), dtype="Int64")), "degraded"),
        (lambda table: table.drop(columns="csat"), "degraded"),
        (lambda table: table.assign(contract_term="unheard of"), "degraded"),
        (lambda table: table.assign(usage_days=-np.inf), "invalid"),
        (lambda table: table.assign(usage_days="many"), "invalid"),
        (lambda table: table.assign(account_id="the same"), "ok"),
        (lambda table: table.assign(sponsor=table["sponsor"] == "yes"), "ok"),
        (lambda table: table.astype({"contract_term": "category", "usage_days": "Int64"}), "ok"),
    ],
    ids=["missing", "optional", "category", "infinite", "text", "ids", "bool", "dtypes"],
)
def test_strange_values_get_a_status(
    folder: Path, change: Callable[[pd.DataFrame], pd.DataFrame], status: str
) -> None:
    assert set(scored(folder, change(customers()))["status"]) == {status}


def test_a_missing_required_column_is_named(folder: Path) -> None:
    write_table(customers().drop(columns="usage_days").assign(usage_dys=1), folder / "in.csv")
    message = refused("score", folder / "model", folder / "in.csv", folder / "out.csv")
    assert "'usage_days'. Did you mean 'usage_dys'?" in message
    assert not (folder / "out.csv").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty file"),
        (b"account_id,usage_days\n", "a header and no rows"),
        (b"account_id;usage_days\nA1;3\n", "semicolons"),
        ("account_id,usage_days\nM\xfcller,3\n".encode("latin-1"), "UTF-8"),
        (b"account_id,usage_days\nA1,3,4\n", "fields"),
        (b"\x00\x01\x02", ""),
    ],
    ids=["empty", "header", "delimiter", "latin", "ragged", "binary"],
)
def test_files_that_are_no_tables(folder: Path, content: bytes, words: str) -> None:
    (folder / "bad.csv").write_bytes(content)
    assert words in refused("score", folder / "model", folder / "bad.csv", folder / "out.csv")
    assert words in refused("explain", folder / "model", folder / "bad.csv")
    assert words in refused("check", folder / "recipe.toml", "--data", folder / "bad.csv")
    assert not (folder / "out.csv").exists()


def test_a_cut_parquet_file(folder: Path) -> None:
    write_table(customers(), folder / "whole.parquet")
    (folder / "cut.parquet").write_bytes((folder / "whole.parquet").read_bytes()[:-100])
    message = refused("score", folder / "model", folder / "cut.parquet", folder / "out.csv")
    assert "cut short" in message


def test_damaged_models(folder: Path) -> None:
    trees = next((folder / "model").glob("trees-*"))
    trees.write_bytes(trees.read_bytes().replace(b"leaf", b"laef", 1))
    assert "was changed" in refused("score", folder / "model", folder / "customers.csv", folder / "out.csv")
    trees.write_bytes(trees.read_bytes()[:100])
    assert "bytes" in refused("validate", folder / "model", folder / "customers.csv")
    assert "does not exist" in refused("explain", folder / "nothing", folder / "customers.csv")


def test_outputs_that_cannot_be(folder: Path) -> None:
    source = folder / "customers.csv"
    assert "no folder" in refused("score", folder / "model", source, folder / "nowhere" / "out.csv")
    assert "must end in" in refused("score", folder / "model", source, folder / "out.xlsx")
    assert "customers.csv" in refused("simulate", source, "--accounts", 40, "--months", 6)
    assert "customers.csv" in refused("train", folder / "recipe.toml", "--out", source / "model")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(folder: Path) -> None:
    (folder / "locked").mkdir(mode=0o500)
    target = folder / "locked" / "out.csv"
    assert "Permission denied" in refused("score", folder / "model", folder / "customers.csv", target)


def test_recipes_that_cannot_be(folder: Path) -> None:
    assert "no such file" in refused("train", folder / "nothing.toml")
    (folder / "odd.toml").write_text("[data]\noutcme = 'x'\n")
    assert "Did you mean" in refused("check", folder / "odd.toml")


# --- real processes ---


def process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("chs-ml"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def test_a_real_process_writes_json_and_nothing_else(folder: Path) -> None:
    ran = process("score", folder / "model", folder / "customers.csv", folder / "out.csv", "--json")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["rows"] == len(customers())


@pytest.mark.slow
def test_a_real_process_says_one_line_and_leaves_with_2(folder: Path) -> None:
    (folder / "empty.csv").touch()
    ran = process("score", folder / "model", folder / "empty.csv", folder / "none.csv")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_reader_who_leaves_is_no_error(folder: Path) -> None:
    command = (
        f"{Path(sys.executable).with_name('chs-ml')} explain {folder / 'model'} {folder / 'customers.csv'}"
    )
    ran = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} --json | true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stderr == ""


@pytest.mark.slow
def test_a_terminal_without_our_signs_is_no_error(folder: Path) -> None:
    ran = process(
        "explain", folder / "model", folder / "customers.csv", env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_130_without_a_traceback(folder: Path, sent: signal.Signals) -> None:
    command = [Path(sys.executable).with_name("chs-ml"), "demo", "--out", folder / f"demo{sent}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as running:
        while not (folder / f"demo{sent}" / "raw_recipe.toml").exists():
            assert running.poll() is None
            time.sleep(0.05)
        running.send_signal(sent)
        _, said = running.communicate(timeout=60)
    assert running.returncode == 130
    assert said == "Error: Interrupted.\n"


def test_bars_are_shown_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress_bars() as show:
        show("a stage", 1, 2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress_bars() as show:
        show("a stage", 1, 2)
        show("another", 5, 0)
    assert capsys.readouterr().out == ""
