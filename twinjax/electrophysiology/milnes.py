"""`fit_binding`: how a drug binds to hERG channels, from recordings under the Milnes protocol.

Between its steps the protocol holds one potential, and at one potential the channel's equations are linear with
constant coefficients: the matrix exponential, of the matrix read off the channel itself, is their solution.
"""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from twinjax.models.heart.herg import Binding, DynamicHERG
from twinjax.units import Scalar

NANOMOLAR = 1e-6
"""1 nM in mM."""

_LOW = np.array([-8.0, -9.0, 0.5, -3.0, -200.0])
_HIGH = np.array([8.0, 0.0, 2.0, 9.0, -1.0])
_SCALE = np.array([0.3, 0.3, 0.1, 0.3, 10.0])
"""Bounds of log10 kmax, log10 ku, n, log10 halfmax (nM^n) and vhalf (mV), of CiPA v1.0, and moves of like effect."""


@dataclasses.dataclass(frozen=True)
class MilnesProtocol:
    """Drug washes in while channels are closed; then every sweep opens them for ten seconds.

    **Parameters**: `holding` and `step` (mV); `wash_in`, how long the closed channels wait in the drug; `before`,
    `during`, `after`, the parts of one sweep (ms); `sweeps`, how many; `samples`, how many currents are read in each
    step, equally spaced, the last at its end.
    **Reference**: Milnes et al. 2010, J Pharmacol Toxicol Methods 61:178, doi:10.1016/j.vascn.2010.02.007, as modified
    by Li et al. 2017, doi:10.1161/CIRCEP.116.004628.
    """

    holding: float = -80.0
    step: float = 0.0
    wash_in: float = 180e3
    before: float = 940.0
    during: float = 10e3
    after: float = 14060.0
    sweeps: int = 10
    samples: int = 20


class Recordings(eqx.Module):
    """Currents under drug as shares of those without. **Parameters**: `concentration` (nM) `(cells,)`; `fraction`
    `(cells, sweeps, samples)`, NaN where nothing was recorded.
    """

    concentration: np.ndarray
    fraction: np.ndarray


@dataclasses.dataclass(frozen=True)
class BindingFit:
    """Dynamic-binding parameters.

    **Parameters**: `binding`, least squares; `sd`, of the residuals; `samples`, the same parameters from resampled
    cells, leaves `(draws,)`; `failed`, how many resamples could not be fitted and are not among them.
    """

    binding: Binding
    sd: float
    samples: Binding
    failed: int


@eqx.filter_jit
def fractional_current(
    binding: Binding,
    concentration: Any,
    protocol: MilnesProtocol = MilnesProtocol(),
    channel: DynamicHERG | None = None,
) -> jax.Array:
    """The recordings that the model predicts, `(concentrations, sweeps, samples)`; differentiable in `binding`.

    **Parameters**: `concentration` (nM) `(concentrations,)`; `channel`, whose gating it is (default: CiPA v1.0's).
    """
    drugged = dataclasses.replace(DynamicHERG() if channel is None else channel, binding=binding)
    drug = NANOMOLAR * jnp.atleast_1d(jnp.asarray(concentration, float))
    open_, control = jax.vmap(lambda d: _open(drugged, d, protocol))(drug), _open(drugged, jnp.zeros(()), protocol)
    return open_ / control


