"""Warfarin: S-enantiomer in plasma, clotting factors through two chains of transit, and the INR."""

from __future__ import annotations

from typing import Annotated

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel, Balance
from twinjax.models.pd.effect import hill
from twinjax.units import Amount, Clearance, Concentration, Number, Rate, Scalar, Time, Unit, Volume

_MgRate = Annotated[Scalar, Unit("mg/h")]


class WarfarinINR(AbstractModel):
    """S-warfarin inhibits the making of clotting factors; what is left of them sets the INR.

    .. code-block:: text

        depot' = -ka depot        central' = ka depot - (cl + q) C + q peripheral / v2          C = central / v1
        e = C^gamma / (ec50^gamma + C^gamma)
        a1' = 6/mtt1 (1 - e - a1)    a_i' = 6/mtt1 (a_(i-1) - a_i), i to 6    slow' = 1/mtt2 (1 - e - slow)
        inr = base + top (1 - a6 slow)^lambda                                          all a and slow start at 1

    Doses into ``depot`` are of S-warfarin: half of the racemate.
    **Parameters**: `ka` (1/h), `cl`, `q` (L/h), `v1`, `v2` (L); `ec50` (mg/L), `gamma`; `mtt1`, `mtt2`, mean transit
    times (h); `base`, INR without drug; `top`, INR's range; `exponent`, lambda.
    **Assumptions**: complete inhibition at most; R-warfarin without effect. The source leaves open whether mtt1 is the
    chain's or a compartment's time; it is the chain's here, and a steady state does not depend on it.
    **Reference**: Hamberg et al. 2007, Clin Pharmacol Ther 81:529, doi:10.1038/sj.clpt.6100084. Typical values:
    CYP2C9 of two normal alleles, VKORC1 GG, 71 years.
    """

    ka: Rate
    cl: Clearance
    v1: Volume
    q: Clearance
    v2: Volume
    ec50: Concentration
    gamma: Number
    mtt1: Time
    mtt2: Time
    base: Number
    top: Number
    exponent: Number

    class State(eqx.Module):
        """Drug in depot and body; clotting factors as shares of normal."""

        depot: Amount
        central: Amount
        peripheral: Amount
        a1: Number
        a2: Number
        a3: Number
        a4: Number
        a5: Number
        a6: Number
        slow: Number

    class Input(eqx.Module):
        """S-warfarin that enters."""

        depot: _MgRate = 0.0
        central: _MgRate = 0.0

    class Output(eqx.Module):
        """S-warfarin in plasma, and the INR."""

        plasma: Concentration
        inr: Number

    def initial(self):
        """No drug, all factors."""
        return self.State(0.0, 0.0, 0.0, *[1.0] * 7)

    def derivative(self, t, y, u):
        """Kinetics, then factors."""
        c, p = y.central / self.v1, y.peripheral / self.v2
        made = 1.0 - hill(c / self.ec50, self.gamma)
        ktr = 6.0 / self.mtt1
        return self.State(
            depot=u.depot - self.ka * y.depot,
            central=u.central + self.ka * y.depot - self.cl * c - self.q * (c - p),
            peripheral=self.q * (c - p),
            a1=ktr * (made - y.a1),
            a2=ktr * (y.a1 - y.a2),
            a3=ktr * (y.a2 - y.a3),
            a4=ktr * (y.a3 - y.a4),
            a5=ktr * (y.a4 - y.a5),
            a6=ktr * (y.a5 - y.a6),
            slow=(made - y.slow) / self.mtt2,
        )

    def output(self, t, y, u):
        """INR from the factors left."""
        missing = jnp.maximum(1.0 - y.a6 * y.slow, 1e-12)
        inr = self.base + self.top * missing**self.exponent
        return self.Output(plasma=y.central / self.v1, inr=inr)

    def balances(self, t, y, u):
        """S-warfarin leaves by clearance."""
        return {"drug": Balance(("depot", "central", "peripheral"), gain=-self.cl * y.central / self.v1)}

    @classmethod
    def typical(cls):
        """Hamberg's."""
        return cls(ka=2.0, cl=0.314, v1=13.8, q=0.131, v2=6.59, ec50=4.61, gamma=0.424, mtt1=11.6, mtt2=120.0,
                   base=1.0, top=20.0, exponent=3.61)  # fmt: skip
