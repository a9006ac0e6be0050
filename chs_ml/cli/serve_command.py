"""The command ``serve``."""

from pathlib import Path

import typer

from chs_ml.cli.data_commands import JSON
from chs_ml.cli.running import as_json, remark, say


def serve(
    model: Path = typer.Argument(help="Saved model, or models:/NAME@ALIAS."),
    host: str = typer.Option("127.0.0.1", help="Address; there is no authentication, so keep it private."),
    port: int = typer.Option(8000, min=0, max=65535),
    max_rows: int = typer.Option(10_000, min=1, help="Accounts per request."),
    max_megabytes: int = typer.Option(8, min=1, help="Size of a request."),
    describe: bool = typer.Option(False, "--describe", help="Print the OpenAPI document and leave."),
    json: bool = JSON,
) -> None:
    """Serve scores and explanations over HTTP: /score, /explain, /model, /health and /docs."""
    from chs_ml.bundle import fingerprint_of, load_model
    from chs_ml.errors import InputError

    try:
        from chs_ml import service
    except ImportError as error:
        raise InputError("`serve` needs the extra `serve`: pip install 'chs-ml[serve]'.") from error
    limits = service.Limits(rows=max_rows, body_bytes=max_megabytes * 1024 * 1024)
    loaded = load_model(model)
    app = service.create_app(loaded, version=fingerprint_of(model), limits=limits)
    if describe or json:
        say(as_json(app.openapi()))
        return
    if loaded.trees is not None:
        loaded.trees.prepare(tables=True)  # or the first explanation would keep all others waiting
    remark(f"Serving {model} at http://{host}:{port} (documentation: /docs). Stop with Ctrl+C.")
    service.serve(app, host=host, port=port)
