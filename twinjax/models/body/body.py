"""A whole body: the circulation, into which organs plug by name."""

from __future__ import annotations

import operator

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer

from twinjax.models.base import AbstractModel, Balance
from twinjax.models.body.elimination import LinearElimination
from twinjax.models.body.organ import AbstractOrgan, Flow, merge
from twinjax.models.body.organs import ClearingTissue, Gut, Tissue
from twinjax.naming import leaves, names
from twinjax.units import Amount, Clearance, Concentration, Fraction, Number, Volume


class Body(AbstractModel):
    """Blood from the lung reaches all organs; portal organs drain into the liver, the others into the venous blood.

    .. code-block:: text

        organ'    = exchange with arterial blood; the liver with the portal organs' blood and its own artery's
        arterial' = Q (C_lung - C_arterial)      venous' = sum of Q_organ C_organ - Q C_venous      Q = sum of Q_organ

    Doses go into ``venous`` (intravenous), ``portal.gut.solid`` or ``portal.gut.lumen`` (oral).
    **Parameters**: `tissues`, `portal` organs by name, `liver`, `lung`; `perfusion`, arterial blood flow by organ,
    the liver's from its artery (L/h); volumes of blood (L); `fu`, unbound in plasma; `blood_to_plasma`.
    **Assumptions**: cardiac output is the sum of the organs' flows, so that nothing leaks; no tissue binds blood apart.
    **Raises** `ValueError` for an organ without a flow, a flow without an organ, and what is not positive.
    **Reference**: structure as in Rowland, Peck and Tucker 2011, Annu Rev Pharmacol Toxicol 51:45,
    doi:10.1146/annurev-pharmtox-010510-100540. Typical values: acetaminophen, 70 kg, of Sluka et al. 2016,
    doi:10.1371/journal.pone.0162428 (`acetaminophen_body`).
    """

    tissues: dict[str, AbstractOrgan]
    portal: dict[str, AbstractOrgan]
    liver: AbstractOrgan
    lung: AbstractOrgan
    perfusion: dict[str, Clearance]
    arterial: Volume
    venous: Volume
    fu: Fraction
    blood_to_plasma: Number

    class State(eqx.Module):
        """Drug in every organ and in the blood between them."""

        tissues: dict[str, eqx.Module]
        portal: dict[str, eqx.Module]
        liver: eqx.Module
        lung: eqx.Module
        arterial: Amount
        venous: Amount

    class Output(eqx.Module):
        """Concentrations in venous plasma, arterial and venous blood."""

        plasma: Concentration
        arterial: Concentration
        venous: Concentration

    def __check_init__(self):
        """Flows and organs match, and every number is positive."""
        organs = {*self.tissues, *self.portal, "liver"}
        flows = set(self.perfusion)
        if organs != flows:
            without, idle = sorted(organs - flows), sorted(flows - organs)
            said = [f"no perfusion is given of {', '.join(without)}"] if without else []
            said += [f"perfusion of {', '.join(idle)} has no such organ"] if idle else []
            raise ValueError("; ".join(said))
        both = sorted(set(self.tissues) & set(self.portal))
        if both:
            raise ValueError(f"{', '.join(both)} is among the tissues and the portal organs; it can be one of them")
        for name, value in leaves(self).items():
            last = name.rsplit(".", 1)[-1]
            if isinstance(value, Tracer) or jnp.ndim(value):
                continue
            zero_allowed = last in ("transit", "vmax", "clint", "ps") or "efflux" in last or "uptake" in last
            if not (float(value) >= 0.0 if zero_allowed else float(value) > 0.0):
                raise ValueError(
                    f"{name} is {float(value):g}; it must be {'at least' if zero_allowed else 'above'} zero"
                )
        if not isinstance(self.fu, Tracer) and not jnp.ndim(self.fu) and float(self.fu) > 1.0:
            raise ValueError(f"fu is {float(self.fu):g}; a fraction is at most 1")

    def initial(self):
        """No drug."""
        return self.State(
            tissues={n: o.initial() for n, o in self.tissues.items()},
            portal={n: o.initial() for n, o in self.portal.items()},
            liver=self.liver.initial(),
            lung=self.lung.initial(),
            arterial=0.0,
            venous=0.0,
        )

    @property
    def unbound(self) -> Fraction:
        """Fraction unbound in blood."""
        return self.fu / self.blood_to_plasma

    def derivative(self, t, y, u):
        """Blood once around."""
        arterial, venous = y.arterial / self.arterial, y.venous / self.venous

        def supply(organ):
            return Flow(self.perfusion[organ], arterial, self.unbound)

        def perfuse(organs, states):
            out = {n: o.exchange(states[n], supply(n)) for n, o in organs.items()}
            return {n: rates for n, (rates, _) in out.items()}, [flow for _, flow in out.values()]

        d_tissues, returning = perfuse(self.tissues, y.tissues)
        d_portal, to_liver = perfuse(self.portal, y.portal)
        d_liver, hepatic = self.liver.exchange(y.liver, merge([*to_liver, supply("liver")]))
        vein = merge([*returning, hepatic])
        to_lung = Flow(vein.rate, venous, self.unbound)
        d_lung, oxygenated = self.lung.exchange(y.lung, to_lung)
        rates = self.State(
            d_tissues, d_portal, d_liver, d_lung, oxygenated.flux - vein.rate * arterial, vein.flux - to_lung.flux
        )
        entered = map(operator.add, jax.tree.leaves(rates), jax.tree.leaves(u))
        return jax.tree.unflatten(jax.tree.structure(rates), entered)

    def output(self, t, y, u):
        """Concentrations."""
        venous = y.venous / self.venous
        return self.Output(plasma=venous / self.blood_to_plasma, arterial=y.arterial / self.arterial, venous=venous)

    def balances(self, t, y, u):
        """Drug is somewhere: in an organ, in blood, removed or excreted."""
        return {"drug": Balance(names(y))}

    @classmethod
    def typical(cls):
        """Acetaminophen in a man of 70 kg."""
        return acetaminophen_body()


