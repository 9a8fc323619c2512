"""Physiology: what is known of a person's body from age, sex, height and weight, whatever drug is given.

Left out for want of an open source of numbers: organ masses by ethnicity (heights and weights differ, by
`ethnicity`), children's heights by ethnicity, and what pregnancy does to binding and enzymes.
"""

from twinjax.physiology.anatomy import PORTAL, Anatomy, anatomy, haematocrit
from twinjax.physiology.ethnicity import ETHNICITIES
from twinjax.physiology.intestine import Gut, gut
from twinjax.physiology.kidney import STAGES, estimated, filtration, impaired
from twinjax.physiology.liver import CHILD_PUGH, HepaticImpairment, cirrhosis
from twinjax.physiology.people import People, people
from twinjax.physiology.person import Person, person
from twinjax.physiology.pregnancy import Pregnancy, pregnancy, pregnant
from twinjax.physiology.proteins import ONTOGENY, albumin, hepatocytes, maturity, microsomal_protein, unbound

__all__ = [
    "CHILD_PUGH",
    "ETHNICITIES",
    "ONTOGENY",
    "PORTAL",
    "STAGES",
    "Anatomy",
    "Gut",
    "HepaticImpairment",
    "People",
    "Person",
    "Pregnancy",
    "albumin",
    "anatomy",
    "cirrhosis",
    "estimated",
    "filtration",
    "gut",
    "haematocrit",
    "hepatocytes",
    "impaired",
    "maturity",
    "microsomal_protein",
    "people",
    "person",
    "pregnancy",
    "pregnant",
    "unbound",
]
