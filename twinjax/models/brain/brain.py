"""A brain of five compartments behind its barriers: an organ of a body, and a model that plasma drives."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import equinox as eqx
import jax.numpy as jnp

from twinjax.context.statements import BRAIN
from twinjax.models.base import AbstractModel, Balance
from twinjax.models.pbpk.flow import AbstractOrgan
from twinjax.units import Amount, Bounds, Clearance, Concentration, Fraction, MolarAmount, Number, Scalar, Unit, Volume

Transport = Annotated[Scalar, Unit("L/h"), Bounds(0.0)]

SPACES = ("blood", "ecf", "icf", "cranial", "spinal")


class BrainAnatomy(eqx.Module):
    """A brain, drug-free.

    **Parameters**: volumes of its blood, extracellular and intracellular fluid, cranial and spinal cerebrospinal fluid
    (L); flows of fluid (L/h): `bulk` from ECF to CSF, `cranial_sink` and `spinal_sink` into blood, `spinal_in` and
    `spinal_out` between cranial and spinal CSF.
    """

    blood: Volume
    ecf: Volume
    icf: Volume
    cranial: Volume
    spinal: Volume
    bulk: Clearance
    cranial_sink: Clearance
    spinal_sink: Clearance
    spinal_in: Clearance
    spinal_out: Clearance

    @classmethod
    def man(cls, tissue: float = 1.45, blood: float = 0.064) -> BrainAnatomy:
        """A man's, from the volumes of his brain's tissue and blood (L).

        **Reference**: ICRP 89; fractions and CSF flows of Verscheijden et al. 2019, doi:10.1371/journal.pcbi.1007117,
        and Saleh et al. 2021, doi:10.1007/s10928-021-09768-7.
        """
        whole, made = tissue + blood, 0.021
        csf, sink = 0.105 * whole, 0.38 * made
        cells = whole - 0.005 * whole - blood - csf
        return cls(
            blood, 0.2 * cells, 0.8 * cells, 0.8 * csf, 0.2 * csf, 0.25 * made, 0.62 * made, sink, 1.9 * sink,
            0.9 * sink,
        )  # fmt: skip


class Barriers(eqx.Module):
    """What a brain's barriers and fluids are to a drug.

    **Parameters**: permeability-surface products of the blood-brain and the blood-CSF barrier, of cells and of the
    ependyma (L/h); `efflux_*`, `uptake_*`, active clearances of unbound drug at the two barriers (L/h); fractions
    unbound, and neutral at the pH of each space. The fraction unbound in blood comes with the blood.
    """

    ps_bbb: Clearance
    ps_bcsfb: Clearance
    ps_cell: Clearance
    ps_ependyma: Clearance
    efflux_bbb: Transport
    uptake_bbb: Transport
    efflux_bcsfb: Transport
    uptake_bcsfb: Transport
    unbound_ecf: Fraction
    unbound_icf: Fraction
    unbound_csf: Fraction
    neutral_blood: Fraction
    neutral_ecf: Fraction
    neutral_icf: Fraction
    neutral_csf: Fraction

    @classmethod
    def of(
        cls, ps_bbb: Scalar, *, unbound_icf: Scalar, unbound_ecf: Scalar = 1.0, unbound_csf: Scalar = 1.0,
        neutral: tuple[Scalar, ...] = (1.0, 1.0, 1.0, 1.0), efflux: tuple[Scalar, Scalar] = (0.0, 0.0),
        uptake: tuple[Scalar, Scalar] = (0.0, 0.0),
    ) -> Barriers:  # fmt: skip
        """A drug's, from the permeability-surface product of the blood-brain barrier (L/h).

        That of the blood-CSF barrier is half of it, that of the cells 20 times, and the ependyma lets all through.
        **Parameters**: `neutral`, fractions in blood, ECF, cells, CSF; `efflux`, `uptake`, at the two barriers (L/h).
        **Warns** of a permeability outside those of drugs whose brains were compared with data.
        **Reference**: ratios of surfaces, Gaohua et al. 2016, doi:10.1016/j.dmpk.2016.03.005, and Bowman et al. 2023,
        as in https://github.com/petrov-aleks/CPT-article-BBB-framework.
        """
        BRAIN.warn(ps_bbb=ps_bbb)
        return cls(
            ps_bbb, 0.5 * ps_bbb, 20.0 * ps_bbb, 300.0, efflux[0], uptake[0], efflux[1], uptake[1], unbound_ecf,
            unbound_icf, unbound_csf, *neutral,
        )  # fmt: skip


def crossing(
    brain: BrainAnatomy, drug: Barriers, y: tuple[Any, ...], rate: Any, concentration: Any, unbound: Any
) -> Any:
    """Rates of change of the five `SPACES`, of amounts `y` there, and the concentration in the blood that leaves.

    .. code-block:: text

        p_x = neutral_x unbound_x C_x                                 what passes a membrane;  u_x = unbound_x C_x
        blood'   = Q (C_in - C_blood) + bbb + bcsfb + sink_c C_cranial + sink_s C_spinal
        ecf'     = -bbb - cell - ependyma - bulk C_ecf          icf' = cell
        cranial' = ependyma - bcsfb + bulk C_ecf - in C_cranial + out C_spinal - sink_c C_cranial
        spinal'  = in C_cranial - (out + sink_s) C_spinal
        bbb      = ps_bbb (p_ecf - p_blood) + efflux_bbb u_ecf - uptake_bbb u_blood
        bcsfb    = ps_bcsfb (p_cranial - p_blood) + efflux_bcsfb u_cranial - uptake_bcsfb u_blood
        cell     = ps_cell (p_ecf - p_icf)       ependyma = ps_ependyma (p_ecf - p_cranial)

    **Parameters**: `rate` of blood (L/h), its `concentration` and fraction `unbound`.
    **Assumptions**: only neutral unbound molecules pass passively; transport is not saturable; no metabolism.
    **Reference**: structure of Gaohua et al. 2016, Drug Metab Pharmacokinet 31:224, doi:10.1016/j.dmpk.2016.03.005.
    """
    blood, ecf, icf, cranial, spinal = (a / getattr(brain, n) for n, a in zip(SPACES, y, strict=True))
    u_blood, u_ecf, u_cranial = unbound * blood, drug.unbound_ecf * ecf, drug.unbound_csf * cranial
    p_blood, p_ecf, p_cranial = drug.neutral_blood * u_blood, drug.neutral_ecf * u_ecf, drug.neutral_csf * u_cranial
    p_icf = drug.neutral_icf * drug.unbound_icf * icf
    bbb = drug.ps_bbb * (p_ecf - p_blood) + drug.efflux_bbb * u_ecf - drug.uptake_bbb * u_blood
    bcsfb = drug.ps_bcsfb * (p_cranial - p_blood) + drug.efflux_bcsfb * u_cranial - drug.uptake_bcsfb * u_blood
    cell, ependyma = drug.ps_cell * (p_ecf - p_icf), drug.ps_ependyma * (p_ecf - p_cranial)
    bulk, sunk_c, sunk_s = brain.bulk * ecf, brain.cranial_sink * cranial, brain.spinal_sink * spinal
    down = brain.spinal_in * cranial - brain.spinal_out * spinal
    return (
        rate * (concentration - blood) + bbb + bcsfb + sunk_c + sunk_s,
        -bbb - cell - ependyma - bulk,
        cell,
        ependyma - bcsfb + bulk - down - sunk_c,
        down - sunk_s,
    ), blood


class Spaces(eqx.Module):
    """Drug in the brain's blood, extracellular and intracellular fluid, cranial and spinal cerebrospinal fluid."""

    blood: Amount
    ecf: Amount
    icf: Amount
    cranial: Amount
    spinal: Amount


