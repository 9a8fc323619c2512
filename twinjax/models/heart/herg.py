"""hERG channels (I_Kr) that a drug can bind, and be trapped in: the dynamic-hERG model of the CiPA initiative."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import equinox as eqx
from jax.numpy import exp, sqrt, where

from twinjax.models.base import AbstractModel, Balance
from twinjax.models.heart.membrane import (
    AbstractMechanism,
    Conductance,
    Density,
    Molarity,
    PerTime,
    Potential,
    PotentialRate,
    sigmoid,
)
from twinjax.units import Fraction, Number, Unit


class Binding(eqx.Module):
    """How one drug binds to open and inactivated channels, and how well closing traps it.

    **Parameters**: `kmax`, the largest ratio of binding to unbinding rate; `ku` unbinding rate (1/ms); `n` Hill
    coefficient of binding; `ec50` (mM) where binding is half as quick as it can be (tables give `halfmax`, ec50^n in
    nM^n); `vhalf` (mV), below which half of the closed channels keep their drug; `kt` trapping rate (1/ms). The
    defaults are no drug.
    """

    kmax: Number = 0.0
    ku: PerTime = 0.0
    n: Number = 1.0
    ec50: Molarity = 1.0
    vhalf: Potential = -1.0
    kt: PerTime = 3.5e-5

    def rate(self, drug: Molarity) -> PerTime:
        """Of an unbound channel, at the free concentration `drug` (mM); zero, with no slope, where there is none."""
        there = drug > 0.0
        share = (where(there, drug, self.ec50) / self.ec50) ** self.n
        return where(there, self.kmax * self.ku * share / (1.0 + share), 0.0)

    @classmethod
    def tabled(cls, kmax: Any, ku: Any, n: Any, halfmax: Any, vhalf: Any) -> Binding:
        """From the numbers of CiPA's tables, where `halfmax` is ec50^n in nM^n."""
        return cls(kmax, ku, n, 1e-6 * halfmax ** (1.0 / n), vhalf)


