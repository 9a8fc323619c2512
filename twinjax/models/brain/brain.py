"""A brain of five compartments: an organ for a body, and a model driven by a plasma concentration."""

from __future__ import annotations

from typing import Annotated, ClassVar

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel, Balance
from twinjax.models.body.organ import AbstractOrgan, Flow
from twinjax.units import Amount, Bounds, Clearance, Concentration, Fraction, Number, Scalar, Unit, Volume

Transport = Annotated[Scalar, Unit("L/h"), Bounds(0.0)]


class Spaces(eqx.Module):
    """Drug in the brain's blood, extracellular and intracellular fluid, cranial and spinal cerebrospinal fluid."""

    blood: Amount
    ecf: Amount
    icf: Amount
    cranial: Amount
    spinal: Amount


class Brain(AbstractOrgan):
    """Permeability-limited brain; `exchange` holds the equations.

    .. code-block:: text

        p_x = neutral_x unbound_x C_x          what passes a membrane
        blood'   = Q (C_in - C_blood) + bbb + bcsfb + sink_c C_cranial + sink_s C_spinal
        ecf'     = -bbb - cell - ependyma - bulk C_ecf          icf' = cell
        cranial' = ependyma - bcsfb + bulk C_ecf - in C_cranial + out C_spinal - sink_c C_cranial
        spinal'  = in C_cranial - (out + sink_s) C_spinal
        bbb      = ps_bbb (p_ecf - p_blood) + efflux_bbb u_ecf - uptake_bbb u_blood
        bcsfb    = ps_bcsfb (p_cranial - p_blood) + efflux_bcsfb u_cranial - uptake_bcsfb u_blood
        cell     = ps_cell (p_ecf - p_icf)       ependyma = ps_ependyma (p_ecf - p_cranial)       u_x = unbound_x C_x

    **Parameters**: volumes (L); flows of fluid and permeability-surface products (L/h); `efflux_*`, `uptake_*`, active
    clearances of unbound drug at the blood-brain and the blood-CSF barrier (L/h); fractions unbound, and neutral at
    the pH of each space. The fraction unbound in blood comes with the blood.
    **Assumptions**: only neutral unbound molecules pass passively; transport not saturable; no metabolism.
    **Reference**: structure of Gaohua et al. 2016, Drug Metab Pharmacokinet 31:224, doi:10.1016/j.dmpk.2016.03.005;
    anatomy by ICRP 89, Verscheijden et al. 2019, doi:10.1371/journal.pcbi.1007117, and Saleh et al. 2021,
    doi:10.1007/s10928-021-09768-7, as in https://github.com/petrov-aleks/CPT-article-BBB-framework.
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

    def initial(self):
        """No drug."""
        return Spaces(0.0, 0.0, 0.0, 0.0, 0.0)

    def removed(self, y, unbound):
        """Nothing."""
        return 0.0

    def exchange(self, y, inflow):
        """Rates of the five spaces; venous blood leaves as the brain's blood is."""
        blood, ecf, icf = y.blood / self.blood, y.ecf / self.ecf, y.icf / self.icf
        cranial, spinal = y.cranial / self.cranial, y.spinal / self.spinal
        u_blood, u_ecf, u_cranial = inflow.unbound * blood, self.unbound_ecf * ecf, self.unbound_csf * cranial
        p_blood, p_ecf, p_cranial = self.neutral_blood * u_blood, self.neutral_ecf * u_ecf, self.neutral_csf * u_cranial
        p_icf = self.neutral_icf * self.unbound_icf * icf
        bbb = self.ps_bbb * (p_ecf - p_blood) + self.efflux_bbb * u_ecf - self.uptake_bbb * u_blood
        bcsfb = self.ps_bcsfb * (p_cranial - p_blood) + self.efflux_bcsfb * u_cranial - self.uptake_bcsfb * u_blood
        cell, ependyma = self.ps_cell * (p_ecf - p_icf), self.ps_ependyma * (p_ecf - p_cranial)
        bulk, sunk_c, sunk_s = self.bulk * ecf, self.cranial_sink * cranial, self.spinal_sink * spinal
        down = self.spinal_in * cranial - self.spinal_out * spinal
        outflow = Flow(inflow.rate, blood, inflow.unbound)
        rates = Spaces(
            blood=inflow.flux - outflow.flux + bbb + bcsfb + sunk_c + sunk_s,
            ecf=-bbb - cell - ependyma - bulk,
            icf=cell,
            cranial=ependyma - bcsfb + bulk - down - sunk_c,
            spinal=down - sunk_s,
        )
        return rates, outflow

    @classmethod
    def human(
        cls, ps_bbb, *, unbound_icf, unbound_ecf=1.0, unbound_csf=1.0, neutral=(1.0, 1.0, 1.0, 1.0), efflux=(0.0, 0.0),
        uptake=(0.0, 0.0), tissue=1.45, blood=0.064,
    ):  # fmt: skip
        """A man's brain for a drug.

        **Parameters**: `ps_bbb`, permeability-surface product of the blood-brain barrier (L/h), to which that of the
        blood-CSF barrier (half) and of the cells (20 times) are tied; `neutral`, fractions in blood, ECF, ICF, CSF;
        `efflux`, `uptake`, active clearances at the two barriers (L/h); `tissue`, `blood`, volumes (L).
        """
        whole = tissue + blood
        csf = 0.105 * whole
        cells = whole - 0.005 * whole - blood - csf
        made = 0.021
        sink = 0.38 * made
        return cls(
            blood=blood, ecf=0.2 * cells, icf=0.8 * cells, cranial=0.8 * csf, spinal=0.2 * csf, bulk=0.25 * made,
            cranial_sink=0.62 * made, spinal_sink=sink, spinal_in=1.9 * sink, spinal_out=0.9 * sink, ps_bbb=ps_bbb,
            ps_bcsfb=0.5 * ps_bbb, ps_cell=20.0 * ps_bbb, ps_ependyma=300.0, efflux_bbb=efflux[0], uptake_bbb=uptake[0],
            efflux_bcsfb=efflux[1], uptake_bcsfb=uptake[1], unbound_ecf=unbound_ecf, unbound_icf=unbound_icf,
            unbound_csf=unbound_csf, neutral_blood=neutral[0], neutral_ecf=neutral[1], neutral_icf=neutral[2],
            neutral_csf=neutral[3],
        )  # fmt: skip


