"""Acetaminophen in a body of five organs: absorbed, metabolised, filtered."""

from __future__ import annotations

from typing import Annotated

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance
from twinjax.naming import names
from twinjax.units import Amount, Clearance, Concentration, Fraction, Number, Rate, Scalar, Unit, Volume

_MgRate = Annotated[Scalar, Unit("mg/h")]


class AcetaminophenBody(AbstractModel):
    """Linear and limited by perfusion: lung, gut, liver, kidney and the rest, arterial and venous blood.

    .. code-block:: text

        lumen' = -ka lumen                gut' = ka lumen + q_gut (C_arterial - C_gut)
        liver' = q_liver C_arterial + q_gut C_gut - (q_liver + q_gut) out_liver - metabolism liver / (kp_liver fu)
        kidney' = q_kidney (C_arterial - out_kidney) - filtration C_kidney / kp_kidney
        rest' = q_rest (C_arterial - out_rest)        lung' = Q (C_venous - C_lung)        Q the sum of all q
        arterial' = Q (C_lung - C_arterial)           venous' = (q_liver + q_gut) out_liver + ... - Q C_venous
        out_x = C_x blood_to_plasma / (kp_x fu), C = amount / volume

    Doses go into ``lumen`` (by mouth) or ``venous``.
    **Parameters**: `ka`, `metabolism` (1/h); flows `q_*` and `filtration` (L/h); volumes (L); `kp_*`, tissue:plasma;
    `fu`, `blood_to_plasma`.
    **Assumptions**: all metabolism is in the liver and of first order; gut and lung hold what blood does.
    **Reference**: Sluka et al. 2016, PLoS One 11:e0162428, doi:10.1371/journal.pone.0162428 (BioModels
    BIOMD0000000619, CC0), with typical values: 70 kg.
    """

    ka: Rate
    metabolism: Rate
    filtration: Clearance
    q_gut: Clearance
    q_liver: Clearance
    q_kidney: Clearance
    q_rest: Clearance
    v_gut: Volume
    v_liver: Volume
    v_kidney: Volume
    v_rest: Volume
    v_lung: Volume
    v_arterial: Volume
    v_venous: Volume
    kp_liver: Number
    kp_kidney: Number
    kp_rest: Number
    fu: Fraction
    blood_to_plasma: Number

    class State(eqx.Module):
        """Drug in the gut's lumen, organs and blood; metabolised; filtered."""

        lumen: Amount
        gut: Amount
        liver: Amount
        kidney: Amount
        rest: Amount
        lung: Amount
        arterial: Amount
        venous: Amount
        metabolised: Amount
        urine: Amount

    class Input(eqx.Module):
        """Drug by mouth or into a vein."""

        lumen: _MgRate = 0.0
        venous: _MgRate = 0.0

    class Output(eqx.Module):
        """Concentrations in venous plasma and in liver."""

        plasma: Concentration
        liver: Concentration

    def derivative(self, t, y, u):
        """Blood once around."""
        arterial, venous = y.arterial / self.v_arterial, y.venous / self.v_venous
        lung, gut = y.lung / self.v_lung, y.gut / self.v_gut
        leaving = self.blood_to_plasma / self.fu
        liver = y.liver / self.v_liver / self.kp_liver * leaving
        kidney = y.kidney / self.v_kidney / self.kp_kidney * leaving
        rest = y.rest / self.v_rest / self.kp_rest * leaving
        hepatic = self.q_liver + self.q_gut
        whole = hepatic + self.q_kidney + self.q_rest
        absorbed = self.ka * y.lumen
        metabolised = self.metabolism * y.liver / (self.kp_liver * self.fu)
        filtered = self.filtration * y.kidney / self.v_kidney / self.kp_kidney
        return self.State(
            lumen=u.lumen - absorbed,
            gut=absorbed + self.q_gut * (arterial - gut),
            liver=self.q_liver * arterial + self.q_gut * gut - hepatic * liver - metabolised,
            kidney=self.q_kidney * (arterial - kidney) - filtered,
            rest=self.q_rest * (arterial - rest),
            lung=whole * (venous - lung),
            arterial=whole * (lung - arterial),
            venous=u.venous + hepatic * liver + self.q_kidney * kidney + self.q_rest * rest - whole * venous,
            metabolised=metabolised,
            urine=filtered,
        )

    def output(self, t, y, u):
        """Plasma and liver."""
        return self.Output(y.venous / self.v_venous / self.blood_to_plasma, y.liver / self.v_liver)

    def balances(self, t, y, u):
        """Drug is in the body, metabolised or in urine."""
        return {"drug": Balance(names(y))}

    @classmethod
    def typical(cls):
        """Sluka's 70 kg."""
        weight = 70.0
        water, flow = 0.6 * weight, 15.0 * weight**0.75
        share = {"gut": 0.0263, "liver": 0.0408, "kidney": 0.007, "lung": 0.0121, "arterial": 0.0357, "venous": 0.0812}
        volume = {f"v_{n}": water * s for n, s in share.items()}
        return cls(
            ka=1.5, metabolism=9.5, filtration=0.039 * weight**0.75, q_gut=0.205 * flow, q_liver=0.0535 * flow,
            q_kidney=0.2214 * flow, q_rest=(1.0 - 0.205 - 0.0535 - 0.2214) * flow,
            v_rest=water * (1.0 - sum(share.values())), kp_liver=1.0, kp_kidney=1.0, kp_rest=1.6, fu=0.8,
            blood_to_plasma=1.09, **volume,
        )  # fmt: skip
