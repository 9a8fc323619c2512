"""The contract's first extreme: fourteen organs that exchange blood, plugged into a body that is only plumbing."""

from __future__ import annotations

import abc
import operator

import equinox as eqx
import jax

from twinjax.models.base import AbstractModel, Balance
from twinjax.units import Amount, AmountRate, Clearance, Concentration, Fraction, Number, Rate, Volume


class Flow(eqx.Module):
    """Blood that carries drug. The unbound fraction travels with it: it belongs to the drug, not to an organ."""

    rate: Clearance
    concentration: Concentration
    unbound: Fraction

    @property
    def flux(self) -> AmountRate:
        return self.rate * self.concentration


def merge(flows):
    """Blood of several veins joining."""
    rate = sum(f.rate for f in flows)
    return Flow(rate, sum(f.flux for f in flows) / rate, flows[0].unbound)


class Contents(eqx.Module):
    """Drug in a well-stirred organ."""

    amount: Amount


class AbstractOrgan(eqx.Module):
    """Takes blood in, gives blood back: the same signature for every organ."""

    @abc.abstractmethod
    def initial(self): ...

    @abc.abstractmethod
    def exchange(self, y, inflow): ...

    @abc.abstractmethod
    def eliminated(self, y, unbound): ...


class Tissue(AbstractOrgan):
    """Perfusion-limited, well-stirred, without elimination. `kp` is tissue to blood."""

    volume: Volume
    kp: Number

    def initial(self):
        return Contents(0.0)

    def eliminated(self, y, unbound):
        return 0.0

    def exchange(self, y, inflow):
        outflow = Flow(inflow.rate, y.amount / self.volume / self.kp, inflow.unbound)
        return Contents(inflow.flux - outflow.flux), outflow


class ClearingTissue(AbstractOrgan):
    """A tissue that removes unbound drug: a liver by metabolism, a kidney by filtration."""

    volume: Volume
    kp: Number
    clint: Clearance

    def initial(self):
        return Contents(0.0)

    def eliminated(self, y, unbound):
        return unbound * self.clint * y.amount / self.volume / self.kp

    def exchange(self, y, inflow):
        outflow = Flow(inflow.rate, y.amount / self.volume / self.kp, inflow.unbound)
        return Contents(inflow.flux - outflow.flux - self.eliminated(y, inflow.unbound)), outflow


