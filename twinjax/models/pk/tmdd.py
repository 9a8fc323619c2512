"""Target-mediated disposition: a drug that binds its target so tightly that the target shapes the drug's kinetics.

Amounts are molar throughout (umol, umol/L). The approximations are in `twinjax.models.pk.tmdd_approximations`.
"""

from __future__ import annotations

from typing import Annotated

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel, Balance, Route
from twinjax.units import Clearance, Fraction, MolarAmount, MolarConcentration, Rate, Scalar, Time, Unit, Volume

MolarAmountRate = Annotated[Scalar, Unit("umol/h")]
MolarConcentrationRate = Annotated[Scalar, Unit("umol/L/h")]
Association = Annotated[Scalar, Unit("L/umol/h")]


class FullTMDD(AbstractModel):
    """Drug, target and complex, in full; two compartments, doses into `depot` (subcutaneous) or `central`.

    .. code-block:: text

        depot'      = -ka depot
        central'    =  ka depot - cl c - q (c - c2) - v1 b          c = central / v1, c2 = peripheral / v2
        peripheral' =  q (c - c2)
        target'     =  ksyn - kdeg target - b                       b = kon c target - koff complex
        complex'    =  b - kint complex

    **Parameters** (scalars): `ka` absorption rate constant (1/h), `cl` clearance of free drug (L/h), `v1` central
    volume (L), `q` intercompartmental clearance (L/h), `v2` peripheral volume (L), `kon` association (L/umol/h), `koff`
    dissociation, `kint` internalisation of the complex, `kdeg` degradation of the target (1/h), `ksyn` synthesis of the
    target (umol/L/h), `lag` absorption lag time (h), `bioavailability` of doses into the depot.
    **Assumptions**: binding one to one, in the central compartment only, where drug, target and complex share a volume;
    the target starts at ksyn / kdeg. Stiff: binding takes minutes, disposition weeks.
    **Reference**: Mager & Jusko 2001, J Pharmacokinet Pharmacodyn 28:507, doi:10.1023/A:1014414520282. Typical values
    are illustrative, of the size usual for a monoclonal antibody against a soluble target.
    """

    ka: Rate
    cl: Clearance
    v1: Volume
    q: Clearance
    v2: Volume
    kon: Association
    koff: Rate
    kint: Rate
    kdeg: Rate
    ksyn: MolarConcentrationRate
    lag: Time = 0.0
    bioavailability: Fraction = 1.0

    stiff = True

    class State(eqx.Module):
        """Drug at the injection site, free in the central and in the peripheral compartment; free target; complex."""

        depot: MolarAmount
        central: MolarAmount
        peripheral: MolarAmount
        target: MolarConcentration
        complex: MolarConcentration

    class Input(eqx.Module):
        """Drug enters; the target is made by the body."""

        depot: MolarAmountRate = 0.0
        central: MolarAmountRate = 0.0
        peripheral: MolarAmountRate = 0.0

    class Output(eqx.Module):
        """Free and total drug and target in plasma."""

        plasma: MolarConcentration
        total: MolarConcentration
        target: MolarConcentration
        total_target: MolarConcentration

    def derivative(self, t, y, u):
        """Binding is of mass action."""
        c, c2 = y.central / self.v1, y.peripheral / self.v2
        absorbed = self.ka * y.depot
        exchanged = self.q * (c - c2)
        bound = self.kon * c * y.target - self.koff * y.complex
        return self.State(
            depot=u.depot - absorbed,
            central=u.central + absorbed - self.cl * c - exchanged - self.v1 * bound,
            peripheral=u.peripheral + exchanged,
            target=self.ksyn - self.kdeg * y.target - bound,
            complex=bound - self.kint * y.complex,
        )

    def output(self, t, y, u):
        """Concentrations in the central volume."""
        c = y.central / self.v1
        return self.Output(plasma=c, total=c + y.complex, target=y.target, total_target=y.target + y.complex)

    def initial(self):
        """No drug; the target at its steady state."""
        zero = jnp.zeros_like(self.ksyn)
        return self.State(zero, zero, zero, self.ksyn / self.kdeg, zero)

    def routes(self):
        """Lag and bioavailability belong to the depot."""
        return {"depot": Route(lag=self.lag, bioavailability=self.bioavailability)}

    def balances(self, t, y, u):
        """Drug leaves by clearance and internalisation; target turns over and is internalised."""
        internalised = self.kint * y.complex
        drug = {"depot": 1.0, "central": 1.0, "peripheral": 1.0, "complex": self.v1}
        return {
            "drug": Balance(drug, gain=-self.cl * y.central / self.v1 - self.v1 * internalised),
            "target": Balance(("target", "complex"), gain=self.ksyn - self.kdeg * y.target - internalised),
        }

    @classmethod
    def typical(cls):
        """Illustrative values of a monoclonal antibody (umol, L, h)."""
        return cls(
            ka=0.01,
            cl=0.008,
            v1=3.0,
            q=0.02,
            v2=3.0,
            kon=300.0,
            koff=0.3,
            kint=0.02,
            kdeg=0.01,
            ksyn=0.0001,
            bioavailability=0.65,
        )


