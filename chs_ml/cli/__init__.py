"""The command line. Heavy imports happen inside commands, so that help appears at once.

Exit codes: 0 fine; 1 a check or gate failed, or there is too little data to say; 2 bad usage or input,
with one message on stderr; 130 interrupted. Results go to stdout, and with ``--json`` nothing but JSON;
progress and remarks go to stderr.
"""

import signal
import sys

import typer

from chs_ml.cli.backtest_command import backtest
from chs_ml.cli.card_commands import judge_history, learn_weights, with_card
from chs_ml.cli.data_commands import check, metrics, simulate
from chs_ml.cli.demo_command import demo
from chs_ml.cli.judging_commands import compare, validate
from chs_ml.cli.registry_commands import promote, register, rollback
from chs_ml.cli.running import Commands
from chs_ml.cli.scoring_commands import explain, score
from chs_ml.cli.serve_command import serve
from chs_ml.cli.snapshot_command import snapshot
from chs_ml.cli.tier_commands import certify, tiers
from chs_ml.cli.training_command import train
from chs_ml.cli.writeback_command import write_back

app = typer.Typer(
    cls=Commands,
    help="Customer health scores learned from renewals: calibrated, explained, and tested.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    demo,
    simulate,
    snapshot,
    check,
    metrics,
    train,
    with_card(validate),
    learn_weights,
    judge_history,
    compare,
    certify,
    tiers,
    backtest,
    score,
    explain,
    register,
    promote,
    rollback,
    serve,
    write_back,
):
    app.command()(command)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Show the version and leave.")) -> None:
    if version:
        import chs_ml

        typer.echo(f"chs-ml {chs_ml.__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    # a service manager's stop cleans up as Ctrl-C does: temporary tables and half-written files go
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        # a minus sign or an accent must not end a run on a terminal that knows neither
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    app()
