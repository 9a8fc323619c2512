"""A page for one patient's twin, served to a browser: it foresees and compares, and changes nothing in the ward."""

from twinjax.page.desk import Desk
from twinjax.page.gate import Gate
from twinjax.page.server import Page, serve

__all__ = ["Desk", "Gate", "Page", "serve"]