class Body(AbstractModel):
    """Whole-body circulation: lung in series, tissues in parallel, portal organs in series with the liver.

    **Parameters**: organs by name; `perfusion`, arterial blood flow by organ (L/h); volumes of blood
    (L); `ka` absorption from the gut lumen (1/h); `fu` unbound fraction in blood.
    **Assumptions**: flow-limited, well-stirred organs; absorption into the gut wall.
    """

    tissues: dict[str, AbstractOrgan]
    portal: dict[str, AbstractOrgan]
    liver: AbstractOrgan
    lung: AbstractOrgan
    perfusion: dict[str, Clearance]
    arterial_volume: Volume
    venous_volume: Volume
    ka: Rate
    fu: Fraction

    class State(eqx.Module):
        tissues: dict[str, eqx.Module]
        portal: dict[str, eqx.Module]
        liver: eqx.Module
        lung: eqx.Module
        arterial: Amount
        venous: Amount
        lumen: Amount
        eliminated: Amount

    class Output(eqx.Module):
        arterial: Concentration
        venous: Concentration
        liver: Concentration

    def initial(self):
        def start(organs):
            return {n: o.initial() for n, o in organs.items()}

        return self.State(
            start(self.tissues), start(self.portal), self.liver.initial(), self.lung.initial(), 0.0, 0.0, 0.0, 0.0
        )

    def eliminated(self, y):
        def total(organs, states):
            return sum(o.eliminated(states[n], self.fu) for n, o in organs.items())

        alone = self.liver.eliminated(y.liver, self.fu) + self.lung.eliminated(y.lung, self.fu)
        return total(self.tissues, y.tissues) + total(self.portal, y.portal) + alone

    def derivative(self, t, y, u):
        arterial, venous = y.arterial / self.arterial_volume, y.venous / self.venous_volume

        def supply(organ):
            return Flow(self.perfusion[organ], arterial, self.fu)

        def perfuse(organs, states):
            out = {n: o.exchange(states[n], supply(n)) for n, o in organs.items()}
            return {n: rate for n, (rate, _) in out.items()}, [f for _, f in out.values()]

        d_tissues, returning = perfuse(self.tissues, y.tissues)
        d_portal, to_liver = perfuse(self.portal, y.portal)
        d_liver, hepatic = self.liver.exchange(y.liver, merge([*to_liver, supply("liver")]))
        vein = merge([*returning, hepatic])
        to_lung = Flow(vein.rate, venous, self.fu)
        d_lung, oxygenated = self.lung.exchange(y.lung, to_lung)
        absorbed = self.ka * y.lumen
        d_portal["gut"] = Contents(d_portal["gut"].amount + absorbed)

        def enter(rates, inputs):
            return jax.tree.map(operator.add, rates, inputs)

        return self.State(
            tissues=enter(d_tissues, u.tissues),
            portal=enter(d_portal, u.portal),
            liver=enter(d_liver, u.liver),
            lung=enter(d_lung, u.lung),
            arterial=u.arterial + oxygenated.flux - vein.rate * arterial,
            venous=u.venous + vein.flux - to_lung.flux,
            lumen=u.lumen - absorbed,
            eliminated=u.eliminated + self.eliminated(y),
        )

    def output(self, t, y, u):
        return self.Output(
            arterial=y.arterial / self.arterial_volume,
            venous=y.venous / self.venous_volume,
            liver=y.liver.amount / self.liver.volume,
        )

    def balances(self, t, y, u):
        organs = [*(f"tissues.{n}.amount" for n in self.tissues), *(f"portal.{n}.amount" for n in self.portal)]
        rest = ("liver.amount", "lung.amount", "arterial", "venous", "lumen", "eliminated")
        return {"drug": Balance((*organs, *rest))}

    @classmethod
    def typical(cls):
        """A man of 73 kg (volumes and flows in round numbers after ICRP 89) and a moderately lipophilic drug."""
        volume = {
            "adipose": 18.2, "bone": 10.5, "brain": 1.45, "gonads": 0.035, "heart": 0.33, "muscle": 29.0, "skin": 3.3,
            "gut": 1.02, "pancreas": 0.14, "spleen": 0.15, "stomach": 0.15,
        }  # fmt: skip
        kp = {
            "adipose": 3.1, "bone": 0.5, "brain": 0.6, "gonads": 0.7, "heart": 0.7, "muscle": 0.62, "skin": 0.9,
            "gut": 0.8, "pancreas": 0.9, "spleen": 0.6, "stomach": 0.8,
        }  # fmt: skip
        flow = {
            "adipose": 19.5, "bone": 19.5, "brain": 46.8, "gonads": 0.2, "heart": 15.6, "kidney": 74.1, "muscle": 66.3,
            "skin": 19.5, "gut": 50.0, "pancreas": 3.9, "spleen": 11.7, "stomach": 3.9, "liver": 25.4,
        }  # fmt: skip
        portal = ("gut", "pancreas", "spleen", "stomach")
        plain = {n: Tissue(volume[n], kp[n]) for n in volume}
        return cls(
            tissues={n: o for n, o in plain.items() if n not in portal}
            | {"kidney": ClearingTissue(0.31, 1.1, clint=7.0)},
            portal={n: plain[n] for n in portal},
            liver=ClearingTissue(1.8, 1.2, clint=60.0),
            lung=Tissue(0.5, 0.7),
            perfusion=flow,
            arterial_volume=1.4,
            venous_volume=3.9,
            ka=0.9,
            fu=0.2,
        )
