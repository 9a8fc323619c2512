"""Physiology: what is known of a person's body from age, sex, height and weight, whatever drug is given."""

from twinjax.physiology.anatomy import PORTAL, Anatomy, anatomy, haematocrit
from twinjax.physiology.intestine import Gut, gut
from twinjax.physiology.kidney import STAGES, estimated, filtration, impaired
from twinjax.physiology.people import People, people
from twinjax.physiology.person import Person, person
from twinjax.physiology.proteins import ONTOGENY, albumin, hepatocytes, maturity, microsomal_protein, unbound

__all__ = [
    "ONTOGENY",
    "PORTAL",
    "STAGES",
    "Anatomy",
    "Gut",
    "People",
    "Person",
    "albumin",
    "anatomy",
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
    "unbound",
]
