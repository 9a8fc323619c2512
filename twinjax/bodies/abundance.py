"""How much of each enzyme and transporter liver and gut hold, and how quickly it is replaced."""

from __future__ import annotations

import math

import equinox as eqx

from twinjax.units import MolarConcentration, Rate

LIVER_CELLS = 0.874
"""Volume of hepatocytes (L) per kg of blood-free liver: 66.7 % of PK-Sim's liver of 2.36 L, of 1.8 kg of tissue."""

LIVER_REST = 0.436
"""Volume of blood and interstitium of the liver (L) per kg of its tissue, likewise."""

ENTEROCYTES = 0.117
"""Volume of enterocytes (L) per kg of small intestine: 0.076 L in PK-Sim's mucosa of 0.143 L."""


class Abundance(eqx.Module):
    """Proteins by name.

    **Parameters**: `liver`, `gut`, concentration in hepatocytes and enterocytes (umol/L); `uptake`, transporters into
    hepatocytes; `liver_kdeg`, `gut_kdeg`, turnover (1/h).
    """

    liver: dict[str, MolarConcentration]
    gut: dict[str, MolarConcentration]
    uptake: dict[str, MolarConcentration]
    liver_kdeg: dict[str, Rate]
    gut_kdeg: dict[str, Rate]


_LIVER, _GUT = math.log(2.0) / 36.0, math.log(2.0) / 23.0

MEASURED = Abundance(
    liver={
        "CYP1A2": 1.8,
        "CYP2A6": 2.72,
        "CYP2B6": 1.56,
        "CYP2D6": 0.4,
        "CYP3A4": 4.32,
        "CYP3A5": 0.04,
        "UGT1A4": 2.32,
        "UGT2B7": 3.372,
        "AADAC": 1.0,
    },
    gut={"CYP3A4": 0.0705 / (ENTEROCYTES * 0.65), "AADAC": 0.2545},
    uptake={"OATP1B1": 1.0},
    liver_kdeg={"CYP2B6": math.log(2.0) / 32.0, "CYP3A4": _LIVER, "AADAC": _LIVER, "OATP1B1": _LIVER},
    gut_kdeg={"CYP3A4": _GUT, "AADAC": _GUT},
)
"""CYPs of the liver Rodrigues 1999, Biochem Pharmacol 57:465, doi:10.1016/S0006-2952(98)00268-8 (CYP3A4 108 pmol/mg at
40 mg/g); CYP3A4 of the gut 70.5 nmol in all (Paine et al. 1997, J Pharmacol Exp Ther 283:1552), in the enterocytes of
0.65 kg of small intestine; UGT1A4 58 pmol/mg (Achour et al. 2014); UGT2B7 as the published model of carbamazepine has
it, in which its turnover number was identified (82.9 pmol/mg, which it cites from Achour, would be 3.316); AADAC and
OATP1B1 of unknown abundance count as 1 umol/L, in which their published turnover numbers are. Half-lives of 36 h in
liver (Obach et al. 2007; CYP2B6 32 h) and 23 h in gut (Greenblatt et al. 2003). All but Paine's as listed with the Open
Systems Pharmacology models."""
