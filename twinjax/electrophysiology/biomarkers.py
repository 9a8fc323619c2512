"""What a beat comes to: durations, voltages, calcium and charge, read off its trace between the samples.

Between samples the trace is the cubic through values and slopes (Hermite), so that times are found to some 1e-3 ms on
`beat_times`' grid and every number has a gradient.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

OK, NO_UPSTROKE, NO_REPOLARISATION, UNSOLVED = range(4)
BEATS = {
    OK: "a beat",
    NO_UPSTROKE: "no action potential: the potential stays below 0 mV; a stronger stimulus, or a cell that cannot fire",
    NO_REPOLARISATION: "not repolarised by 90 % when the next stimulus comes: the cycle is shorter than the action "
    "potential, or repolarisation fails",
    UNSOLVED: "the equations were not solved to the end of this beat",
}
"""What each code of a beat means, in words."""


class Trace(eqx.Module):
    """A beat at `times` since its stimulus: potential (mV), calcium (mM), their slopes, and the charge so far (nC/uF).
    Leaves `(..., times)`.
    """

    v: Any
    v_rate: Any
    calcium: Any
    calcium_rate: Any
    qnet: Any


class Beat(eqx.Module):
    """Biomarkers of beats; leaves of any shape, as the beats were.

    **Parameters**: `apd30`, `apd40`, `apd50`, `apd90`, from the steepest upstroke until 30, 40, 50, 90 % of the way
    from `peak` back to `rest` (ms); `triangulation`, apd90 - apd40; `dvdt`, the steepest upstroke (mV/ms); `peak`, and
    `rest`, the lowest potential before it (mV); `ca_rest`, `ca_peak`, `ca_amplitude` of the calcium transient (mM), and
    `cad50`, `cad90`, from its rise through 90 % of its amplitude until it has fallen by 50, 90 % (ms), as the FDA
    measures it; `qnet` over the beat (uC/uF); `rebound`, the steepest rise between 30 and 90 % of repolarisation
    (mV/ms), and `ead`, whether there is one; `result`, a code that `BEATS` puts in words. What has no meaning in a
    beat is NaN, and its result is not 0.
    """

    apd30: Any
    apd40: Any
    apd50: Any
    apd90: Any
    triangulation: Any
    dvdt: Any
    peak: Any
    rest: Any
    ca_rest: Any
    ca_peak: Any
    ca_amplitude: Any
    cad50: Any
    cad90: Any
    qnet: Any
    rebound: Any
    ead: Any
    result: Any


def beat_times(cycle_length: float) -> np.ndarray:
    """Times of a beat at which to sample it (ms): 0.02 apart about the upstroke, then wider, 600 from 60 ms to the end.

    Their number is the same for all cycles above 60 ms, so that one compiled beat serves them.
    """
    pieces = [np.arange(0.0, 5.0, 0.02), np.arange(5.0, 20.0, 0.1), np.arange(20.0, 60.0, 0.5)]
    early = np.concatenate(pieces)
    if cycle_length <= 60.0:
        return np.append(early[early < cycle_length], cycle_length)
    return np.concatenate([early, np.linspace(60.0, cycle_length, 600)])


def biomarkers(times: Any, trace: Trace) -> Beat:
    """The biomarkers of beats.

    **Parameters**: `times` `(times,)` since the stimulus (ms); `trace`, leaves `(..., times)`.
    **Returns** leaves `(...)`; differentiable.
    """
    shape = trace.v.shape[:-1]
    flat = jax.tree.map(lambda x: x.reshape(-1, x.shape[-1]), trace)
    found = jax.vmap(lambda one: _one(jnp.asarray(times), one))(flat)
    return jax.tree.map(lambda x: x.reshape(shape), found)


def _one(t: Any, s: Trace) -> Beat:
    finite = jnp.all(jnp.isfinite(s.v))
    top, peak = _peak(t, s.v, s.v_rate)
    rest = _lowest_before(s.v, top)
    upstroke, dvdt = _steepest(t, s.v_rate)
    end = {p: _falls(t, s.v, s.v_rate, rest + (peak - rest) * (1.0 - p / 100.0), top) for p in (30, 40, 50, 90)}
    ca_top, ca_peak = _peak(t, s.calcium, s.calcium_rate)
    ca_rest = _lowest_before(s.calcium, ca_top)
    size = ca_peak - ca_rest
    rise = _rises(t, s.calcium, s.calcium_rate, ca_rest + 0.9 * size)
    fall = {p: _falls(t, s.calcium, s.calcium_rate, ca_rest + size * (1.0 - p / 100.0), ca_top) for p in (50, 90)}
    fires = peak >= 0.0
    result = jnp.where(fires, jnp.where(jnp.isnan(end[90]), NO_REPOLARISATION, OK), NO_UPSTROKE)
    result = jnp.where(finite, result, UNSOLVED)
    apd = {p: jnp.where(fires, x - upstroke, jnp.nan) for p, x in end.items()}
    begins, ends = jnp.where(jnp.isnan(end[30]), t[top], end[30]), jnp.where(jnp.isnan(end[90]), t[-1], end[90])
    rebound = jnp.max(jnp.where((t > begins) & (t < ends), s.v_rate, -jnp.inf))
    rebound = jnp.where(fires & jnp.isfinite(rebound), rebound, jnp.nan)
    return Beat(
        apd30=apd[30], apd40=apd[40], apd50=apd[50], apd90=apd[90], triangulation=apd[90] - apd[40], dvdt=dvdt,
        peak=peak, rest=rest, ca_rest=ca_rest, ca_peak=ca_peak, ca_amplitude=size, cad50=fall[50] - rise,
        cad90=fall[90] - rise, qnet=s.qnet[-1] / 1000.0, rebound=rebound, ead=rebound > 0.0, result=result,
    )  # fmt: skip


# -------------------------------------------------------------------------------------------------- between the samples

_HALVINGS = 48


def _cubic(x: Any, h: Any, f0: Any, f1: Any, d0: Any, d1: Any) -> Any:
    """The value at the share `x` of a segment of length `h` with these values and slopes at its ends."""
    y = 1.0 - x
    return y * y * ((1.0 + 2.0 * x) * f0 + h * x * d0) + x * x * ((1.0 + 2.0 * y) * f1 - h * y * d1)


def _segment(t: Any, f: Any, d: Any, i: Any) -> tuple[Any, ...]:
    return t[i + 1] - t[i], f[i], f[i + 1], d[i], d[i + 1]


def _root(value: Any) -> Any:
    """The share of a segment at which a function changes sign, by halving; it does not differentiate."""

    def halve(_: Any, ends: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = ends
        middle = 0.5 * (low + high)
        same = jnp.sign(value(middle)) == jnp.sign(value(low))
        return jnp.where(same, middle, low), jnp.where(same, high, middle)

    low, high = jax.lax.fori_loop(0, _HALVINGS, halve, (jnp.zeros(()), jnp.ones(())))
    return jax.lax.stop_gradient(0.5 * (low + high))


def _crosses(t: Any, f: Any, d: Any, level: Any, there: Any) -> Any:
    """The time within the first segment marked `there` at which the level is crossed; NaN if none is marked."""
    i = jnp.argmax(there)
    pieces = _segment(t, f, d, i)
    still = jax.lax.stop_gradient((pieces, level))

    def apart(x: Any) -> Any:
        return _cubic(x, *still[0]) - still[1]

    x = _root(apart)
    slope = jax.jvp(apart, (x,), (jnp.ones(()),))[1]
    # one step of Newton's, which moves nothing but carries the derivatives of values, slopes and level
    x = x - (_cubic(x, *pieces) - level) / jnp.where(slope == 0.0, 1.0, slope)
    return jnp.where(jnp.any(there), t[i] + x * pieces[0], jnp.nan)


def _falls(t: Any, f: Any, d: Any, level: Any, top: Any) -> Any:
    """When the trace first falls to the level after its sample `top`."""
    later = jnp.arange(len(t) - 1) >= top
    return _crosses(t, f, d, level, later & (f[:-1] > level) & (f[1:] <= level))


def _rises(t: Any, f: Any, d: Any, level: Any) -> Any:
    return _crosses(t, f, d, level, (f[:-1] <= level) & (f[1:] > level))


def _peak(t: Any, f: Any, d: Any) -> tuple[Any, Any]:
    """The sample of the largest value, and the largest value next to it."""
    top = jnp.argmax(f)
    i = jnp.clip(jnp.where(d[top] > 0.0, top, top - 1), 0, len(t) - 2)
    h, f0, f1, d0, d1 = _segment(t, f, d, i)
    still = jax.lax.stop_gradient((h, f0, f1, d0, d1))

    def slope(x: Any) -> Any:
        return jax.jvp(lambda x: _cubic(x, *still), (x,), (jnp.ones(()),))[1]

    turns = (d0 > 0.0) & (d1 < 0.0)
    return top, jnp.where(turns, _cubic(_root(slope), h, f0, f1, d0, d1), f[top])


def _lowest_before(f: Any, top: Any) -> Any:
    return jnp.min(jnp.where(jnp.arange(len(f)) <= top, f, jnp.inf))


def _steepest(t: Any, d: Any) -> tuple[Any, Any]:
    """When the slope is largest, and how large, by the parabola through the largest sample and its neighbours."""
    i = jnp.clip(jnp.argmax(d), 1, len(t) - 2)
    a, b = t[i] - t[i - 1], t[i + 1] - t[i]
    left, right = (d[i] - d[i - 1]) / a, (d[i + 1] - d[i]) / b
    bend = (right - left) / (a + b)
    tilt = (left * b + right * a) / (a + b)
    good = bend < 0.0
    x = jnp.where(good, jnp.clip(-tilt / jnp.where(good, 2.0 * bend, -1.0), -a, b), 0.0)
    return t[i] + x, d[i] + x * (tilt + bend * x)
