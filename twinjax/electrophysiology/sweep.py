"""A drug's effect on the rhythm as a function of its concentration, and, with a regimen, of time."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.interpolate

from twinjax.electrophysiology.cipa import watched
from twinjax.electrophysiology.drugs import Drug, under
from twinjax.models.heart.cipa import CiPACell
from twinjax.solve.problem import AbstractBackend


def free_nanomolar(plasma: Any, *, unbound: float, molar_mass: float) -> np.ndarray:
    """Free concentration (nM) of a plasma concentration in mg/L.

    **Parameters**: `plasma`, an output of any PK or PBPK model (mg/L), any shape; `unbound`, the fraction that proteins
    do not hold; `molar_mass` (g/mol).
    **Raises** `ValueError` for a fraction outside 0 to 1 or a mass that is not above zero.
    """
    if not 0.0 < unbound <= 1.0:
        raise ValueError(f"the unbound fraction is {unbound:g}; give a number above 0, at most 1")
    if not molar_mass > 0.0:
        raise ValueError(f"the molar mass is {molar_mass:g}; give it in g/mol, above zero")
    return np.asarray(plasma, float) * unbound * 1e6 / molar_mass


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Steady rhythms over concentrations.

    **Parameters**: `name` of the drug; `concentration` (nM) `(levels,)`, rising from zero; `qnet` (uC/uF), `apd90`
    (ms) `(levels,)`, NaN where a beat has none; `failures`, whether the cell fails to repolarise there.
    """

    name: str
    concentration: np.ndarray
    qnet: np.ndarray
    apd90: np.ndarray
    failures: np.ndarray

    def _at(self, values: np.ndarray, free: Any) -> np.ndarray:
        """Between the levels, a monotone cubic in the logarithm of 1 + 300 c / highest; NaN from the first level
        without a value on, and beyond the last.
        """
        known = np.isfinite(values)
        reach = self.concentration[: int(np.argmin(known)) if not known.all() else None]
        if len(reach) < 2:
            return np.full(np.shape(free), np.nan)
        first = self.concentration[-1] / 300.0
        free = np.asarray(free, float)
        free = np.where(np.abs(free / reach[-1] - 1.0) < 1e-9, reach[-1], free)  # to rounding, the end is within
        curve = scipy.interpolate.PchipInterpolator(np.log1p(reach / first), values[: len(reach)], extrapolate=False)
        return curve(np.log1p(free / first))

    def qnet_at(self, free: Any) -> np.ndarray:
        """Net charge (uC/uF) of the steady rhythm at free concentrations (nM), any shape."""
        return self._at(self.qnet, free)

    def apd90_at(self, free: Any) -> np.ndarray:
        """APD90 (ms), likewise."""
        return self._at(self.apd90, free)

    def score_at(self, free: Any, multiples: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0)) -> np.ndarray:
        """The torsade metric score with the free concentration in place of the therapeutic maximum: the mean net
        charge at these multiples of it. NaN where the last multiple lies beyond the sweep.
        """
        free = np.asarray(free, float)
        return np.mean([self.qnet_at(m * free) for m in multiples], axis=0)


def sweep(
    drug: Drug,
    highest: float,
    *,
    levels: int = 16,
    cell: CiPACell | None = None,
    cycle_length: float = 2000.0,
    beats: int = 1000,
    analysed: int = 2,
    backend: AbstractBackend | None = None,
) -> Sweep:
    """Steady rhythms of a cell under a drug from none of it to `highest` (nM), every level one cell of one batch.

    What a regimen does to the rhythm follows by reading the sweep at the free concentrations of any PK or PBPK model:
    ``sweep(drug, 4 * free.max()).score_at(free)``. That is quasi-static: at every moment the rhythm is the one that
    would be reached, were the concentration to stay. It holds where concentrations change over hours and the rhythm
    over minutes; a drug that leaves hERG over hours lags behind it.

    **Parameters**: `highest`, four times the highest free concentration for `score_at`; `levels`, how many, zero among
    them, equally spaced in the logarithm of 1 + 300 c / highest; the rest as for `cipa`.
    **Raises** `ValueError` for a drug with draws, a highest concentration that is not above zero, fewer than 3 levels.
    """
    if drug.draws > 1:
        raise ValueError(f"{drug.name} has {drug.draws} draws; sweep one of them at a time")
    if not highest > 0.0 or levels < 3:
        raise ValueError(f"{levels} levels up to {highest:g} nM; give 3 or more, up to a concentration above zero")
    at = highest / 300.0 * np.expm1(np.linspace(0.0, np.log1p(300.0), levels))
    treated = under(CiPACell.endocardial() if cell is None else cell, [(drug, at)])
    cells = jax.tree.map(lambda x: jnp.broadcast_to(x, (levels,)), treated)
    qnet, apd90, _, failures = watched(cells, cycle_length, beats, analysed, backend)
    lost = failures > 0
    return Sweep(drug.name, at, np.where(lost, np.nan, qnet), np.where(lost, np.nan, apd90), lost)