class DynamicHERG(AbstractMechanism):
    """I_Kr: two closed states, each with its inactivated partner, one open; open and inactivated ones bind drug.

    .. code-block:: text

        IC1 -- IC2 -- IO -- IObound
         |      |     |                  each rate  a q^((37 - 20)/10) exp(b v)
        C1 --- C2 --- O --- Obound

        O -> Obound, IO -> IObound:  kmax ku d^n / (d^n + ec50^n)          back: ku, and ku (O -> IO) / (IO -> O)
        Obound, IObound -> Cbound:   kt                                    back: kt / (1 + exp(-(v - vhalf) / 6.789))

    Of an undrugged cell no channel is ever bound. Current flows through O alone.

    **Parameters**: `g` (mS/uF) at 5.4 mM outside; `binding`.
    **Assumptions**: 37 degrees; bound channels gate no further than into the trap.
    **Reference**: Li et al. 2017, Circ Arrhythm Electrophysiol 10:e004628, doi:10.1161/CIRCEP.116.004628; numbers of
    CiPA v1.0.
    """

    g: Conductance = 0.046
    binding: Binding = Binding()
    normal: ClassVar[Annotated[float, Unit("mM")]] = 5.4

    class State(eqx.Module):
        """Shares of all channels."""

        ic1: Fraction
        ic2: Fraction
        c1: Fraction
        c2: Fraction
        o: Fraction
        io: Fraction
        iobound: Fraction
        obound: Fraction
        cbound: Fraction

    def current(self, v: Potential, y: State, reversal: Potential, ko: Molarity) -> Density:
        """Through the open channels, at a potassium concentration outside of `ko`."""
        return self.g * sqrt(ko / self.normal) * y.o * (v - reversal)

    def rates(self, v: Potential, y: State, drug: Molarity) -> State:
        """Of change of the states, at the free concentration `drug` (mM)."""

        def at(a: float, b: float, q: float) -> PerTime:
            return a * q**1.7 * exp(b * (v / self.mV)) / self.ms

        opening, closing = at(0.149, 0.004668, 2.412), at(0.008978, -0.02215, 5.682)  # O -> IO and back
        ic1_ic2 = at(0.0007868, 1.535e-08, 4.942) * y.ic1 - at(5.455e-06, -0.1688, 4.156) * y.ic2
        c1_c2 = at(0.0264, 4.631e-05, 4.843) * y.c1 - at(4.986e-06, -0.004226, 4.23) * y.c2
        c2_o = at(0.005509, 7.771e-09, 4.22) * y.c2 - at(0.001416, -0.02877, 1.459) * y.o
        ic2_io = at(0.001214, 0.008516, 4.962) * y.ic2 - at(1.854e-05, -0.04641, 3.769) * y.io
        c1_ic1 = at(0.4492, 0.008595, 5.0) * y.c1 - at(0.01241, 0.1725, 5.568) * y.ic1
        c2_ic2 = at(0.3181, 3.613e-08, 4.663) * y.c2 - at(0.3226, -0.0006575, 5.0) * y.ic2
        o_io = opening * y.o - closing * y.io
        bind, b = self.binding.rate(drug), self.binding
        o_bound = bind * y.o - b.ku * y.obound
        io_bound = bind * y.io - b.ku * opening / closing * y.iobound
        freed = b.kt * sigmoid(-(v - b.vhalf) / self.mV / 6.789)
        o_trapped = b.kt * y.obound - freed * y.cbound
        io_trapped = b.kt * y.iobound - freed * y.cbound
        return self.State(
            ic1=c1_ic1 - ic1_ic2,
            ic2=ic1_ic2 + c2_ic2 - ic2_io,
            c1=-c1_c2 - c1_ic1,
            c2=c1_c2 - c2_o - c2_ic2,
            o=c2_o - o_io - o_bound,
            io=ic2_io + o_io - io_bound,
            iobound=io_bound - io_trapped,
            obound=o_bound - o_trapped,
            cbound=o_trapped + io_trapped,
        )

    @classmethod
    def closed(cls) -> State:
        """Every channel in C1, as before a protocol begins."""
        return cls.State(0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


class HERGClamp(AbstractModel):
    """hERG channels alone, under a voltage clamp: a step of the command potential is a dose into `up` or `down`, in mV.

    .. code-block:: text

        v = holding + up - down          channel as `DynamicHERG`, at a constant free concentration

    **Parameters**: `channel`; `drug`, its free concentration (mM); `holding` (mV), the potential until the first step;
    `reversal` (mV) of potassium; `outside` potassium (mM).
    **Assumptions**: the clamp is perfect; every channel starts in C1.
    **Reference**: Li et al. 2017, doi:10.1161/CIRCEP.116.004628. The typical drug is dofetilide, 10 nM of it.
    """

    channel: DynamicHERG
    drug: Molarity = 0.0
    holding: Potential = -80.0
    reversal: Potential = -88.0
    outside: Molarity = 5.4

    time_unit: ClassVar[Unit] = Unit("ms")
    quiescent: ClassVar[bool] = False

    class State(eqx.Module):
        """Steps taken by the command potential, and the channels."""

        up: Potential
        down: Potential
        channel: DynamicHERG.State

    class Input(eqx.Module):
        """The command potential steps or ramps."""

        up: PotentialRate = 0.0
        down: PotentialRate = 0.0

    class Output(eqx.Module):
        """Potential, current, and the shares of channels that are open and that hold drug."""

        v: Potential
        current: Density
        open: Fraction
        bound: Fraction

    def initial(self):
        """All channels closed."""
        return self.State(0.0, 0.0, DynamicHERG.closed())

    def potential(self, y: State) -> Potential:
        """The command potential."""
        return self.holding + y.up - y.down

    def derivative(self, t, y, u):
        """The channels move as the command potential has them."""
        return self.State(u.up, u.down, self.channel.rates(self.potential(y), y.channel, self.drug))

    def output(self, t, y, u):
        """Current flows through the open channels."""
        c, v = y.channel, self.potential(y)
        current = self.channel.current(v, c, self.reversal, self.outside)
        return self.Output(v, current, c.o, c.iobound + c.obound + c.cbound)

    def balances(self, t, y, u):
        """No channel is lost."""
        names = ("ic1", "ic2", "c1", "c2", "o", "io", "iobound", "obound", "cbound")
        return {"channels": Balance(tuple(f"channel.{n}" for n in names))}

    @classmethod
    def typical(cls):
        """Under dofetilide."""
        return cls(DynamicHERG(binding=Binding.tabled(35.1, 1.816e-05, 1.08, 216.6, -1.0)), drug=1e-5)