def acetaminophen_body() -> Body:
    """Sluka's acetaminophen: five organs, 70 kg, absorption 1.5/h, hepatic metabolism and glomerular filtration.

    **Reference**: Sluka et al. 2016, PLoS One 11:e0162428, doi:10.1371/journal.pone.0162428 (BioModels
    BIOMD0000000619, CC0).
    """
    weight = 70.0
    water, output = 0.6 * weight, 15.0 * weight**0.75
    fu, ratio = 0.8, 1.09
    rest, liver, kidney = 1.6 * fu / ratio, fu / ratio, fu / ratio
    volume = {n: water * f for n, f in _SHARES.items()}
    flow = {"gut": 0.205 * output, "liver": 0.0535 * output, "kidney": 0.2214 * output}
    return Body(
        tissues={
            "kidney": ClearingTissue(volume["kidney"], kidney, {"filtration": LinearElimination(0.039 * weight**0.75)}),
            "rest": Tissue(water - sum(volume.values()), rest),
        },
        portal={
            "gut": Gut(volume["gut"], 0.5 * volume["gut"], 1.0, 0.5, 1.5, 1.5, 0.0, {"wall": LinearElimination(0.0)})
        },
        liver=ClearingTissue(volume["liver"], liver, {"metabolism": LinearElimination(9.5 * volume["liver"] / fu)}),
        lung=Tissue(volume["lung"], 1.0),
        perfusion={**flow, "rest": output - sum(flow.values())},
        arterial=volume["arterial"],
        venous=volume["venous"],
        fu=fu,
        blood_to_plasma=ratio,
    )


_SHARES = {"arterial": 0.0357, "gut": 0.0263, "kidney": 0.007, "liver": 0.0408, "lung": 0.0121, "venous": 0.0812}
"""Organ volumes as shares of body water."""