def _open(channel: DynamicHERG, drug: Scalar, p: MilnesProtocol) -> jax.Array:
    """Share of open channels, `(sweeps, samples)`."""

    def over(v: float, time: float) -> jax.Array:
        def rates(y: jax.Array) -> jax.Array:
            return jnp.stack(jax.tree.leaves(channel.rates(v, DynamicHERG.State(*y), drug)))

        return jax.scipy.linalg.expm(jax.jacfwd(rates)(jnp.zeros(9)) * time, max_squarings=48)

    before, tick, after = over(p.holding, p.before), over(p.step, p.during / p.samples), over(p.holding, p.after)
    start = over(p.holding, p.wash_in) @ jnp.stack([jnp.asarray(x) for x in jax.tree.leaves(DynamicHERG.closed())])
    place = [f.name for f in dataclasses.fields(DynamicHERG.State)].index("o")

    def sweep(y: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        def sample(y: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            y = tick @ y
            return y, y[place]

        y, found = jax.lax.scan(sample, before @ y, None, p.samples)
        return after @ y, found

    return jax.lax.scan(sweep, start, None, p.sweeps)[1]


def fit_binding(
    recordings: Recordings, protocol: MilnesProtocol = MilnesProtocol(), *, draws: int = 0, seed: int = 0
) -> BindingFit:
    """Dynamic-binding parameters by least squares on the mean recording of each concentration, from gradients.

    Three unbinding rates and two trapping potentials start the search, and the best end is kept. `draws` of the
    uncertainty come from resampling cells within each concentration, every resample fitted from the estimate.

    **Raises** `ValueError` for recordings that do not have the protocol's shape, or no cell.
    **Reference**: Li et al. 2017, doi:10.1161/CIRCEP.116.004628; resampling as in Chang et al. 2017,
    doi:10.3389/fphys.2017.00917.
    """
    cells, fraction = np.asarray(recordings.concentration, float), np.asarray(recordings.fraction, float)
    if fraction.shape != (len(cells), protocol.sweeps, protocol.samples) or not len(cells):
        raise ValueError(
            f"recordings of shape {fraction.shape} for {len(cells)} cells; the protocol has {protocol.sweeps} "
            f"sweeps of {protocol.samples} samples: give (cells, sweeps, samples), NaN where nothing was recorded"
        )
    if np.any(cells <= 0.0):
        raise ValueError(f"a recording is under {cells.min():g} nM; give recordings under drug, as shares of control")
    levels, which = np.unique(cells, return_inverse=True)

    def means(chosen: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            known = np.isfinite(fraction[chosen])
            total = np.zeros((len(levels), *fraction.shape[1:]))
            count = np.zeros_like(total)
            np.add.at(total, which[chosen], np.where(known, fraction[chosen], 0.0))
            np.add.at(count, which[chosen], known)
            return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    observed = means(np.arange(len(cells)))
    starts = [
        np.array([2.0, ku, 1.0, 2.0 + np.log10(np.median(levels)), vhalf])
        for ku in (-4.5, -3.0, -1.0)
        for vhalf in (-90.0, -10.0)
    ]
    rough = [_least_squares(s, observed, levels, protocol, 15) for s in starts]
    best = _least_squares(min(rough, key=lambda f: f.cost).x, observed, levels, protocol, 200)
    rng, found, failed = np.random.default_rng(seed), [], 0
    for _ in range(draws):
        chosen = np.concatenate([rng.choice(m := np.flatnonzero(which == k), len(m)) for k in range(len(levels))])
        again = _least_squares(best.x, means(chosen), levels, protocol, 50)
        failed += again.status <= 0
        found += [again.x] if again.status > 0 else []
    count = int(np.sum(np.isfinite(observed)))
    samples = np.asarray(found).reshape(-1, 5)
    return BindingFit(
        _binding(best.x), float(np.sqrt(2.0 * best.cost / max(count - 5, 1))), _binding(samples.T), failed
    )


def _binding(x: Any) -> Binding:
    return Binding.tabled(10.0 ** x[0], 10.0 ** x[1], x[2], 10.0 ** x[3], x[4])


@eqx.filter_jit
def _predicted(x: Any, levels: Any, protocol: MilnesProtocol) -> tuple[Any, Any]:
    """Recordings and their slopes."""

    def predict(x: Any) -> tuple[Any, Any]:
        y = fractional_current(_binding(x), levels, protocol)
        return y, y

    slope, y = jax.jacfwd(predict, has_aux=True)(x)
    return y, slope


def _least_squares(x: np.ndarray, observed: np.ndarray, levels: np.ndarray, protocol: MilnesProtocol, most: int) -> Any:
    known = np.isfinite(observed)
    seen: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def both(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if x.tobytes() not in seen:
            seen.clear()
            y, slope = _predicted(jnp.asarray(x), jnp.asarray(levels), protocol)
            seen[x.tobytes()] = (np.asarray(y) - observed)[known], np.asarray(slope)[known]
        return seen[x.tobytes()]

    return scipy.optimize.least_squares(
        lambda x: both(x)[0], np.clip(x, _LOW + 1e-6, _HIGH - 1e-6),
        jac=cast(Any, lambda x: both(x)[1]), bounds=(_LOW, _HIGH), x_scale=_SCALE, max_nfev=most,
        xtol=1e-10, ftol=1e-12, gtol=1e-14,
    )  # fmt: skip
