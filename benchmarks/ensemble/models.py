"""The ensembles that the library has no model of, as twinjax models: a physiology of fourteen states, the binding of a drug to its
target in concentrations, Lorenz's equations, and bodies in a row for the cost of compiling.
"""

from __future__ import annotations

import operator
from typing import Annotated, ClassVar

import equinox as eqx
import jax
from problems import ARTERY_OF_THE_LIVER, CARDIAC_OUTPUT, CASES, DAY, FLOWS, PARTITION, VOLUMES

from twinjax.models import AbstractModel, TwoCompartmentOral
from twinjax.units import Amount, AmountRate, Clearance, Concentration, Number, Rate, Scalar, Unit

NanomolarConcentration = Annotated[Scalar, Unit("nmol/L")]
NanomolarRate = Annotated[Scalar, Unit("nmol/L/h")]
Association = Annotated[Scalar, Unit("L/nmol/h")]
Litres = Annotated[float, Unit("L")]


class WholeBody(AbstractModel):
    """Blood through a lung, nine tissues and a liver that metabolises by Michaelis-Menten; absorption into the gut.

    Tissues are flow-limited and well-stirred: ``V c' = Q (c_arterial - c / (Kp kps))``.

    **Parameters** (scalars): `ka` absorption (1/h), `vmax` (mg/h) and `km` (mg/L, unbound) of metabolism, `fu` fraction unbound,
    `clr` renal clearance (L/h); multiples of the typical man's cardiac output (`fco`), partition coefficients (`kps`), volumes
    (`fvo`).
    """

    ka: Rate
    vmax: AmountRate
    km: Concentration
    fu: Number
    clr: Clearance
    fco: Number
    kps: Number
    fvo: Number

    cardiac_output: ClassVar[Annotated[float, Unit("L/h")]] = CARDIAC_OUTPUT
    litre: ClassVar[Litres] = 1.0
    stiff = True

    class State(eqx.Module):
        """Drug in the gut's lumen; concentrations in tissues and blood."""

        depot: Amount
        gut: Concentration
        spleen: Concentration
        liver: Concentration
        kidney: Concentration
        heart: Concentration
        brain: Concentration
        muscle: Concentration
        adipose: Concentration
        skin: Concentration
        bone: Concentration
        lung: Concentration
        arterial: Concentration
        venous: Concentration

    class Input(eqx.Module):
        """Doses by mouth."""

        depot: AmountRate = 0.0

    class Output(eqx.Module):
        """Venous blood."""

        venous: Concentration

    def derivative(self, t, y, u):
        """Mass balance of each tissue, over its volume."""
        flow = {n: share * self.cardiac_output * self.fco for n, share in FLOWS.items()}
        volume = {n: v * self.litre * self.fvo for n, v in VOLUMES.items()}
        leaving = {n: getattr(y, n) / (k * self.kps) for n, k in PARTITION.items()}
        total, artery = self.cardiac_output * self.fco, ARTERY_OF_THE_LIVER * self.cardiac_output * self.fco
        hepatic = flow["gut"] + flow["spleen"] + artery
        entering = {n: q * (y.arterial - leaving[n]) for n, q in flow.items()}
        unbound = self.fu * leaving["liver"]
        metabolised = self.vmax * unbound / (self.km + unbound)
        absorbed = self.ka * y.depot
        portal = flow["gut"] * leaving["gut"] + flow["spleen"] * leaving["spleen"]
        returning = sum(q * leaving[n] for n, q in flow.items() if n not in ("gut", "spleen"))
        change = entering | {
            "gut": entering["gut"] + absorbed,
            "kidney": entering["kidney"] - self.clr * y.arterial,
            "liver": artery * y.arterial + portal - hepatic * leaving["liver"] - metabolised,
            "lung": total * (y.venous - leaving["lung"]),
            "arterial": total * (leaving["lung"] - y.arterial),
            "venous": hepatic * leaving["liver"] + returning - total * y.venous,
        }
        return self.State(depot=u.depot - absorbed, **{n: x / volume[n] for n, x in change.items()})

    def output(self, t, y, u):
        """As it is."""
        return self.Output(venous=y.venous)

    @classmethod
    def typical(cls):
        """Round numbers of a man and of a drug cleared by his liver."""
        return cls(*CASES["P2"].typical)


