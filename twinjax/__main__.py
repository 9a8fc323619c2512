"""`python -m twinjax` is `twinjax`."""

from twinjax.cli import app

app(prog_name="twinjax")
