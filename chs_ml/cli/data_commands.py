"""Commands about data: ``simulate`` and ``check``."""

from pathlib import Path

import typer

from chs_ml.cli.running import as_json, say

JSON = typer.Option(False, "--json", help="Print JSON on stdout, and nothing else.")
DATA = typer.Option(None, "--data", help="Use this table instead of the recipe's.")


def simulate(
    out: Path = typer.Argument(help="Folder to write to; made where it is absent."),
    accounts: int = typer.Option(2000, help="Accounts."),
    months: int = typer.Option(24, help="Monthly snapshots."),
    seed: int = typer.Option(0, help="Same seed, same portfolio."),
    json: bool = JSON,
) -> None:
    """Simulate the portfolio of a B2B SaaS company: tables, and a recipe that trains on them."""
    from chs_ml.demo import write_portfolio
    from chs_ml.synthetic import simulate as simulated

    portfolio = simulated(accounts=accounts, months=months, seed=seed)
    files = write_portfolio(portfolio, out)
    if json:
        written = {name: str(path) for name, path in files.items()}
        say(as_json({"rows": len(portfolio.customers), "files": written}))
        return
    rows = f"{len(portfolio.customers):,} snapshots of {accounts:,} accounts"
    say(f"{rows}, known until {portfolio.data_cut.date()}.")
    say("\n".join(f"  {path}" for path in files.values()))
    say(f"Next: chs-ml train {files['recipe']} --out {out / 'model'}")


def check(
    recipe: Path = typer.Argument(help="Recipe (TOML)."),
    data: Path | None = DATA,
    strict: bool = typer.Option(False, "--strict", help="Fail on warnings too."),
    json: bool = JSON,
) -> None:
    """Check a table before training: outcomes, keys, leaks, unusable columns.

    Exit code 1 where a check fails.
    """
    from chs_ml.dataset import check_dataset
    from chs_ml.recipe import load_recipe

    spec = load_recipe(recipe)
    findings = check_dataset(spec if data is None else spec.with_data(data))
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = sum(finding.severity == "warning" for finding in findings)
    failed = bool(errors or (strict and warnings))
    if json:
        say(
            as_json(
                {"passed": not failed, "errors": errors, "warnings": warnings, "findings": list(findings)}
            )
        )
    else:
        from chs_ml.cli.texts import findings_text

        say(findings_text(findings))
    raise typer.Exit(int(failed))
