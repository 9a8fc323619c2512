"""Target-mediated disposition with binding in balance, so that neither the complex nor fast binding is integrated."""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel, Balance, Route
from twinjax.models.pk.tmdd import MolarAmountRate, MolarConcentrationRate
from twinjax.units import Clearance, Fraction, MolarAmount, MolarConcentration, Rate, Time, Volume


def free_concentration(total, target, constant):
    """Free drug, given total drug, total target and the binding constant: the root of c^2 - b c - constant total = 0.

    .. code-block:: text

        b = total - target - constant          c = (b + sqrt(b^2 + 4 constant total)) / 2

    For b < 0 the sum cancels, so there the other form of the root is taken, ``constant total / s``, where
    ``s = (|b| + sqrt(b^2 + 4 constant total)) / 2`` is never zero. Both branches are finite, so gradients are too.
    """
    b = total - target - constant
    large = 0.5 * (jnp.where(b >= 0.0, b, -b) + jnp.sqrt(b * b + 4.0 * constant * total))
    return jnp.where(b >= 0.0, large, constant * total / large)


class QuasiEquilibriumTMDD(AbstractModel):
    """Drug and target in binding equilibrium; two compartments, doses into `depot` (subcutaneous) or `central`.

    .. code-block:: text

        depot'      = -ka depot
        central'    =  ka depot - cl c - q (c - c2) - kint v1 rc          total drug: central / v1 = c + rc
        peripheral' =  q (c - c2)                                         c2 = peripheral / v2
        target'     =  ksyn - kdeg (target - rc) - kint rc                total target
        rc = target c / (kd + c);  c from `free_concentration`

    **Parameters** (scalars): `ka` absorption rate constant (1/h), `cl` clearance of free drug (L/h), `v1` central
    volume (L), `q` intercompartmental clearance (L/h), `v2` peripheral volume (L), `kd` dissociation constant koff /
    kon (umol/L), `kint` internalisation of the complex, `kdeg` degradation of the target (1/h), `ksyn` synthesis of the
    target (umol/L/h), `lag` absorption lag time (h), `bioavailability` of doses into the depot.
    **Assumptions**: as `FullTMDD`, with association and dissociation quicker than all else.
    **Reference**: Mager & Krzyzanski 2005, Pharm Res 22:1589, doi:10.1007/s11095-005-6650-0. Typical values are
    illustrative, those of `FullTMDD`.
    """

    ka: Rate
    cl: Clearance
    v1: Volume
    q: Clearance
    v2: Volume
    kd: MolarConcentration
    kint: Rate
    kdeg: Rate
    ksyn: MolarConcentrationRate
    lag: Time = 0.0
    bioavailability: Fraction = 1.0

    class State(eqx.Module):
        """Drug at the injection site, total in the central and free in the peripheral compartment; total target."""

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
        """Free and total drug and target in plasma."""

        plasma: MolarConcentration
        total: MolarConcentration
        target: MolarConcentration
        total_target: MolarConcentration

    def derivative(self, t, y, u):
        """Only free drug is cleared and distributes; the complex is internalised."""
        c, c2 = free_concentration(y.central / self.v1, y.target, self.kd), y.peripheral / self.v2
        rc = y.target * c / (self.kd + c)
        absorbed = self.ka * y.depot
        exchanged = self.q * (c - c2)
        return self.State(
            depot=u.depot - absorbed,
            central=u.central + absorbed - self.cl * c - exchanged - self.kint * self.v1 * rc,
            peripheral=u.peripheral + exchanged,
            target=self.ksyn - self.kdeg * (y.target - rc) - self.kint * rc,
        )

    def output(self, t, y, u):
        """Concentrations in the central volume."""
        total = y.central / self.v1
        c = free_concentration(total, y.target, self.kd)
        free = y.target * self.kd / (self.kd + c)
        return self.Output(plasma=c, total=total, target=free, total_target=y.target)

    def initial(self):
        """No drug; the target at its steady state."""
        zero = jnp.zeros_like(self.ksyn)
        return self.State(zero, zero, zero, self.ksyn / self.kdeg)

    def routes(self):
        """Lag and bioavailability belong to the depot."""
        return {"depot": Route(lag=self.lag, bioavailability=self.bioavailability)}

    def balances(self, t, y, u):
        """Drug leaves by clearance and internalisation; target turns over and is internalised."""
        c = free_concentration(y.central / self.v1, y.target, self.kd)
        rc = y.target * c / (self.kd + c)
        gain = self.ksyn - self.kdeg * (y.target - rc) - self.kint * rc
        return {
            "drug": Balance(("depot", "central", "peripheral"), gain=-self.cl * c - self.kint * self.v1 * rc),
            "target": Balance(("target",), gain=gain),
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
            kd=0.001,
            kint=0.02,
            kdeg=0.01,
            ksyn=0.0001,
            bioavailability=0.65,
        )


