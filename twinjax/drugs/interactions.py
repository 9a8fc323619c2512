"""Static models of drug interactions, as regulators ask for them: basic cut-offs and the mechanistic ratio of AUCs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from twinjax.drugs.compound import check_fraction, known
from twinjax.units import Clearance, Fraction, MolarConcentration, Number, Rate, Scalar


class Perpetrator(eqx.Module):
    """A drug that disturbs an enzyme, and how much of it there is. What a mechanism needs may be left out with it.

    **Parameters**: `cmax`, highest total plasma concentration (umol/L); `fu` in plasma; `dose` (umol); `ka` (1/h), `fa`
    absorbed, `fg` that passes the gut wall; `blood_to_plasma`; `ki`, unbound constant of reversible inhibition
    (umol/L); `kinact` (1/h) and `ki_inactivation` (umol/L) of time-dependent inhibition; `emax` (fold above 1) and
    `ec50` (umol/L) of induction, `calibration` (d) its scaling factor.
    **Raises** `ValueError` for half a mechanism, a fraction outside (0, 1] and what is not positive.
    """

    cmax: MolarConcentration
    fu: Fraction
    dose: Number
    ka: Rate = 6.0
    fa: Fraction = 1.0
    fg: Fraction = 1.0
    blood_to_plasma: Number = 1.0
    ki: MolarConcentration | None = None
    kinact: Rate | None = None
    ki_inactivation: MolarConcentration | None = None
    emax: Number | None = None
    ec50: MolarConcentration | None = None
    calibration: Number = 1.0

    def __check_init__(self) -> None:
        """Bad numbers are refused in words."""
        for name in ("fu", "fa", "fg"):
            check_fraction(name, getattr(self, name))
        for a, b in (("kinact", "ki_inactivation"), ("emax", "ec50")):
            if (getattr(self, a) is None) != (getattr(self, b) is None):
                raise ValueError(f"{a} and {b} belong together; give both or neither")
        for name in ("cmax", "dose", "ka", "blood_to_plasma", "ki", "ki_inactivation", "ec50"):
            number = known(getattr(self, name))
            if number is not None and not number > 0.0:
                raise ValueError(f"{name} is {number:g}; it must be above zero")

    def reversible(self, concentration: Scalar) -> Any:
        """I / Ki."""
        return 0.0 if self.ki is None else concentration / self.ki

    def inactivation(self, concentration: Scalar) -> Any:
        """Rate at which enzyme is lost beyond its turnover (1/h)."""
        if self.kinact is None or self.ki_inactivation is None:
            return 0.0
        return self.kinact * concentration / (self.ki_inactivation + concentration)

    def induction(self, concentration: Scalar) -> Any:
        """Synthesis of enzyme beyond its baseline, as a multiple of it."""
        if self.emax is None or self.ec50 is None:
            return 0.0
        return self.calibration * self.emax * concentration / (self.ec50 + concentration)


class CutOffs(eqx.Module):
    """Multiples of unbound Cmax that a basic model assumes, and the ratios beyond which a study follows."""

    reversible: Number
    gut: Number
    inactivation: Number
    inactivation_multiple: Number
    induction: Number
    induction_multiple: Number


FDA_2020 = CutOffs(1.02, 11.0, 1.25, 50.0, 0.8, 10.0)
"""FDA, In Vitro Drug Interaction Studies, guidance for industry, January 2020."""

ICH_M12 = CutOffs(1.02, 11.0, 1.25, 5.0, 0.8, 10.0)
"""ICH M12, Drug Interaction Studies, 2024, which the EMA adopted in place of its own guideline."""


class Basic(eqx.Module):
    """Ratios of the basic models and whether each calls for more study."""

    reversible: Any
    gut: Any
    inactivation: Any
    induction: Any
    flagged: dict[str, Any]


def basic_interaction(drug: Perpetrator, kdeg: Scalar, cutoffs: CutOffs = ICH_M12) -> Basic:
    """The basic static models of one perpetrator and one enzyme.

    .. code-block:: text

        reversible    1 + Cmax,u / Ki                      gut  1 + (dose / 0.25 L) / Ki
        inactivation  (kobs + kdeg) / kdeg                 kobs = kinact I / (KI + I), I a multiple of Cmax,u
        induction     1 / (1 + d Emax I / (EC50 + I))      I a multiple of Cmax,u

    **Parameters**: `kdeg`, turnover of the enzyme (1/h); `cutoffs`, `FDA_2020` or `ICH_M12`.
    **Reference**: the guidances named at the cut-offs.
    """
    unbound = drug.fu * drug.cmax
    found = {
        "reversible": 1.0 + drug.reversible(unbound),
        "gut": 1.0 + drug.reversible(drug.dose / 0.25),
        "inactivation": 1.0 + drug.inactivation(cutoffs.inactivation_multiple * unbound) / kdeg,
        "induction": 1.0 / (1.0 + drug.induction(cutoffs.induction_multiple * unbound)),
    }
    flagged = {n: found[n] >= getattr(cutoffs, n) for n in ("reversible", "gut", "inactivation")}
    return Basic(**found, flagged={**flagged, "induction": found["induction"] <= cutoffs.induction})


class Victim(eqx.Module):
    """A drug that an enzyme clears: `fm`, that enzyme's share of its clearance; `fg`, what passes the gut wall."""

    fm: Fraction
    fg: Fraction = 1.0

    def __check_init__(self) -> None:
        """Fractions are fractions."""
        check_fraction("fm", self.fm)
        check_fraction("fg", self.fg)