class Binding(AbstractModel):
    """Full target-mediated disposition in concentrations, of time hours: drug, its peripheral part, free target, complex.

    **Parameters** (scalars): `kel` elimination (1/h), `kon` association (L/nmol/h), `koff` dissociation, `kdeg` degradation of the
    target, `kint` internalisation of the complex (1/h). The target starts, and is kept without drug, at 5 nmol/L.
    """

    kel: Rate
    kon: Association
    koff: Rate
    kdeg: Rate
    kint: Rate

    baseline: ClassVar[Annotated[float, Unit("nmol/L")]] = 5.0
    outward: ClassVar[Annotated[float, Unit("1/h")]] = 0.16 / DAY
    inward: ClassVar[Annotated[float, Unit("1/h")]] = 0.17 / DAY
    stiff = True

    class State(eqx.Module):
        """Free drug in the central and (over the central volume) peripheral compartment, free target, complex."""

        central: NanomolarConcentration
        peripheral: NanomolarConcentration
        target: NanomolarConcentration
        bound: NanomolarConcentration

    class Input(eqx.Module):
        """Doses into a vein, over the central volume."""

        central: NanomolarRate = 0.0

    class Output(eqx.Module):
        """Free drug."""

        central: NanomolarConcentration

    def derivative(self, t, y, u):
        """Binding is of mass action."""
        binding = self.kon * y.central * y.target - self.koff * y.bound
        exchanged = self.outward * y.central - self.inward * y.peripheral
        return self.State(
            central=u.central - self.kel * y.central - exchanged - binding,
            peripheral=exchanged,
            target=self.kdeg * (self.baseline - y.target) - binding,
            bound=binding - self.kint * y.bound,
        )

    def output(self, t, y, u):
        """As it is."""
        return self.Output(central=y.central)

    def initial(self):
        """No drug; the target at its baseline."""
        zero = 0.0 * self.baseline
        return self.State(zero, zero, self.baseline, zero)

    @classmethod
    def typical(cls):
        """An antibody against a target of 5 nmol/L."""
        return cls(*CASES["P3"].typical)


class Lorenz(AbstractModel):
    """Lorenz's equations with sigma = 10 and beta = 8/3, in their own time.

    **Parameters**: `rho` (dimensionless).
    **Reference**: Lorenz 1963, J Atmos Sci 20:130, doi:10.1175/1520-0469(1963)020<0130:DNF>2.0.CO;2.
    """

    rho: Number

    time_unit = Unit("1")
    nonnegative = False

    class State(eqx.Module):
        """Dimensionless."""

        x: Number
        y: Number
        z: Number

    class Output(eqx.Module):
        """The first of them."""

        x: Number

    def derivative(self, t, y, u):
        """As published."""
        return self.State(
            x=u.x + 10.0 * (y.y - y.x),
            y=u.y + y.x * (self.rho - y.z) - y.y,
            z=u.z + y.x * y.y - (8.0 / 3.0) * y.z,
        )

    def output(self, t, y, u):
        """As it is."""
        return self.Output(x=y.x)

    def initial(self):
        """Where the ensemble of Utkarsh et al. starts."""
        return self.State(1.0, 0.0, 0.0)

    @classmethod
    def typical(cls):
        """The largest rho of the ensemble."""
        return cls(21.0)


class Row(AbstractModel):
    """Bodies in a row: the blood that leaves one is swallowed by the next. Only to see how compiling grows with size."""

    bodies: dict[str, WholeBody]

    swallowed: ClassVar[Annotated[float, Unit("L/h")]] = 1.0
    stiff = True

    class State(eqx.Module):
        """Each body's."""

        bodies: dict[str, WholeBody.State]

    class Output(eqx.Module):
        """The last body's."""

        venous: Concentration

    def derivative(self, t, y, u):
        """Each body, with what it swallows."""
        swallowed, rates = 0.0, {}
        for name, body in self.bodies.items():
            rates[name] = body.derivative(t, y.bodies[name], WholeBody.Input(swallowed))
            swallowed = self.swallowed * y.bodies[name].venous
        return self.State(jax.tree.map(operator.add, rates, u.bodies))

    def output(self, t, y, u):
        """As it is."""
        return self.Output(y.bodies[str(len(self.bodies) - 1)].venous)

    def initial(self):
        """Empty."""
        return self.State({n: WholeBody.State(*(0.0,) * 14) for n in self.bodies})

    @classmethod
    def typical(cls, number: int = 4):
        """Four equal bodies, 56 states."""
        return cls({str(i): WholeBody.typical() for i in range(number)})


MODELS: dict[str, tuple[type[AbstractModel], str]] = {
    "P1": (TwoCompartmentOral, "plasma"), "P2": (WholeBody, "venous"), "P3": (Binding, "central"), "lorenz": (Lorenz, "x"),
}  # fmt: skip
"""Each case's model, and the output that is compared."""
