"""How every command speaks: results on stdout, progress and errors on stderr, JSON alone where it was asked for."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Machine-readable result on stdout, and nothing else there.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

USER_ERROR, INTERRUPTED = 2, 130
"""Exit statuses: what was asked cannot be done; Ctrl-C. (1: `validate` found errors.)"""


def friendly(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose errors are sentences, with exit status 2; ``--debug`` raises them."""

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        try:
            command(*args, **options)
        except (ValueError, RuntimeError, OSError, ArithmeticError) as error:
            if options.get("debug") or isinstance(error, typer.Exit | typer.Abort):
                raise
            said = _sentence(error)
            stderr().print(f"error: {said}", style="red", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(USER_ERROR) from None

    return run


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename}"
    return str(error) or type(error).__name__


def stdout() -> Any:
    """The console of results."""
    from rich.console import Console

    console = Console()
    return console if console.is_terminal else Console(width=120)  # a pipe or a file has no width of its own


def stderr() -> Any:
    """The console of progress and errors."""
    from rich.console import Console

    return Console(stderr=True)


def print_json(value: Any) -> None:
    """JSON on stdout; numbers that are not finite become null."""
    from twinjax.runs import plain

    typer.echo(json.dumps(plain(value), indent=1))


def show_table(rows: Iterable[Iterable[Any]], columns: Iterable[str], title: str | None = None) -> None:
    """A table: numbers to the right, text to the left; a cell that is None, nan or empty is blank."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    body = [[cell(v) for v in row] for row in rows]
    given = [list(row) for row in zip(*body, strict=True)] if body else []
    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for i, name in enumerate(columns):
        numeric = bool(given) and any(given[i]) and all(not c or _is_number(c) for c in given[i])
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric or i == 0)
    for row in body:
        table.add_row(*(Text(c) for c in row))
    stdout().print(table)


def cell(value: Any) -> str:
    """A value as a table shows it: numbers to four digits."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def say(*lines: str) -> None:
    """Sentences on stdout, as they are."""
    for line in lines:
        stdout().print(line, markup=False, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """``42 s``, ``3 min 10 s``, ``2 h 5 min``; a question mark where it is not known."""
    if not math.isfinite(seconds):
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def short(folder: Path) -> str:
    """A path as seen from here."""
    here = Path.cwd()
    return str(folder.relative_to(here)) if folder.is_relative_to(here) else str(folder)


def assignments(given: Iterable[str], option: str) -> dict[str, str]:
    """``NAME=VALUE`` options as a table.

    **Raises** `ValueError` for one without an equals sign.
    """
    found = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise ValueError(f"{option} {one!r}: write NAME=VALUE, such as {option} cl=2.8")
        found[name.strip()] = value.strip()
    return found


def numbers(given: Iterable[str], option: str) -> dict[str, float]:
    """``NAME=NUMBER`` options as a table.

    **Raises** `ValueError` for one that has no number.
    """
    found = {}
    for name, value in assignments(given, option).items():
        try:
            found[name] = float(value)
        except ValueError:
            raise ValueError(f"{option} {name}={value}: {value!r} is not a number") from None
    return found