def mechanistic_interaction(
    victim: Victim, perpetrators: Sequence[Perpetrator], *, kdeg_liver: Scalar, kdeg_gut: Scalar,
    hepatic_flow: Clearance = 97.0, enterocyte_flow: Clearance = 18.0,
) -> Any:  # fmt: skip
    """Ratio of the victim's AUC with any number of perpetrators over that alone.

    .. code-block:: text

        AUCR = 1 / (E_g (1 - Fg) + Fg)  x  1 / (E_h fm + 1 - fm)
        E = (1 + sum induction) kdeg / (kdeg + sum inactivation) / (1 + sum I / Ki)        at I_g and at I_h
        I_g = fa ka dose / Q_enterocytes        I_h = fu (Cmax + fa fg ka dose / (Q_h B:P))

    **Parameters**: `kdeg_liver`, `kdeg_gut` (1/h); flows in L/h, the guidance's 1616 mL/min and 18 L/h.
    **Reference**: Fahmi et al. 2008, Drug Metab Dispos 36:1698, doi:10.1124/dmd.107.018663; FDA 2020 and ICH M12.
    """

    def activity(concentrations: list[Any], kdeg: Scalar) -> Any:
        pairs = list(zip(perpetrators, concentrations, strict=True))
        held = 1.0 + sum(p.reversible(c) for p, c in pairs)
        lost = sum(p.inactivation(c) for p, c in pairs)
        return (1.0 + sum(p.induction(c) for p, c in pairs)) * kdeg / (kdeg + lost) / held

    gut = [p.fa * p.ka * p.dose / enterocyte_flow for p in perpetrators]
    liver = [p.fu * (p.cmax + p.fa * p.fg * p.ka * p.dose / (hepatic_flow * p.blood_to_plasma)) for p in perpetrators]
    at_gut = activity(gut, kdeg_gut) * (1.0 - victim.fg) + victim.fg
    at_liver = activity(liver, kdeg_liver) * victim.fm + 1.0 - victim.fm
    return 1.0 / (at_gut * at_liver)


class Agreement(eqx.Module):
    """How predicted ratios sit beside observed ones: geometric mean fold error, and shares inside limits."""

    gmfe: float
    within_guest: int
    within_two_fold: int
    count: int


def guest_limit(observed: Any) -> Any:
    """Largest fold error allowed of a ratio: near none where the ratio is 1, two-fold where it is far from 1.

    ``(1 + 2 (R - 1)) / R``, R the observed ratio or its inverse, whichever is above 1.
    **Reference**: Guest et al. 2011, Drug Metab Dispos 39:170, doi:10.1124/dmd.110.036103 (variability delta = 1).
    """
    ratio = jnp.maximum(observed, 1.0 / jnp.asarray(observed))
    return (1.0 + 2.0 * (ratio - 1.0)) / ratio


def agreement(predicted: Any, observed: Any) -> Agreement:
    """Predicted against observed ratios of AUC or Cmax, as interaction models are judged."""
    predicted, observed = np.asarray(predicted, float), np.asarray(observed, float)
    if predicted.shape != observed.shape or not predicted.size:
        raise ValueError(f"{predicted.size} predictions beside {observed.size} observations; give one each, at least 1")
    fold = np.exp(np.abs(np.log(predicted / observed)))
    return Agreement(
        gmfe=float(np.exp(np.mean(np.log(fold)))),
        within_guest=int(np.sum(fold <= np.asarray(guest_limit(observed)) * (1.0 + 1e-12))),
        within_two_fold=int(np.sum(fold <= 2.0)),
        count=int(predicted.size),
    )
