"""The command line: arguments in, tables out. What they ask for is done elsewhere; heavy imports wait until needed."""

from __future__ import annotations

from typing import Annotated

import typer

from twinjax.cli.brain import brain
from twinjax.cli.cipa import cipa
from twinjax.cli.clones import clones
from twinjax.cli.cohort import cohort
from twinjax.cli.compare import compare
from twinjax.cli.fit import fit
from twinjax.cli.models import models
from twinjax.cli.report import report
from twinjax.cli.simulate import simulate
from twinjax.cli.twin import twin
from twinjax.cli.validate import validate

app = typer.Typer(
    name="twinjax",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (validate, fit, simulate, cohort, report, compare, clones, brain, cipa, models):
    app.command(no_args_is_help=command is not models)(command)

app.add_typer(twin, name="twin")


def _version(asked: bool) -> None:
    if asked:
        import twinjax

        typer.echo(f"twinjax {twinjax.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Differentiable, GPU-ready pharmacometrics.

    A first fit, on data that ship with twinjax: `twinjax fit theophylline`

    What compiles once is kept in a cache folder; TWINJAX_CACHE=off keeps nothing, TWINJAX_CACHE=FOLDER keeps it there.
    """


__all__ = ["app"]
