"""An effect that lags behind the concentration because the drug must reach its site."""

from __future__ import annotations

import equinox as eqx

from twinjax.models.base import AbstractModel
from twinjax.models.pd.effect import Change, hill
from twinjax.units import Concentration, Number, Rate, Response


class EffectCompartment(AbstractModel):
    """A hypothetical effect site in exchange with plasma, and a sigmoid effect of its concentration.

    .. code-block:: text

        effect_site' = ke0 (concentration - effect_site)
        effect       = e0 + emax effect_site^gamma / (ec50^gamma + effect_site^gamma)

    **Parameters** (scalars): `ke0` equilibration rate constant (1/h), `e0` baseline (au), `emax` greatest change (au),
    negative where the drug lowers the response, `ec50` effect-site concentration at half of it (mg/L), `gamma`
    steepness.
    **Assumptions**: the effect site holds a negligible amount of drug.
    **Reference**: Sheiner et al. 1979, Clin Pharmacol Ther 25:358, doi:10.1002/cpt1979253358. Typical values are
    illustrative, of the size of remifentanil's effect on the spectral edge of the EEG (Hz).
    """

    ke0: Rate
    e0: Response
    emax: Change
    ec50: Concentration
    gamma: Number

    class State(eqx.Module):
        """Concentration at the effect site."""

        effect_site: Concentration

    class Input(eqx.Module):
        """The concentration in exchange with the effect site."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """Concentration at the effect site, and the response."""

        effect_site: Concentration
        effect: Response

    def derivative(self, t, y, u):
        """The effect site follows plasma."""
        return self.State(effect_site=self.ke0 * (u.concentration - y.effect_site))

    def output(self, t, y, u):
        """The response to the effect-site concentration."""
        effect = self.e0 + self.emax * hill(y.effect_site / self.ec50, self.gamma)
        return self.Output(effect_site=y.effect_site, effect=effect)

    @classmethod
    def typical(cls):
        """Illustrative values: a spectral edge from 20 Hz down to 5.5 Hz."""
        return cls(ke0=0.595 * 60, e0=20.0, emax=5.5 - 20.0, ec50=0.0131, gamma=2.44)
