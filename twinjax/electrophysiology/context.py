"""What the CiPA pipeline may be asked, and why to believe it: a context of use in the sense of ASME V&V 40."""

from __future__ import annotations

import numpy as np

from twinjax.context import ContextOfUse

CIPA = ContextOfUse(
    question="Does this drug carry a low, an intermediate or a high risk of torsade de pointes in adults at "
    "therapeutic concentrations, so far as its block of seven cardiac currents tells?",
    use="One ventricular cell under 1 to 4 times the free therapeutic maximum, paced to a steady rhythm; its net "
    "charge, averaged over the four, is the torsade metric score, and an ordinal logistic regression on 28 drugs gives "
    "the class. "
    "It supports, with other non-clinical and clinical evidence, an integrated assessment under ICH E14/S7B.",
    risk="A class that is too low may expose patients to arrhythmia, one that is too high may stop a useful drug. The "
    "model is one of several lines of evidence: its influence is medium, the consequence of a wrong decision high.",
    verification="Rates of the hERG channel equal those of the FDA's compiled code to ten digits; units "
    "close; scores of the 12 training drugs equal those of the FDA's code, solved by another method, to 1e-4.",
    validation="The FDA's own code on 12 training drugs, manual patch clamp of 2020: net charge within 0.5 % and APD90 "
    "within 2 ms on every dose; 11 of the 12 in the class that clinicians gave them (sotalol comes out intermediate). "
    "The 16 other drugs are classed by the same tables without a clinical class here to compare with.",
    applicability="Drugs whose effect runs through direct block of these currents, measured at 37 degrees by the "
    "panel that the regression was made for (manual patch clamp; automated platforms need coefficients of their own). "
    "Not: metabolites that were not measured, trafficking, disturbed electrolytes, heart failure, congenital long QT, "
    "autonomic or hormonal effects, children; the score ranks drugs and is no probability for one patient.",
    ranges={"cycle_length_ms": (2000.0, 2000.0), "multiples_of_cmax": (0.0, 25.0), "beats": (1000.0, np.inf)},
)
"""Of `cipa`. The FDA compared doses up to 25 times the free therapeutic maximum."""
