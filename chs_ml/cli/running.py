"""What all commands share: errors to messages and exit codes, output, progress."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from chs_ml.errors import ChsError

Progress = Callable[[str, int, int], None]

BAD_INPUT, INTERRUPTED = 2, 130


class Commands(TyperGroup):
    """The commands, with errors that the caller can do something about turned into one message."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except ChsError as error:
            fail(str(error), error.exit_code)
        except KeyboardInterrupt:
            fail("Interrupted.", INTERRUPTED)
        except BrokenPipeError:
            _leave_quietly()
        except OSError as error:
            where = "" if error.filename is None else f"{error.filename}: "
            fail(f"{where}{error.strerror or error}.", BAD_INPUT)
        return result


def fail(message: str, code: int) -> NoReturn:
    """Say what went wrong, on stderr, and leave."""
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(code)


def _leave_quietly() -> NoReturn:
    """Whoever read our output has left (``chs-ml ... | head``): nothing is wrong, and nobody listens."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())  # or Python complains when it flushes at the end
    raise typer.Exit(0)


def say(text: str) -> None:
    """Print a result on stdout."""
    typer.echo(text)


def remark(text: str) -> None:
    """Print what is no result on stderr."""
    typer.echo(text, err=True)


def as_json(value: Any) -> str:
    """JSON of plain values and of our frozen objects; NaN as null."""
    from chs_ml.validation.plain import to_plain

    return json.dumps(to_plain(value), indent=2, ensure_ascii=False, allow_nan=False)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Show bars on stderr where it is a terminal; else show nothing."""
    if not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                for earlier in tasks.values():
                    bars.update(earlier, visible=False)
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield show
