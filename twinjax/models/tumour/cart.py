"""CAR-T cells in the blood: expansion, contraction and persistence, alone or with the tumour that drives them."""

from __future__ import annotations

from typing import Annotated, ClassVar

import equinox as eqx
import jax.numpy as jnp
from jax import lax

from twinjax.models.base import AbstractModel
from twinjax.units import Fraction, Number, Rate, Response, Time, Unit


class CARTKinetics(AbstractModel):
    """Transgene copies of CAR-T cells: exponential expansion, then two phases of loss.

    .. code-block:: text

        copies = cmax / fold exp(log(fold) t / tmax)                                                  to tmax
        copies = cmax ((1 - memory) exp(-contraction (t - tmax)) + memory exp(-persistence (t - tmax)))   after

    **Parameters** (scalars): `fold` of expansion, `tmax` time of the peak (h), `cmax` the peak (au: copies/ug),
    `memory` share of cells that persist, `contraction`, `persistence` rate constants of loss (1/h).
    **Assumptions**: the infusion is at time 0; no initial distribution phase; nothing integrates, so that times of the
    phases have exact derivatives.
    **Reference**: Stein et al. 2019, CPT Pharmacometrics Syst Pharmacol 8:285, doi:10.1002/psp4.12388. Typical values
    are those of tisagenlecleucel.
    """

    fold: Number
    tmax: Time
    cmax: Response
    memory: Fraction
    contraction: Rate
    persistence: Rate

    class State(eqx.Module):
        """Nothing integrates."""

    class Input(eqx.Module):
        """Nothing drives it."""

    class Output(eqx.Module):
        """Transgene copies."""

        copies: Response

    def derivative(self, t, y, u):
        """Nothing integrates."""
        return self.State()

    def output(self, t, y, u):
        """By phase."""
        since = jnp.maximum(t - self.tmax, 0.0)
        lost = (1.0 - self.memory) * jnp.exp(-self.contraction * since)
        kept = self.memory * jnp.exp(-self.persistence * since)
        grown = jnp.exp(jnp.log(self.fold) * (jnp.minimum(t / self.tmax, 1.0) - 1.0))
        return self.Output(copies=self.cmax * jnp.where(t > self.tmax, lost + kept, grown))

    @classmethod
    def typical(cls):
        """Tisagenlecleucel: 3900-fold to 24,000 copies/ug at 9.3 days; 0.16 and 0.0032 /d."""
        return cls(fold=3900.0, tmax=9.3 * 24, cmax=24000.0, memory=0.0079, contraction=0.16 / 24,
                   persistence=0.0032 / 24)  # fmt: skip


class CARTTumour(AbstractModel):
    """CAR-T cells that expand on the tumour's antigen and kill it; some persist.

    .. code-block:: text

        early        = 1 to tmax, 0 after, over some 15 minutes
        expanding'   = early expansion E U / (ec50_expansion + E + U) - (1 - early) (persisting + loss) E
        persistent'  = (1 - early) (persisting E - decay P)
        tumour'      = cured growth U (1 - log(U) / log(capacity)) - killing E U / (ec50_killing + E + U)
        cured        = 1 / (1 + (critical / U)^hill)

    E and U are expanding cells and tumour cells.

    **Parameters** (scalars): `expanding0`, `tumour0` cells at the start (au: cells per volume), `expansion` greatest
    rate (1/h), `ec50_expansion`, `ec50_killing` (au), `tmax` time of the peak (h), `loss`, `persisting`, `decay` rate
    constants (1/h), `growth` of the tumour (1/h), `capacity` (au), `killing` (1/h), `critical` size below which the
    tumour dies out (au), `hill` of that.
    **Assumptions**: the infusion is at time 0; what CAR-T cells do changes at `tmax` within some 15 minutes, so that
    `tmax` has a derivative.
    **Reference**: BioModels BIOMD0000001025, whose numbers these are, per day over 24.
    """

    expanding0: Response
    tumour0: Response
    expansion: Rate
    ec50_expansion: Response
    tmax: Time
    loss: Rate
    persisting: Rate
    decay: Rate
    growth: Rate
    capacity: Response
    killing: Rate
    ec50_killing: Response
    critical: Response
    hill: Number

    ONE: ClassVar[Annotated[float, Unit("au")]] = 1.0
    quiescent: ClassVar[bool] = False

    class State(eqx.Module):
        """CAR-T cells that expand and that persist, and the tumour's cells."""

        expanding: Response
        persistent: Response
        tumour: Response

    class Input(eqx.Module):
        """Nothing drives it."""

    class Output(eqx.Module):
        """CAR-T cells and tumour cells."""

        cart: Response
        tumour: Response

    def derivative(self, t, y, u):
        """Expansion while antigen and time last, then loss."""
        e, cells = y.expanding, jnp.maximum(y.tumour, 1e-12 * self.capacity)
        early = lax.logistic((self.tmax - t) / (1e-4 * self.tmax))
        met = e * y.tumour / (self.ec50_expansion + e + y.tumour)
        cured = 1.0 / (1.0 + jnp.exp(self.hill * jnp.log(self.critical / cells)))
        room = 1.0 - jnp.log(cells / self.ONE) / jnp.log(self.capacity / self.ONE)
        dies = self.killing * e * y.tumour / (self.ec50_killing + e + y.tumour)
        late = 1.0 - early
        return self.State(
            expanding=early * self.expansion * met - late * (self.persisting + self.loss) * e,
            persistent=late * (self.persisting * e - self.decay * y.persistent),
            tumour=cured * self.growth * y.tumour * room - dies,
        )

    def output(self, t, y, u):
        """All CAR-T cells, and the tumour."""
        return self.Output(cart=y.expanding + y.persistent, tumour=y.tumour)

    def initial(self):
        """Cells infused, and the tumour."""
        return self.State(self.expanding0, 0.0 * self.expanding0, self.tumour0)

    @classmethod
    def typical(cls):
        """Of BIOMD0000001025."""
        return cls(
            expanding0=10.0, tumour0=900.0, expansion=8.8 / 24, ec50_expansion=1.0, tmax=9.3 * 24, loss=0.16 / 24,
            persisting=0.0012 / 24, decay=0.0032 / 24, growth=0.2 / 24, capacity=1000.0, killing=0.35 / 24,
            ec50_killing=10.0, critical=0.1, hill=3.0,
        )  # fmt: skip
