"""Commands about data: ``simulate``, ``check`` and ``metrics``."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from chs_ml.cli.running import as_json, say

if TYPE_CHECKING:
    from chs_ml.synthetic import Portfolio

JSON = typer.Option(False, "--json", help="Print JSON on stdout, and nothing else.")
DATA = typer.Option(None, "--data", help="Use this table instead of the recipe's.")


def simulate(
    out: Path = typer.Argument(help="Folder to write to; made where it is absent."),
    accounts: int = typer.Option(2000, help="Accounts."),
    months: int = typer.Option(24, help="Monthly snapshots."),
    seed: int = typer.Option(0, help="Same seed, same portfolio."),
    raw: bool = typer.Option(False, "--raw", help="Raw tables (contracts, usage, tickets …) in a folder."),
    json: bool = JSON,
) -> None:
    """Simulate the portfolio of a B2B SaaS company: tables, and a recipe that trains on them."""
    from chs_ml.demo import write_portfolio
    from chs_ml.synthetic import simulate as simulated

    portfolio = simulated(accounts=accounts, months=months, seed=seed)
    files = write_portfolio(portfolio, out)
    if raw:
        files |= _write_raw(portfolio, out)
    if json:
        written = {name: str(path) for name, path in files.items()}
        say(as_json({"rows": len(portfolio.customers), "files": written}))
        return
    rows = f"{len(portfolio.customers):,} snapshots of {accounts:,} accounts"
    say(f"{rows}, known until {portfolio.data_cut.date()}.")
    say("\n".join(f"  {path}" for path in files.values()))
    say(f"Next: chs-ml train {files['raw_recipe' if raw else 'recipe']} --out {out / 'model'}")


def _write_raw(portfolio: "Portfolio", out: Path) -> dict[str, Path]:
    from chs_ml.demo import write_raw_portfolio

    files = write_raw_portfolio(portfolio, portfolio.raw_tables(), out)
    return {"raw": files["raw"], "raw_recipe": files["recipe"]}


def check(
    recipe: Path = typer.Argument(help="Recipe (TOML)."),
    data: Path | None = DATA,
    strict: bool = typer.Option(False, "--strict", help="Fail on warnings and suspected leaks too."),
    leaks: bool = typer.Option(True, help="Look for leaks through time, which takes some seconds."),
    json: bool = JSON,
) -> None:
    """Check a table before training: outcomes, keys, unusable columns, and leaks.

    Exit code 1 where a check fails.
    """
    from chs_ml.dataset import build_dataset, check_dataset
    from chs_ml.findings import has_errors
    from chs_ml.recipe import load_recipe

    spec = load_recipe(recipe)
    spec = spec if data is None else spec.with_data(data)
    findings = check_dataset(spec)
    report = None
    if leaks and not has_errors(findings):
        from chs_ml.leakage import leak_report

        report = leak_report(build_dataset(spec))
        findings = (*findings, *(found for found in report.findings if found not in findings))
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = sum(finding.severity == "warning" for finding in findings)
    failed = bool(errors or (strict and warnings))
    if json:
        found = {"passed": not failed, "errors": errors, "warnings": warnings, "findings": list(findings)}
        say(as_json(found | ({} if report is None else {"leaks": report.to_dict()})))
    else:
        from chs_ml.cli.texts import findings_text

        say(findings_text(findings))
        if report is not None:
            say(f"\n{report.to_text()}")
    raise typer.Exit(int(failed))


def metrics(
    recipe: Path = typer.Argument(help="Recipe (TOML)."),
    data: Path | None = DATA,
    chart: str | None = typer.Option(None, help="Show only this metric, as bars of churn by quantile."),
    json: bool = JSON,
) -> None:
    """Look at each metric: churn by quantile, missing values, ranking alone, correlation groups."""
    from chs_ml.dataset import build_dataset
    from chs_ml.metric_profile import metric_report
    from chs_ml.recipe import load_recipe

    spec = load_recipe(recipe)
    report = metric_report(build_dataset(spec if data is None else spec.with_data(data)))
    if json:
        say(as_json(report.to_dict()))
    else:
        say(report.to_text() if chart is None else report.chart(chart))
