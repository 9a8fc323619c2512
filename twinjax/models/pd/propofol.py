"""Propofol: three compartments, an effect site, and the bispectral index; one person's by two published models."""

from __future__ import annotations

from typing import Annotated, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax import lax

from twinjax.models.base import AbstractModel, Balance
from twinjax.models.pd.effect import hill
from twinjax.units import Amount, Clearance, Concentration, Number, Rate, Scalar, Unit, Volume

_MgRate = Annotated[Scalar, Unit("mg/h")]


class PropofolBIS(AbstractModel):
    """Propofol infused into plasma, and the depth of anaesthesia that follows its concentration at the effect site.

    .. code-block:: text

        central', peripheral2', peripheral3'   as `ThreeCompartment`, plasma = central / v1
        effect_site' = ke0 (plasma - effect_site)
        bis          = base (1 - r^g / (1 + r^g)),  r = effect_site / ce50,  g = shallow below ce50 and deep above it

    **Parameters**: `cl`, `q2`, `q3` (L/h); `v1`, `v2`, `v3` (L); `ke0` (1/h); `ce50` (mg/L); `deep`, `shallow`,
    steepness above and below ce50, one turning into the other as the source's control stream has it; `base`, the index
    awake, 93 of 100.
    **Assumptions**: what the monitor shows is `delay` late: date measurements back by it. Opioids do not change the
    index at a concentration.
    **Reference**: Eleveld et al. 2018, Br J Anaesth 120:942, doi:10.1016/j.bja.2018.01.018. Typical values: a man of 35
    years, 70 kg and 170 cm, without opioids, arterial.
    """

    cl: Clearance
    v1: Volume
    q2: Clearance
    v2: Volume
    q3: Clearance
    v3: Volume
    ke0: Rate
    ce50: Concentration
    deep: Number
    shallow: Number
    base: Number

    turn: ClassVar[Annotated[float, Unit("L/mg")]] = 30.0

    class State(eqx.Module):
        """Drug in three compartments, and its concentration at the effect site."""

        central: Amount
        peripheral2: Amount
        peripheral3: Amount
        effect_site: Concentration

    class Input(eqx.Module):
        """Propofol that enters plasma."""

        central: _MgRate = 0.0

    class Output(eqx.Module):
        """Concentrations, and the bispectral index."""

        plasma: Concentration
        effect_site: Concentration
        bis: Number

    def derivative(self, t, y, u):
        """Elimination, exchange, and an effect site that follows plasma."""
        c1, c2, c3 = y.central / self.v1, y.peripheral2 / self.v2, y.peripheral3 / self.v3
        to2, to3 = self.q2 * (c1 - c2), self.q3 * (c1 - c3)
        return self.State(
            central=u.central - self.cl * c1 - to2 - to3,
            peripheral2=to2,
            peripheral3=to3,
            effect_site=self.ke0 * (c1 - y.effect_site),
        )

    def output(self, t, y, u):
        """A sigmoid of two slopes."""
        above = lax.logistic(self.turn * (y.effect_site - self.ce50))
        steepness = above * self.deep + (1.0 - above) * self.shallow
        bis = self.base * (1.0 - hill(y.effect_site / self.ce50, steepness))
        return self.Output(plasma=y.central / self.v1, effect_site=y.effect_site, bis=bis)

    def balances(self, t, y, u):
        """Propofol leaves by clearance."""
        states = ("central", "peripheral2", "peripheral3")
        return {"drug": Balance(states, gain=-self.cl * y.central / self.v1)}

    @classmethod
    def typical(cls):
        """Eleveld's reference."""
        return propofol(35.0, 70.0, 170.0, opioids=False)


def delay(age: Scalar) -> Scalar:
    """How late the monitor shows the index (h): 15 s and what grows with age (years). Eleveld et al. 2018."""
    return (15.0 + jnp.exp(0.0517 * age)) / 3600.0


