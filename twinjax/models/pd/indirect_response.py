"""Indirect response: the drug changes the making or the loss of a response, which follows with its own turnover."""

from __future__ import annotations

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance
from twinjax.units import Concentration, Fraction, Number, Rate, Response, ResponseRate


class InhibitionOfProduction(AbstractModel):
    """Indirect response I: the drug inhibits the production of the response.

    .. code-block:: text

        response' = kin (1 - imax c / (ic50 + c)) - kout response          response(0) = kin / kout

    **Parameters** (scalars): `kin` production (au/h), `kout` loss rate constant (1/h), `imax` greatest
    fraction inhibited, `ic50` concentration at half of it (mg/L).
    **Assumptions**: the response is in its steady state before the drug; the drug acts without delay.
    **Reference**: Dayneka, Garg & Jusko 1993, J Pharmacokinet Biopharm 21:457, doi:10.1007/BF01061691. Typical values
    are illustrative, of the size of warfarin's effect on the prothrombin complex.
    """

    kin: ResponseRate
    kout: Rate
    imax: Fraction
    ic50: Concentration

    class State(eqx.Module):
        """The response."""

        response: Response

    class Input(eqx.Module):
        """The concentration that drives the effect."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """The response."""

        response: Response

    def derivative(self, t, y, u):
        """Production is inhibited."""
        inhibited = self.imax * u.concentration / (self.ic50 + u.concentration)
        return self.State(response=self.kin * (1.0 - inhibited) - self.kout * y.response)

    def output(self, t, y, u):
        """The response itself."""
        return self.Output(response=y.response)

    def initial(self):
        """The steady state without drug."""
        return self.State(response=self.kin / self.kout)

    def balances(self, t, y, u):
        """What is made less what is lost."""
        inhibited = self.imax * u.concentration / (self.ic50 + u.concentration)
        return {"response": Balance(("response",), gain=self.kin * (1.0 - inhibited) - self.kout * y.response)}

    @classmethod
    def typical(cls):
        """Illustrative values: a response of 100 with a half-life of 14 h."""
        return cls(kin=5.0, kout=0.05, imax=0.95, ic50=1.5)


class InhibitionOfLoss(AbstractModel):
    """Indirect response II: the drug inhibits the loss of the response.

    .. code-block:: text

        response' = kin - kout (1 - imax c / (ic50 + c)) response          response(0) = kin / kout

    **Parameters** (scalars): `kin` production (au/h), `kout` loss rate constant (1/h), `imax` greatest
    fraction inhibited, `ic50` concentration at half of it (mg/L).
    **Assumptions**: the response is in its steady state before the drug; the drug acts without delay.
    **Reference**: Dayneka, Garg & Jusko 1993, J Pharmacokinet Biopharm 21:457, doi:10.1007/BF01061691. Typical values
    are illustrative.
    """

    kin: ResponseRate
    kout: Rate
    imax: Fraction
    ic50: Concentration

    class State(eqx.Module):
        """The response."""

        response: Response

    class Input(eqx.Module):
        """The concentration that drives the effect."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """The response."""

        response: Response

    def derivative(self, t, y, u):
        """Loss is inhibited."""
        inhibited = self.imax * u.concentration / (self.ic50 + u.concentration)
        return self.State(response=self.kin - self.kout * (1.0 - inhibited) * y.response)

    def output(self, t, y, u):
        """The response itself."""
        return self.Output(response=y.response)

    def initial(self):
        """The steady state without drug."""
        return self.State(response=self.kin / self.kout)

    def balances(self, t, y, u):
        """What is made less what is lost."""
        inhibited = self.imax * u.concentration / (self.ic50 + u.concentration)
        return {"response": Balance(("response",), gain=self.kin - self.kout * (1.0 - inhibited) * y.response)}

    @classmethod
    def typical(cls):
        """Illustrative values."""
        return cls(kin=5.0, kout=0.05, imax=0.95, ic50=1.5)


class StimulationOfProduction(AbstractModel):
    """Indirect response III: the drug stimulates the production of the response.

    .. code-block:: text

        response' = kin (1 + smax c / (sc50 + c)) - kout response          response(0) = kin / kout

    **Parameters** (scalars): `kin` production (au/h), `kout` loss rate constant (1/h), `smax` greatest
    relative stimulation, `sc50` concentration at half of it (mg/L).
    **Assumptions**: the response is in its steady state before the drug; the drug acts without delay.
    **Reference**: Dayneka, Garg & Jusko 1993, J Pharmacokinet Biopharm 21:457, doi:10.1007/BF01061691. Typical values
    are illustrative.
    """

    kin: ResponseRate
    kout: Rate
    smax: Number
    sc50: Concentration

    class State(eqx.Module):
        """The response."""

        response: Response

    class Input(eqx.Module):
        """The concentration that drives the effect."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """The response."""

        response: Response

    def derivative(self, t, y, u):
        """Production is stimulated."""
        stimulated = self.smax * u.concentration / (self.sc50 + u.concentration)
        return self.State(response=self.kin * (1.0 + stimulated) - self.kout * y.response)

    def output(self, t, y, u):
        """The response itself."""
        return self.Output(response=y.response)

    def initial(self):
        """The steady state without drug."""
        return self.State(response=self.kin / self.kout)

    def balances(self, t, y, u):
        """What is made less what is lost."""
        stimulated = self.smax * u.concentration / (self.sc50 + u.concentration)
        return {"response": Balance(("response",), gain=self.kin * (1.0 + stimulated) - self.kout * y.response)}

    @classmethod
    def typical(cls):
        """Illustrative values."""
        return cls(kin=5.0, kout=0.05, smax=4.0, sc50=1.5)


class StimulationOfLoss(AbstractModel):
    """Indirect response IV: the drug stimulates the loss of the response.

    .. code-block:: text

        response' = kin - kout (1 + smax c / (sc50 + c)) response          response(0) = kin / kout

    **Parameters** (scalars): `kin` production (au/h), `kout` loss rate constant (1/h), `smax` greatest
    relative stimulation, `sc50` concentration at half of it (mg/L).
    **Assumptions**: the response is in its steady state before the drug; the drug acts without delay.
    **Reference**: Dayneka, Garg & Jusko 1993, J Pharmacokinet Biopharm 21:457, doi:10.1007/BF01061691. Typical values
    are illustrative.
    """

    kin: ResponseRate
    kout: Rate
    smax: Number
    sc50: Concentration

    class State(eqx.Module):
        """The response."""

        response: Response

    class Input(eqx.Module):
        """The concentration that drives the effect."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """The response."""

        response: Response

    def derivative(self, t, y, u):
        """Loss is stimulated."""
        stimulated = self.smax * u.concentration / (self.sc50 + u.concentration)
        return self.State(response=self.kin - self.kout * (1.0 + stimulated) * y.response)

    def output(self, t, y, u):
        """The response itself."""
        return self.Output(response=y.response)

    def initial(self):
        """The steady state without drug."""
        return self.State(response=self.kin / self.kout)

    def balances(self, t, y, u):
        """What is made less what is lost."""
        stimulated = self.smax * u.concentration / (self.sc50 + u.concentration)
        return {"response": Balance(("response",), gain=self.kin - self.kout * (1.0 + stimulated) * y.response)}

    @classmethod
    def typical(cls):
        """Illustrative values."""
        return cls(kin=5.0, kout=0.05, smax=4.0, sc50=1.5)