class PermeabilityLimitedBrain(AbstractModel):
    """A brain that plasma drives and that gives nothing back: ``coupled({"brain.plasma": "pk.plasma"}, ...)``.

    The equations are those of `crossing`; blood enters at ``blood_to_plasma plasma``, and
    ``kp_uu = unbound_ecf C_ecf / (fu plasma)``.
    **Parameters**: `anatomy`; `drug`, its barriers; `perfusion` (L/h); `fu`, unbound in plasma; `blood_to_plasma`.
    **Assumptions**: what the brain takes up is not missed in plasma; `kp_uu` is a ratio at one time, and Kp,uu proper
    when both are steady (0 without drug in plasma).
    **Reference**: see `crossing`. Typical values: paracetamol at the permeability that its CSF data gave, 73-kg man.
    """

    anatomy: BrainAnatomy
    drug: Barriers
    perfusion: Clearance
    fu: Fraction
    blood_to_plasma: Number

    FLOOR: ClassVar[Annotated[float, Unit("mg/L")]] = 1e-12

    class State(eqx.Module):
        """Drug in the brain's five spaces."""

        brain: Spaces

    class Input(eqx.Module):
        """Total concentration in plasma."""

        plasma: Concentration = 0.0

    class Output(eqx.Module):
        """Total concentrations in the fluids, and unbound ECF over unbound plasma."""

        ecf: Concentration
        icf: Concentration
        cranial_csf: Concentration
        spinal_csf: Concentration
        kp_uu: Number

    def initial(self):
        """No drug."""
        return self.State(Spaces(0.0, 0.0, 0.0, 0.0, 0.0))

    def _crossing(self, y, u):
        held = tuple(getattr(y.brain, n) for n in SPACES)
        unbound = self.fu / self.blood_to_plasma
        return crossing(self.anatomy, self.drug, held, self.perfusion, self.blood_to_plasma * u.plasma, unbound)

    def derivative(self, t, y, u):
        """Exchange with arterial blood."""
        return self.State(Spaces(*self._crossing(y, u)[0]))

    def output(self, t, y, u):
        """Concentrations and their ratio."""
        spaces, brain = y.brain, self.anatomy
        ecf = spaces.ecf / brain.ecf
        return self.Output(
            ecf=ecf,
            icf=spaces.icf / brain.icf,
            cranial_csf=spaces.cranial / brain.cranial,
            spinal_csf=spaces.spinal / brain.spinal,
            kp_uu=self.drug.unbound_ecf * ecf / jnp.maximum(self.fu * u.plasma, self.FLOOR),
        )

    def balances(self, t, y, u):
        """The drug that blood brings less what it takes."""
        left = self._crossing(y, u)[1]
        gain = self.perfusion * (self.blood_to_plasma * u.plasma - left)
        return {"drug": Balance(tuple(f"brain.{n}" for n in SPACES), gain=gain)}

    @classmethod
    def typical(cls):
        """Paracetamol."""
        drug = Barriers.of(10.377762907868, unbound_icf=0.75)
        return cls(BrainAnatomy.man(), drug, perfusion=46.8, fu=0.86, blood_to_plasma=1.09)