class PermeabilityLimitedBrain(AbstractModel):
    """A `Brain` that plasma drives and that gives nothing back: ``coupled({"brain.plasma": "pk.plasma"}, ...)``.

    .. code-block:: text

        blood enters at blood_to_plasma plasma;  kp_uu = unbound_ecf C_ecf / (fu plasma)

    **Parameters**: `brain`, with its spaces and barriers; `perfusion` (L/h); `fu`, unbound in plasma;
    `blood_to_plasma`.
    **Assumptions**: what the brain takes up is not missed in plasma; `kp_uu` is a ratio at one time, and Kp,uu proper
    when both are steady (0 without drug in plasma).
    **Reference**: see `Brain`. Typical values: paracetamol at the permeability that its CSF data gave, 73-kg man.
    """

    brain: Brain
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
        return self.State(self.brain.initial())

    def _inflow(self, u):
        unbound = self.fu / self.blood_to_plasma
        return Flow(self.perfusion, self.blood_to_plasma * u.plasma, unbound)

    def derivative(self, t, y, u):
        """The organ's exchange with arterial blood."""
        rates, _ = self.brain.exchange(y.brain, self._inflow(u))
        return self.State(rates)

    def output(self, t, y, u):
        """Concentrations and their ratio."""
        spaces, brain = y.brain, self.brain
        ecf = spaces.ecf / brain.ecf
        return self.Output(
            ecf=ecf,
            icf=spaces.icf / brain.icf,
            cranial_csf=spaces.cranial / brain.cranial,
            spinal_csf=spaces.spinal / brain.spinal,
            kp_uu=brain.unbound_ecf * ecf / jnp.maximum(self.fu * u.plasma, self.FLOOR),
        )

    def balances(self, t, y, u):
        """The drug that blood brings less what it takes."""
        inflow = self._inflow(u)
        _, outflow = self.brain.exchange(y.brain, inflow)
        states = tuple(f"brain.{n}" for n in ("blood", "ecf", "icf", "cranial", "spinal"))
        return {"drug": Balance(states, gain=inflow.flux - outflow.flux)}

    @classmethod
    def typical(cls):
        """Paracetamol."""
        return cls(Brain.human(10.377762907868, unbound_icf=0.75), perfusion=46.8, fu=0.86, blood_to_plasma=1.09)
