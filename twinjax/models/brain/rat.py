"""Two brains of rats, measured by microdialysis: acetaminophen through the ventricles, morphine with transporters."""

from __future__ import annotations

from typing import Annotated

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance
from twinjax.units import Amount, Clearance, Concentration, ConcentrationRate, Rate, Scalar, Unit, Volume

_MgRate = Annotated[Scalar, Unit("mg/h")]


class RatBrainAcetaminophen(AbstractModel):
    """Unbound acetaminophen in a rat's plasma, brain and cerebrospinal fluid, from ventricle to ventricle.

    .. code-block:: text

        ecf' = cl_in_ecf C - cl_out_ecf C_ecf - q_ecf C_ecf
        lv'  = cl_in_lv C - cl_out_lv C_lv + q_ecf C_ecf - q_csf C_lv      tfv' = the same with q_csf (C_lv - C_tfv)
        cm'  = cl_in_cm C - cl_out_cm C_cm + q_csf (C_tfv - C_cm)          sas' = q_csf (C_cm - C_sas)
        plasma gives and takes all of these, takes q_csf C_sas, exchanges q with the periphery, and loses cl C

    Doses go into ``plasma``; what comes back from the bile, 0.025 % of the dose a minute, is another infusion.
    **Parameters**: `cl` elimination, `q` to the periphery, `cl_in_*`, `cl_out_*` of each space (third and fourth
    ventricle as the lateral ones), flows `q_ecf`, `q_csf` (L/h); volumes (L), `v_brain` of extracellular and
    intracellular fluid together.
    **Assumptions**: cells hold what extracellular fluid does; concentrations of plasma are unbound ones.
    **Reference**: Westerhout et al. 2012, AAPS J 14:543, doi:10.1208/s12248-012-9366-1, table I (250-g rat).
    """

    cl: Clearance
    q: Clearance
    cl_in_ecf: Clearance
    cl_out_ecf: Clearance
    cl_in_lv: Clearance
    cl_out_lv: Clearance
    cl_in_cm: Clearance
    cl_out_cm: Clearance
    q_ecf: Clearance
    q_csf: Clearance
    v_plasma: Volume
    v_peripheral: Volume
    v_brain: Volume
    v_lv: Volume
    v_tfv: Volume
    v_cm: Volume
    v_sas: Volume

    class State(eqx.Module):
        """Drug in plasma and periphery, brain, lateral, third and fourth ventricles, cisterna magna, subarachnoid."""

        plasma: Amount
        peripheral: Amount
        brain: Amount
        lv: Amount
        tfv: Amount
        cm: Amount
        sas: Amount

    class Input(eqx.Module):
        """Drug that enters plasma."""

        plasma: _MgRate = 0.0

    class Output(eqx.Module):
        """Unbound concentrations."""

        plasma: Concentration
        ecf: Concentration
        lv: Concentration
        tfv: Concentration
        cm: Concentration
        sas: Concentration

    def output(self, t, y, u):
        """Amounts over volumes."""
        return self.Output(
            y.plasma / self.v_plasma, y.brain / self.v_brain, y.lv / self.v_lv, y.tfv / self.v_tfv, y.cm / self.v_cm,
            y.sas / self.v_sas,
        )  # fmt: skip

    def derivative(self, t, y, u):
        """In from plasma and from the space before; out to plasma and to the next."""
        c = self.output(t, y, u)
        to_brain = self.cl_in_ecf * c.plasma - self.cl_out_ecf * c.ecf
        to_lv = self.cl_in_lv * c.plasma - self.cl_out_lv * c.lv
        to_tfv = self.cl_in_lv * c.plasma - self.cl_out_lv * c.tfv
        to_cm = self.cl_in_cm * c.plasma - self.cl_out_cm * c.cm
        shared = self.q * (c.plasma - y.peripheral / self.v_peripheral)
        bulk = self.q_ecf * c.ecf
        return self.State(
            plasma=u.plasma - self.cl * c.plasma - shared - to_brain - to_lv - to_tfv - to_cm + self.q_csf * c.sas,
            peripheral=shared,
            brain=to_brain - bulk,
            lv=to_lv + bulk - self.q_csf * c.lv,
            tfv=to_tfv + self.q_csf * (c.lv - c.tfv),
            cm=to_cm + self.q_csf * (c.tfv - c.cm),
            sas=self.q_csf * (c.cm - c.sas),
        )

    def balances(self, t, y, u):
        """Drug leaves by elimination alone."""
        states = ("plasma", "peripheral", "brain", "lv", "tfv", "cm", "sas")
        return {"drug": Balance(states, gain=-self.cl * y.plasma / self.v_plasma)}

    @classmethod
    def typical(cls):
        """The paper's rat, from mL/min and uL/min."""
        ml, ul = 0.06, 6e-5
        return cls(
            cl=13.8 * ml, q=45.1 * ml, cl_in_ecf=165 * ul, cl_out_ecf=198 * ul, cl_in_lv=2.9 * ul, cl_out_lv=5.0 * ul,
            cl_in_cm=0.8 * ul, cl_out_cm=4.5 * ul, q_ecf=0.2 * ul, q_csf=2.2 * ul, v_plasma=10.6e-3,
            v_peripheral=188e-3, v_brain=1.73e-3, v_lv=50e-6, v_tfv=50e-6, v_cm=17e-6, v_sas=180e-6,
        )  # fmt: skip


class RatBrainMorphine(AbstractModel):
    """Morphine in a rat's striatum, driven by blood: ``coupled({"brain.blood": "pk.plasma"}, ...)``.

    ``ecf' = kdiff (C - ecf) + influx C / (c50 + C) - keff ecf``, C the concentration in blood.
    **Parameters**: `kdiff` of diffusion, `keff` of efflux by P-glycoprotein (1/h); `influx`, highest rate of active
    uptake (mg/L/h), `c50` (mg/L).
    **Assumptions**: what the brain takes up is not missed in blood; constants are per volume of extracellular fluid.
    **Reference**: Groenendaal et al. 2007, Br J Pharmacol 151:701, doi:10.1038/sj.bjp.0707257, table 3.
    """

    kdiff: Rate
    keff: Rate
    influx: ConcentrationRate
    c50: Concentration

    class State(eqx.Module):
        """Concentration in extracellular fluid."""

        ecf: Concentration

    class Input(eqx.Module):
        """Concentration in blood."""

        blood: Concentration = 0.0

    class Output(eqx.Module):
        """Concentration in extracellular fluid."""

        ecf: Concentration

    def derivative(self, t, y, u):
        """Diffusion, uptake, efflux."""
        active = self.influx * u.blood / (self.c50 + u.blood)
        return self.State(self.kdiff * (u.blood - y.ecf) + active - self.keff * y.ecf)

    def output(self, t, y, u):
        """As it is."""
        return self.Output(y.ecf)

    @classmethod
    def typical(cls):
        """Without inhibitor, from minutes and ng/mL; with elacridar `keff` is 0.0113/min."""
        return cls(kdiff=0.0014 * 60.0, keff=0.0195 * 60.0, influx=0.658e-3 * 60.0, c50=9.92e-3)