class IrreversibleTMDD(AbstractModel):
    """Drug that binds its target for good; two compartments, doses into `depot` (subcutaneous) or `central`.

    .. code-block:: text

        depot'      = -ka depot
        central'    =  ka depot - cl c - q (c - c2) - v1 b          c = central / v1, c2 = peripheral / v2
        peripheral' =  q (c - c2)
        target'     =  ksyn - kdeg target - b                       b = kon c target

    **Parameters** (scalars): `kon` irreversible association (L/umol/h); the others as in `FullTMDD`.
    **Assumptions**: as `FullTMDD`, with dissociation much slower than internalisation, so that the complex leaves the
    equations; the target starts at ksyn / kdeg.
    **Reference**: Gibiansky & Gibiansky 2009, Expert Opin Drug Metab Toxicol 5:803, doi:10.1517/17425250902992901.
    Typical values are illustrative.
    """

    ka: Rate
    cl: Clearance
    v1: Volume
    q: Clearance
    v2: Volume
    kon: Association
    kdeg: Rate
    ksyn: MolarConcentrationRate
    lag: Time = 0.0
    bioavailability: Fraction = 1.0

    stiff = True

    class State(eqx.Module):
        """Drug at the injection site, in the central and in the peripheral compartment; free target."""

        depot: MolarAmount
        central: MolarAmount
        peripheral: MolarAmount
        target: MolarConcentration

    class Input(eqx.Module):
        """Drug enters; the target is made by the body."""

        depot: MolarAmountRate = 0.0
        central: MolarAmountRate = 0.0
        peripheral: MolarAmountRate = 0.0

    class Output(eqx.Module):
        """Free drug and free target in plasma."""

        plasma: MolarConcentration
        target: MolarConcentration

    def derivative(self, t, y, u):
        """What binds is gone."""
        c, c2 = y.central / self.v1, y.peripheral / self.v2
        absorbed = self.ka * y.depot
        exchanged = self.q * (c - c2)
        bound = self.kon * c * y.target
        return self.State(
            depot=u.depot - absorbed,
            central=u.central + absorbed - self.cl * c - exchanged - self.v1 * bound,
            peripheral=u.peripheral + exchanged,
            target=self.ksyn - self.kdeg * y.target - bound,
        )

    def output(self, t, y, u):
        """Concentrations in the central volume."""
        return self.Output(plasma=y.central / self.v1, target=y.target)

    def initial(self):
        """No drug; the target at its steady state."""
        zero = jnp.zeros_like(self.ksyn)
        return self.State(zero, zero, zero, self.ksyn / self.kdeg)

    def routes(self):
        """Lag and bioavailability belong to the depot."""
        return {"depot": Route(lag=self.lag, bioavailability=self.bioavailability)}

    def balances(self, t, y, u):
        """Drug leaves by clearance and binding, in step with the target that is bound."""
        c = y.central / self.v1
        bound = self.kon * c * y.target
        return {
            "drug": Balance(("depot", "central", "peripheral"), gain=-self.cl * c - self.v1 * bound),
            "target": Balance(("target",), gain=self.ksyn - self.kdeg * y.target - bound),
        }

    @classmethod
    def typical(cls):
        """Illustrative values of a monoclonal antibody (umol, L, h)."""
        return cls(ka=0.01, cl=0.008, v1=3.0, q=0.02, v2=3.0, kon=10.0, kdeg=0.01, ksyn=0.0001, bioavailability=0.65)
