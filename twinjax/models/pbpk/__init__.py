"""A whole body with any number of drugs in it, whose organs' enzymes are disturbed by all of them."""

from twinjax.models.pbpk.bile import Bile
from twinjax.models.pbpk.body import WholeBody
from twinjax.models.pbpk.enzymes import Enzymes
from twinjax.models.pbpk.flow import AbstractGut, AbstractOrgan, Flow, merge
from twinjax.models.pbpk.intestine import Intestine
from twinjax.models.pbpk.liver import ZONES, Liver, PermeableLiver, ZonedLiver
from twinjax.models.pbpk.segments import SEGMENTS, SegmentedIntestine
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
    "SEGMENTS",
    "ZONES",
    "AbsorbingTissue",
    "AbstractGut",
    "AbstractKinetics",
    "AbstractOrgan",
    "Bile",
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
    "SegmentedIntestine",
    "Solute",
    "Tissue",
    "WholeBody",
    "ZonedLiver",
    "merge",
]
