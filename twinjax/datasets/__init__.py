"""Small real data that ship with the package."""

from twinjax.datasets.theophylline import theophylline

__all__ = ["theophylline"]
