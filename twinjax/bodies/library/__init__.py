"""Drugs with published parameters, ready for a body: one file a drug.

Doses are of the base. How much of it a salt holds stands with the drug: ``HYDROCHLORIDE`` in
``twinjax.bodies.library.verapamil`` (half of which is each enantiomer), ``MALEATE`` in
``twinjax.bodies.library.fluvoxamine``.
"""

from twinjax.bodies.library.carbamazepine import carbamazepine
from twinjax.bodies.library.cimetidine import cimetidine
from twinjax.bodies.library.clarithromycin import clarithromycin
from twinjax.bodies.library.efavirenz import efavirenz
from twinjax.bodies.library.erythromycin import erythromycin
from twinjax.bodies.library.fluconazole import fluconazole
from twinjax.bodies.library.fluvoxamine import fluvoxamine
from twinjax.bodies.library.itraconazole import ITRACONAZOLE, itraconazole
from twinjax.bodies.library.midazolam import midazolam
from twinjax.bodies.library.rifampicin import rifampicin
from twinjax.bodies.library.verapamil import VERAPAMIL, verapamil

__all__ = [
    "ITRACONAZOLE",
    "VERAPAMIL",
    "carbamazepine",
    "cimetidine",
    "clarithromycin",
    "efavirenz",
    "erythromycin",
    "fluconazole",
    "fluvoxamine",
    "itraconazole",
    "midazolam",
    "rifampicin",
    "verapamil",
]
