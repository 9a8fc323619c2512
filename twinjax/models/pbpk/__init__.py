"""A whole body with any number of drugs in it, whose organs' enzymes are disturbed by all of them."""

from twinjax.models.pbpk.body import WholeBody
from twinjax.models.pbpk.enzymes import Enzymes
from twinjax.models.pbpk.flow import AbstractOrgan, Flow, merge
from twinjax.models.pbpk.intestine import Intestine
from twinjax.models.pbpk.liver import Liver, PermeableLiver
from twinjax.models.pbpk.solute import (
    AbstractKinetics,
    Inactivation,
    Induction,
    LinearKinetics,
    MichaelisMenten,
    Solute,
)
from twinjax.models.pbpk.tissue import AbsorbingTissue, Kidney, PermeableTissue, Tissue

__all__ = [
    "AbsorbingTissue",
    "AbstractKinetics",
    "AbstractOrgan",
    "Enzymes",
    "Flow",
    "Inactivation",
    "Induction",
    "Intestine",
    "Kidney",
    "LinearKinetics",
    "Liver",
    "MichaelisMenten",
    "PermeableLiver",
    "PermeableTissue",
    "Solute",
    "Tissue",
    "WholeBody",
    "merge",
]
