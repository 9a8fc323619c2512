"""Precursor-dependent indirect response: the drug acts on the release of a pool, which tires and rebounds."""

from __future__ import annotations

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance
from twinjax.units import Concentration, Fraction, Number, Rate, Response, ResponseRate


class PrecursorInhibition(AbstractModel):
    """The drug inhibits the release of a precursor that becomes the response.

    .. code-block:: text

        precursor' = kin - r                                       precursor(0) = kin / kp
        response'  = r - kout response                             response(0)  = kin / kout
        r = kp (1 - imax c / (ic50 + c)) precursor

    **Parameters** (scalars): `kin` production of the precursor (au/h), `kp` release rate constant and `kout` loss rate
    constant (1/h), `imax` greatest fraction inhibited, `ic50` concentration at half of it (mg/L).
    **Assumptions**: both pools are in their steady state before the drug; all precursor becomes response; the drug acts
    without delay. The pool fills meanwhile, so that the
    response tires of the drug and overshoots after it (tolerance and rebound).
    **Reference**: Sharma, Ebling & Jusko 1998, J Pharm Sci 87:1577. Typical values are illustrative.
    """

    kin: ResponseRate
    kp: Rate
    kout: Rate
    imax: Fraction
    ic50: Concentration

    class State(eqx.Module):
        """The precursor and the response."""

        precursor: Response
        response: Response

    class Input(eqx.Module):
        """The concentration that drives the effect."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """The response."""

        response: Response

    def derivative(self, t, y, u):
        """What leaves the precursor becomes the response."""
        inhibited = self.imax * u.concentration / (self.ic50 + u.concentration)
        released = self.kp * (1.0 - inhibited) * y.precursor
        return self.State(precursor=self.kin - released, response=released - self.kout * y.response)

    def output(self, t, y, u):
        """The response itself."""
        return self.Output(response=y.response)

    def initial(self):
        """The steady state without drug."""
        return self.State(precursor=self.kin / self.kp, response=self.kin / self.kout)

    def balances(self, t, y, u):
        """The drug moves precursor into the response, and changes neither production nor loss of the sum."""
        return {"pool": Balance(("precursor", "response"), gain=self.kin - self.kout * y.response)}

    @classmethod
    def typical(cls):
        """Illustrative values."""
        return cls(kin=5.0, kp=0.02, kout=0.1, imax=0.9, ic50=1.5)


class PrecursorStimulation(AbstractModel):
    """The drug stimulates the release of a precursor that becomes the response.

    .. code-block:: text

        precursor' = kin - r                                       precursor(0) = kin / kp
        response'  = r - kout response                             response(0)  = kin / kout
        r = kp (1 + smax c / (sc50 + c)) precursor

    **Parameters** (scalars): `kin` production of the precursor (au/h), `kp` release rate constant and `kout` loss rate
    constant (1/h), `smax` greatest relative stimulation, `sc50` concentration at half of it (mg/L).
    **Assumptions**: both pools are in their steady state before the drug; all precursor becomes response; the drug acts
    without delay. The pool empties meanwhile, so that the
    response tires of the drug and undershoots after it (tolerance and rebound).
    **Reference**: Sharma, Ebling & Jusko 1998, J Pharm Sci 87:1577. Typical values are illustrative.
    """

    kin: ResponseRate
    kp: Rate
    kout: Rate
    smax: Number
    sc50: Concentration

    class State(eqx.Module):
        """The precursor and the response."""

        precursor: Response
        response: Response

    class Input(eqx.Module):
        """The concentration that drives the effect."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """The response."""

        response: Response

    def derivative(self, t, y, u):
        """What leaves the precursor becomes the response."""
        stimulated = self.smax * u.concentration / (self.sc50 + u.concentration)
        released = self.kp * (1.0 + stimulated) * y.precursor
        return self.State(precursor=self.kin - released, response=released - self.kout * y.response)

    def output(self, t, y, u):
        """The response itself."""
        return self.Output(response=y.response)

    def initial(self):
        """The steady state without drug."""
        return self.State(precursor=self.kin / self.kp, response=self.kin / self.kout)

    def balances(self, t, y, u):
        """The drug moves precursor into the response, and changes neither production nor loss of the sum."""
        return {"pool": Balance(("precursor", "response"), gain=self.kin - self.kout * y.response)}

    @classmethod
    def typical(cls):
        """Illustrative values."""
        return cls(kin=5.0, kp=0.02, kout=0.1, smax=4.0, sc50=1.5)