class MolarSpaces(eqx.Module):
    """Drugs in the five spaces, by name."""

    blood: dict[str, MolarAmount]
    ecf: dict[str, MolarAmount]
    icf: dict[str, MolarAmount]
    cranial: dict[str, MolarAmount]
    spinal: dict[str, MolarAmount]


class BarrierBrain(AbstractOrgan):
    """A brain of five spaces for a `WholeBody`, which takes from its blood what it takes up.

    ``dataclasses.replace(body, tissues={**body.tissues, "brain": BarrierBrain(BrainAnatomy.man(), {...})})``
    **Parameters**: `anatomy`; `drugs`, the `Barriers` of every drug of the body by name. Equations: `crossing`.
    """

    anatomy: BrainAnatomy
    drugs: dict[str, Barriers]

    def initial(self):
        """No drug."""
        empty: dict[str, Any] = dict.fromkeys(self.drugs, 0.0)
        return MolarSpaces(empty, empty, empty, empty, empty)

    def exchange(self, y, inflow):
        """Each drug crosses by itself."""
        rates: dict[str, dict[str, Any]] = {n: {} for n in SPACES}
        left = {}
        for name, drug in self.drugs.items():
            held = tuple(getattr(y, n)[name] for n in SPACES)
            came, free = inflow.concentration[name], inflow.solutes[name].unbound
            found, left[name] = crossing(self.anatomy, drug, held, inflow.rate, came, free)
            for n, r in zip(SPACES, found, strict=True):
                rates[n][name] = r
        return MolarSpaces(**rates), inflow.leaving({n: inflow.rate * c for n, c in left.items()})

    def kp_uu(self, y: MolarSpaces, plasma: Any, fu: Any, drug: str) -> Any:
        """Unbound drug in ECF over that in plasma, from the brain's state and the total concentration in plasma."""
        return self.drugs[drug].unbound_ecf * y.ecf[drug] / self.anatomy.ecf / (fu * plasma)