class QuasiSteadyStateTMDD(AbstractModel):
    """Drug, target and complex in a quasi-steady state; two compartments, doses into `depot` or `central`.

    .. code-block:: text

        depot'      = -ka depot
        central'    =  ka depot - cl c - q (c - c2) - kint v1 rc          total drug: central / v1 = c + rc
        peripheral' =  q (c - c2)                                         c2 = peripheral / v2
        target'     =  ksyn - kdeg (target - rc) - kint rc                total target
        rc = target c / (kss + c);  c from `free_concentration`

    **Parameters** (scalars): `kss` quasi-steady-state constant (koff + kint) / kon (umol/L); the others as in
    `QuasiEquilibriumTMDD`.
    **Assumptions**: as `FullTMDD`, with association balanced by dissociation and internalisation together, quicker than
    disposition; with kint much below koff it is the quasi-equilibrium model.
    **Reference**: Gibiansky et al. 2008, J Pharmacokinet Pharmacodyn 35:573, doi:10.1007/s10928-008-9102-8. Typical
    values are illustrative, those of `FullTMDD`.
    """

    ka: Rate
    cl: Clearance
    v1: Volume
    q: Clearance
    v2: Volume
    kss: MolarConcentration
    kint: Rate
    kdeg: Rate
    ksyn: MolarConcentrationRate
    lag: Time = 0.0
    bioavailability: Fraction = 1.0

    class State(eqx.Module):
        """Drug at the injection site, total in the central and free in the peripheral compartment; total target."""

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
        """Free and total drug and target in plasma."""

        plasma: MolarConcentration
        total: MolarConcentration
        target: MolarConcentration
        total_target: MolarConcentration

    def derivative(self, t, y, u):
        """Only free drug is cleared and distributes; the complex is internalised."""
        c, c2 = free_concentration(y.central / self.v1, y.target, self.kss), y.peripheral / self.v2
        rc = y.target * c / (self.kss + c)
        absorbed = self.ka * y.depot
        exchanged = self.q * (c - c2)
        return self.State(
            depot=u.depot - absorbed,
            central=u.central + absorbed - self.cl * c - exchanged - self.kint * self.v1 * rc,
            peripheral=u.peripheral + exchanged,
            target=self.ksyn - self.kdeg * (y.target - rc) - self.kint * rc,
        )

    def output(self, t, y, u):
        """Concentrations in the central volume."""
        total = y.central / self.v1
        c = free_concentration(total, y.target, self.kss)
        free = y.target * self.kss / (self.kss + c)
        return self.Output(plasma=c, total=total, target=free, total_target=y.target)

    def initial(self):
        """No drug; the target at its steady state."""
        zero = jnp.zeros_like(self.ksyn)
        return self.State(zero, zero, zero, self.ksyn / self.kdeg)

    def routes(self):
        """Lag and bioavailability belong to the depot."""
        return {"depot": Route(lag=self.lag, bioavailability=self.bioavailability)}

    def balances(self, t, y, u):
        """Drug leaves by clearance and internalisation; target turns over and is internalised."""
        c = free_concentration(y.central / self.v1, y.target, self.kss)
        rc = y.target * c / (self.kss + c)
        gain = self.ksyn - self.kdeg * (y.target - rc) - self.kint * rc
        return {
            "drug": Balance(("depot", "central", "peripheral"), gain=-self.cl * c - self.kint * self.v1 * rc),
            "target": Balance(("target",), gain=gain),
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
            kss=(0.3 + 0.02) / 300,
            kint=0.02,
            kdeg=0.01,
            ksyn=0.0001,
            bioavailability=0.65,
        )
