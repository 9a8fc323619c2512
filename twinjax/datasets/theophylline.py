"""Theophylline after one oral dose: the data on which population models of one compartment are tried first.

Twelve subjects, 132 serum concentrations (eleven each, the first at the time of the dose, not always zero), measured by
R. Upton; published by Boeckmann, Sheiner & Beal, NONMEM Users Guide Part V (1994), and since then everywhere
(``Theoph`` in R, ``THEOPP`` in NONMEM). The doses are those per kg of body weight times the weight, unrounded.
"""

from __future__ import annotations

from importlib import resources

from twinjax.io import read_nonmem
from twinjax.population.subject import TrialData


def theophylline() -> TrialData:
    """The theophylline data: 12 subjects, a dose each into state 1, 132 observations of output 1; covariate `WT`.

    Times in h, doses in mg, concentrations in mg/L, weight in kg.
    **Reference**: Boeckmann, Sheiner & Beal 1994, NONMEM Users Guide Part V.
    """
    with resources.as_file(resources.files("twinjax.datasets") / "theophylline.csv") as path:
        return read_nonmem(path, name="theophylline")