def propofol(
    age: Scalar, weight: Scalar, height: Scalar, *, female: Scalar = False, opioids: Scalar = True,
    venous: Scalar = False, postmenstrual: Scalar | None = None,
) -> PropofolBIS:  # fmt: skip
    """One person's propofol by Eleveld's model, from infants to the old.

    **Parameters**: `age` (years), `weight` (kg), `height` (cm); `female`; `opioids`, given besides; `venous`, whether
    plasma is that of a vein (the index follows then by another ke0); `postmenstrual` age (weeks), by default that of
    one born at 40. Numbers or arrays.
    **Reference**: Eleveld et al. 2018, doi:10.1016/j.bja.2018.01.018 (with its correction, that Q2 of the reference is
    1.83 L/min); fat-free mass: Al-Sallami et al. 2015, doi:10.1007/s40262-015-0277-z.
    """
    weeks, grown = 52.0 * age + 40.0, 52.0 * 35.0 + 40.0
    small = 33.6 / (weight + 33.6)
    v1 = 6.28 * (1.0 - small) / (70.0 / 103.6) * jnp.where(venous, 1.0 + 1.42 * small, 1.0)
    v2 = 25.5 * weight / 70.0 * jnp.exp(-0.0156 * (age - 35.0))
    lean = _fat_free(age, weight, height, female) / _fat_free(35.0, 70.0, 170.0, False)
    v3 = 273.0 * lean * jnp.where(opioids, jnp.exp(-0.0138 * age), 1.0)
    ripe, full = (1.0 / (1.0 + (42.3 / w) ** 9.06) for w in (weeks if postmenstrual is None else postmenstrual, grown))
    cl = jnp.where(female, 2.10, 1.79) * (weight / 70.0) ** 0.75 * ripe / full
    cl = cl * jnp.where(opioids, jnp.exp(-0.00286 * age), 1.0)
    slow, late = weeks / (weeks + 68.3), grown / (grown + 68.3)
    q2 = 1.75 * (v2 / 25.5) ** 0.75 * (1.0 + 1.30 * (1.0 - slow)) * jnp.where(venous, 0.68, 1.0)
    q3 = 1.11 * (v3 / 273.0) ** 0.75 * slow / late
    ke0 = jnp.where(venous, 1.24, 0.146) * (weight / 70.0) ** -0.25
    return PropofolBIS(
        cl=60.0 * cl, v1=v1, q2=60.0 * q2, v2=v2, q3=60.0 * q3, v3=v3, ke0=60.0 * ke0,
        ce50=3.08 * jnp.exp(-0.00635 * (age - 35.0)), deep=1.47, shallow=1.89, base=93.0,
    )  # fmt: skip


def schnider(age: Scalar, weight: Scalar, height: Scalar, *, female: Scalar = False) -> PropofolBIS:
    """One adult's propofol by Schnider's model, with Eleveld's index of the concentration at its own effect site.

    **Reference**: Schnider et al. 1998, Anesthesiology 88:1170, doi:10.1097/00000542-199805000-00006; ke0: Schnider et
    al. 1999, Anesthesiology 90:1502, doi:10.1097/00000542-199906000-00003; lean body mass by James's equations.
    """
    lean = jnp.where(female, 1.07, 1.1) * weight - jnp.where(female, 148.0, 128.0) * (weight / height) ** 2
    cl = 1.89 + 0.0456 * (weight - 77.0) - 0.0681 * (lean - 59.0) + 0.0264 * (height - 177.0)
    return PropofolBIS(
        cl=60.0 * cl, v1=4.27, q2=60.0 * (1.29 - 0.024 * (age - 53.0)), v2=18.9 - 0.391 * (age - 53.0), q3=60.0 * 0.836,
        v3=238.0, ke0=60.0 * 0.456, ce50=3.08 * jnp.exp(-0.00635 * (age - 35.0)), deep=1.47, shallow=1.89, base=93.0,
    )  # fmt: skip


def _fat_free(age: Scalar, weight: Scalar, height: Scalar, female: Scalar) -> Scalar:
    """Al-Sallami's, in kg."""
    index = weight / (height / 100.0) ** 2
    man = (0.88 + 0.12 / (1.0 + (age / 13.4) ** -12.7)) * 9270.0 * weight / (6680.0 + 216.0 * index)
    woman = (1.11 - 0.11 / (1.0 + (age / 7.1) ** -1.1)) * 9270.0 * weight / (8780.0 + 244.0 * index)
    return jnp.where(female, woman, man)
