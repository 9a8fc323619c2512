"""Type 1 diabetes from meal to sensor: the simulator whose virtual patients stand in for animals before a trial."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel
from twinjax.units import Amount, Bounds, Concentration, Fraction, Number, Rate, Scalar, Unit

BodyMass = Annotated[Scalar, Unit("kg")]
Insulin = Annotated[Scalar, Unit("IU/L")]
InsulinDose = Annotated[Scalar, Unit("IU")]
InsulinMass = Annotated[Scalar, Unit("IU/kg")]
InsulinSpace = Annotated[Scalar, Unit("L/kg")]
GlucoseMass = Annotated[Scalar, Unit("mg/kg")]
GlucoseFlux = Annotated[Scalar, Unit("mg/kg/h")]
GlucoseSpace = Annotated[Scalar, Unit("L/kg")]
FluxPerInsulin = Annotated[Scalar, Unit("mg*L/kg/h/IU")]
Difference = Annotated[Scalar, Unit("IU/L"), Bounds(-math.inf, math.inf)]


PMOL = 6000.0
"""pmol in an international unit, as the simulators have it."""

_RATES = {
    **{n: (n, 1.0) for n in ("kabs", "kmax", "kmin", "k1", "k2", "p2u", "kp2", "ki", "ke1", "m1", "m2")},
    **{n: (n, 1.0) for n in ("ka1", "ka2", "kd", "ksc")},
    **{"EGPb": ("egpb", 1.0), "Fsnc": ("fcns", 1.0), "Vmx": ("vmx", PMOL), "kp3": ("kp3", PMOL)},
}
"""Published name -> ours and a factor, besides that from minutes to hours."""

_PLAIN = {
    **{
        "BW": ("bw", 1.0),
        "Gb": ("gb", 10.0),
        "Ib": ("ib", 1.0 / PMOL),
        "b": ("b", 1.0),
        "d": ("d", 1.0),
        "f": ("f", 1.0),
    },
    **{"Vg": ("vg", 0.1), "Vi": ("vi", 1.0), "Km0": ("km0", 1.0), "ke2": ("ke2", 1.0), "HEb": ("heb", 1.0)},
}


class UVAPadova(AbstractModel):
    """A person with type 1 diabetes: stomach, gut, glucose, insulin from under the skin, its action, a sensor's site.

    .. code-block:: text

        solid'    = -kmax solid + meal                         q = solid + liquid
        liquid'   = kmax solid - empty liquid                  empty = kmin + (kmax - kmin)/2 (tanh(alpha (q - b eaten))
        gut'      = empty liquid - kabs gut                            - tanh(beta (q - d eaten)) + 2)
        eaten'    = meal + again starting/(1 + starting) (q - eaten)
                alpha = 5/(2 eaten (1 - b)), beta = 5/(2 eaten d)
        starting' = -fade starting
        plasma'   = max(kp1 - kp2 plasma - kp3 delay2, 0) + f kabs gut/bw - fcns - ke1 max(plasma - ke2, 0)
                    - k1 plasma + k2 tissue
        tissue'   = k1 plasma - k2 tissue - (vm0 + vmx action) tissue/(km0 + tissue)
        insulin'  = -(m2 + m4) insulin + m1 liver + ka1 depot1 + ka2 depot2       I = insulin/vi
        liver'    = m2 insulin - (m1 + m3) liver               m3 = heb m1/(1 - heb), m4 = 2/3 heb m2
        action'   = p2u (I - ib - action)
        delay1'   = ki (I - delay1);  delay2' = ki (delay1 - delay2)
        depot1'   = injected/bw - (ka1 + kd) depot1;  depot2' = kd depot1 - ka2 depot2
        sensor'   = ksc (plasma - sensor)                      glucose = plasma/vg

    kp1, vm0, the glucose in tissue and the insulin in every place follow from the basal state, which lasts while
    `basal_rate()` (IU/h) is infused into `depot1`.

    A meal is an infusion into `solid` (mg of carbohydrate), which counts as `eaten` too. Each meal after the first
    has a dose of 1 into `starting` a minute before, which makes `eaten` begin at what the stomach still holds then.

    **Parameters** (scalars): `bw` (kg); `gb`, `ib` basal glucose (mg/L) and insulin (IU/L); `egpb` basal production of
    glucose (mg/kg/h); `kabs`, `kmax`, `kmin` absorption and greatest and least emptying (1/h), `b`, `d` shares of a
    meal where emptying turns, `f` share absorbed; `vg`, `vi` distribution (L/kg); `k1`, `k2` exchange (1/h), `vmx`
    (mg/kg/h per IU/L), `km0` (mg/kg), `p2u` (1/h) uptake under insulin, `fcns` brain's uptake (mg/kg/h); `kp2` (1/h),
    `kp3` (mg/kg/h per IU/L), `ki` (1/h) production; `ke1` (1/h), `ke2` (mg/kg) kidneys; `m1`, `m2` (1/h), `heb`
    liver's extraction of insulin; `ka1`, `ka2`, `kd` (1/h) from under the skin; `ksc` (1/h) sensor's site.
    **Assumptions**: no insulin of one's own, no glucagon, exercise or time of day; 1 IU is 6000 pmol; glucose below
    zero, where no one lives, means nothing.
    **Reference**: Dalla Man, Rizza & Cobelli 2007, IEEE Trans Biomed Eng 54:1740, doi:10.1109/TBME.2007.893506; Dalla
    Man et al. 2014, J Diabetes Sci Technol 8:26, doi:10.1177/1932296813514502. Typical values are adult#001 of the
    public simulator simglucose (0.2.11, MIT licence).
    """

    quiescent: ClassVar[bool] = False
    signed: ClassVar[tuple[str, ...]] = ("plasma", "tissue", "action")
    fade: ClassVar[Annotated[float, Unit("1/h")]] = 360.0
    again: ClassVar[Annotated[float, Unit("1/h")]] = 45.0 * 360.0
    published: ClassVar[frozenset[str]] = frozenset({*_RATES, *_PLAIN})
    crumb: ClassVar[Annotated[float, Unit("mg")]] = 1e-3

    bw: BodyMass
    gb: Concentration
    ib: Insulin
    egpb: GlucoseFlux
    kabs: Rate
    kmax: Rate
    kmin: Rate
    b: Fraction
    d: Fraction
    f: Fraction
    vg: GlucoseSpace
    vi: InsulinSpace
    k1: Rate
    k2: Rate
    vmx: FluxPerInsulin
    km0: GlucoseMass
    p2u: Rate
    fcns: GlucoseFlux
    kp2: Rate
    kp3: FluxPerInsulin
    ki: Rate
    ke1: Rate
    ke2: GlucoseMass
    m1: Rate
    m2: Rate
    heb: Fraction
    ka1: Rate
    ka2: Rate
    kd: Rate
    ksc: Rate

    class State(eqx.Module):
        """Food, glucose, insulin, its action, and what is under the skin."""

        solid: Amount
        liquid: Amount
        gut: Amount
        eaten: Amount
        starting: Number
        plasma: GlucoseMass
        tissue: GlucoseMass
        insulin: InsulinMass
        liver: InsulinMass
        action: Difference
        delay1: Insulin
        delay2: Insulin
        depot1: InsulinDose
        depot2: InsulinDose
        sensor: GlucoseMass

    class Output(eqx.Module):
        """Glucose in plasma and under the skin, insulin in plasma, and how fast glucose appears from the gut."""

        plasma: Concentration
        sensor: Concentration
        insulin: Insulin
        appearance: GlucoseFlux

    class Input(eqx.Module):
        """Carbohydrate eaten, a meal's start, and insulin infused under the skin."""

        solid: Annotated[Scalar, Unit("mg/h")] = 0.0
        starting: Rate = 0.0
        depot1: Annotated[Scalar, Unit("IU/h")] = 0.0
        eaten: Annotated[Scalar, Unit("mg/h")] = 0.0

    def companions(self):
        """What is eaten is remembered."""
        return {"solid": {"eaten": 1.0}}

    def derivative(self, t, y, u):
        """Every organ in turn."""
        empty = self._emptying(y)
        concentration = y.insulin / self.vi
        m3, m4 = self.heb * self.m1 / (1.0 - self.heb), 2.0 / 3.0 * self.heb * self.m2
        absorbed = (self.ka1 * y.depot1 + self.ka2 * y.depot2) / self.bw
        produced = jnp.maximum(self._kp1() - self.kp2 * y.plasma - self.kp3 * y.delay2, 0.0)
        used = (self._vm0() + self.vmx * y.action) * y.tissue / (self.km0 + y.tissue)
        stomach = y.solid + y.liquid
        return self.State(
            solid=u.solid - self.kmax * y.solid,
            liquid=self.kmax * y.solid - empty * y.liquid,
            gut=empty * y.liquid - self.kabs * y.gut,
            eaten=u.eaten + u.solid + self.again * y.starting / (1.0 + y.starting) * (stomach - y.eaten),
            starting=u.starting - self.fade * y.starting,
            plasma=produced + self._appearing(y) - self.fcns - self._excreted(y.plasma)
            - self.k1 * y.plasma + self.k2 * y.tissue,
            tissue=self.k1 * y.plasma - self.k2 * y.tissue - used,
            insulin=absorbed + self.m1 * y.liver - (self.m2 + m4) * y.insulin,
            liver=self.m2 * y.insulin - (self.m1 + m3) * y.liver,
            action=self.p2u * (concentration - self.ib - y.action),
            delay1=self.ki * (concentration - y.delay1),
            delay2=self.ki * (y.delay1 - y.delay2),
            depot1=u.depot1 - (self.ka1 + self.kd) * y.depot1,
            depot2=self.kd * y.depot1 - self.ka2 * y.depot2,
            sensor=self.ksc * (y.plasma - y.sensor),
        )  # fmt: skip

    def _emptying(self, y):
        """Fast at a meal's start and end, slow between; fastest when nothing was eaten."""
        some = y.eaten > self.crumb
        eaten = jnp.where(some, y.eaten, self.crumb)
        filled = (y.solid + y.liquid) / eaten
        early = jnp.tanh(2.5 / (1.0 - self.b) * (filled - self.b))
        late = jnp.tanh(2.5 / self.d * (filled - self.d))
        return jnp.where(some, self.kmin + (self.kmax - self.kmin) / 2.0 * (early - late + 2.0), self.kmax)

    def _appearing(self, y):
        return self.f * self.kabs * y.gut / self.bw

    def _excreted(self, plasma):
        return self.ke1 * jnp.maximum(plasma - self.ke2, 0.0)

    # --------------------------------------------------------------------------------------------- the basal state

    def _kp1(self):
        """Production at no glucose and insulin."""
        return self.egpb + self.kp2 * self.gb * self.vg + self.kp3 * self.ib

    def _tissue(self):
        plasma = self.gb * self.vg
        return (self.fcns - self.egpb + self._excreted(plasma) + self.k1 * plasma) / self.k2

    def _vm0(self):
        """Uptake at basal insulin that keeps glucose where it is."""
        tissue = self._tissue()
        return (self.egpb - self.fcns - self._excreted(self.gb * self.vg)) * (self.km0 + tissue) / tissue

    def basal_rate(self):
        """Insulin infused under the skin that keeps the basal state, IU/h."""
        insulin = self.ib * self.vi
        liver = self.m2 * insulin / (self.m1 + self.heb * self.m1 / (1.0 - self.heb))
        return self.bw * ((self.m2 + 2.0 / 3.0 * self.heb * self.m2) * insulin - self.m1 * liver)

    def initial(self):
        """Fasting, at the basal infusion, which has to go on."""
        plasma, insulin, infused = self.gb * self.vg, self.ib * self.vi, self.basal_rate()
        depot1 = infused / (self.ka1 + self.kd)
        none = 0.0 * self.crumb
        return self.State(
            solid=none, liquid=none, gut=none, eaten=none, starting=0.0 * self.b, plasma=plasma, tissue=self._tissue(),
            insulin=insulin, liver=self.m2 * insulin / (self.m1 + self.heb * self.m1 / (1.0 - self.heb)),
            action=0.0 * self.ib, delay1=self.ib, delay2=self.ib,
            depot1=depot1, depot2=self.kd * depot1 / self.ka2, sensor=plasma,
        )  # fmt: skip

    def output(self, t, y, u):
        """What is measured."""
        return self.Output(
            plasma=y.plasma / self.vg,
            sensor=y.sensor / self.vg,
            insulin=y.insulin / self.vi,
            appearance=self._appearing(y),
        )

    @classmethod
    def typical(cls):
        """adult#001."""
        return cls.per_minute(
            BW=102.32, Gb=138.56, Ib=100.25, EGPb=2.2758, kabs=0.08906, kmax=0.046122, kmin=0.0037927, b=0.70391,
            d=0.21057, f=0.9, Vg=1.9152, Vi=0.054906, k1=0.058138, k2=0.087114, Vmx=0.031319, Km0=253.52, p2u=0.027802,
            Fsnc=1.0, kp2=0.00469, kp3=0.01208, ki=0.0046374, ke1=0.0005, ke2=339.0, m1=0.15446, m2=0.225027424083,
            HEb=0.6, ka1=0.0019, ka2=0.0078, kd=0.0152, ksc=0.0766,
        )  # fmt: skip

    @classmethod
    def per_minute(cls, **given):
        """From the published names and units: min, dL, pmol (`Fsnc` is the brain's uptake). Others are ignored.

        **Raises** `ValueError` for one that is missing.
        """
        missing = sorted(cls.published - given.keys())
        if missing:
            raise ValueError(f"a virtual patient needs {', '.join(missing)}")
        rates = {ours: 60.0 * given[name] * factor for name, (ours, factor) in _RATES.items()}
        return cls(**rates, **{ours: given[name] * factor for name, (ours, factor) in _PLAIN.items()})
