"""Bodies: a person and drugs, put together into a model."""

from twinjax.bodies.abundance import MEASURED, Abundance
from twinjax.bodies.build import body
from twinjax.bodies.substance import Substance

__all__ = ["MEASURED", "Abundance", "Substance", "body"]
