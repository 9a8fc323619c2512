"""Bodies: a person and drugs, put together into a model."""

from twinjax.bodies.abundance import MEASURED, Abundance
from twinjax.bodies.build import body
from twinjax.bodies.context import DRUGS, WHOLE_BODY
from twinjax.bodies.ill import cirrhotic, expecting
from twinjax.bodies.refine import meal, segmented, with_bile, zoned
from twinjax.bodies.substance import Substance

__all__ = [
    "DRUGS",
    "MEASURED",
    "WHOLE_BODY",
    "Abundance",
    "Substance",
    "body",
    "cirrhotic",
    "expecting",
    "meal",
    "segmented",
    "with_bile",
    "zoned",
]
