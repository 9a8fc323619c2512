"""One number a patient from an output over time: what endpoints and responder tables are made of.

Each is defined on the sampled grid, which is what every backend has. Most have a `track` too: the same in continuous
time, which a kernel accumulates while it integrates, so that no trajectory is needed.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from twinjax.naming import resolve
from twinjax.solve import tracks
from twinjax.solve.tracks import AbstractTrack, Area, Largest, Smallest, WhenLargest


class AbstractSummary(eqx.Module):
    """A number that sums an output up over the samples in a window of time.

    **Parameters**: `output`, its name; `start` and `stop`, the window in the model's time unit, both ends included
    (default: all samples).
    """

    output: str = eqx.field(static=True)
    start: float = eqx.field(static=True, default=-np.inf)
    stop: float = eqx.field(static=True, default=np.inf)

    @property
    @abc.abstractmethod
    def what(self) -> str:
        """Its short name, such as ``cmax``."""

    @property
    def name(self) -> str:
        """Its column in tables: ``plasma.cmax``, or ``plasma.cmax[144,168]`` where it has a window."""
        return f"{self.output}.{self.what}{self.window}"

    @property
    def window(self) -> str:
        """``[144,168]``; nothing where it has none."""
        ends = ["" if np.isinf(t) else f"{t:g}" for t in (self.start, self.stop)]
        return f"[{','.join(ends)}]" if any(ends) else ""

    def inside(self, times: np.ndarray) -> np.ndarray:
        """Which sampling times lie in the window."""
        return (times >= self.start) & (times <= self.stop)

    def track(self) -> AbstractTrack | None:
        """The same in continuous time; None where there is no such thing."""
        return None

    @abc.abstractmethod
    def of(self, time: Any, value: Any) -> Any:
        """One number a patient, from sorted sampling times `(samples,)` and values `(patients, samples)`, both within
        the window.
        """


class Cmax(AbstractSummary):
    """Largest sample."""

    @property
    def what(self):
        """``cmax``."""
        return "cmax"

    def of(self, time, value):
        """The maximum."""
        return jnp.max(value, axis=1)

    def track(self):
        """The largest value."""
        return Largest(self.output, self.start, self.stop)


class Cmin(AbstractSummary):
    """Smallest sample: the trough, in a window at steady state."""

    @property
    def what(self):
        """``cmin``."""
        return "cmin"

    def of(self, time, value):
        """The minimum."""
        return jnp.min(value, axis=1)

    def track(self):
        """The smallest value."""
        return Smallest(self.output, self.start, self.stop)


class Tmax(AbstractSummary):
    """Time of the largest sample, the first of equal ones."""

    @property
    def what(self):
        """``tmax``."""
        return "tmax"

    def of(self, time, value):
        """The time of the maximum."""
        return jnp.asarray(time)[jnp.argmax(value, axis=1)]

    def track(self):
        """When the largest value is reached."""
        return WhenLargest(self.output, self.start, self.stop)


class AUC(AbstractSummary):
    """Area under the samples by trapezoids: linear, or with `log` logarithmic where values fall.

    Logarithmic trapezoids are exact for exponential decay: ``(y0 - y1) (t1 - t0) / log(y0 / y1)``. A dose that raises
    the output at once (an intravenous bolus) is a linear rise from the sample before it.
    **Reference**: Gabrielsson & Weiner 2012, doi:10.1007/978-1-62703-050-2_16.
    """

    log: bool = eqx.field(static=True, default=False)

    @property
    def what(self):
        """``auc``; ``auclog`` with `log`."""
        return "auclog" if self.log else "auc"

    def of(self, time, value):
        """The area."""
        y0, y1, step = value[:, :-1], value[:, 1:], jnp.diff(jnp.asarray(time))
        areas = 0.5 * (y0 + y1) * step
        if self.log:
            falls = (y1 > 0) & (y1 < y0)
            fall = jnp.where(falls, y0 - y1, 1.0)
            areas = jnp.where(falls, fall * step / jnp.log1p(fall / jnp.where(falls, y1, 1.0)), areas)
        return jnp.sum(areas, axis=1)

    def track(self):
        """The integral; none where logarithms were asked for."""
        return None if self.log else Area(self.output, self.start, self.stop)


class TimeAbove(AbstractSummary):
    """How long the output lies above a `threshold`, with straight lines between samples."""

    threshold: float = eqx.field(static=True, default=0.0)

    @property
    def what(self):
        """``above10`` for a threshold of 10."""
        return f"above{self.threshold:g}"

    def of(self, time, value):
        """The duration."""
        over = value - self.threshold
        high, low = jnp.maximum(over[:, :-1], over[:, 1:]), jnp.minimum(over[:, :-1], over[:, 1:])
        crosses = (high > 0) & (low < 0)
        share = jnp.where(crosses, high / jnp.where(crosses, high - low, 1.0), jnp.where(high > 0, 1.0, 0.0))
        return jnp.sum(share * jnp.diff(jnp.asarray(time)), axis=1)

    def track(self):
        """The duration."""
        return tracks.TimeAbove(self.output, self.start, self.stop, self.threshold)


def standard(output: str, *, above: Iterable[float] = ()) -> tuple[AbstractSummary, ...]:
    """`Cmax`, `Tmax` and `AUC` of an output, and `TimeAbove` for each threshold."""
    return (Cmax(output), Tmax(output), AUC(output), *(TimeAbove(output, threshold=float(a)) for a in above))


def checked(
    summaries: Iterable[AbstractSummary], outputs: tuple[str, ...], times: np.ndarray, *, continuous: bool
) -> tuple[AbstractSummary, ...]:
    """The summaries with their outputs' full names.

    **Raises** `ValueError` for an output that is not there; for two that have one name; in continuous time for one that
    has no track, or a window after the last sample; else for a window that holds too few samples or (`AUC`,
    `TimeAbove`) does not begin and end at one.
    """
    found: dict[str, AbstractSummary] = {}
    for one in summaries:
        full = resolve(one.output, outputs, "output")
        own = dataclasses.replace(one, output=full)
        if own.name in found:
            raise ValueError(f"two summaries are called {own.name}")
        found[own.name] = own
        if continuous:
            if own.track() is None:
                raise ValueError(f"{own.name} is about samples; it has no meaning in continuous time")
            if own.start >= times[-1]:
                raise ValueError(f"{own.name}: its window begins after the last sampling time, {times[-1]:g}")
            continue
        inside = times[own.inside(times)]
        spans = isinstance(own, AUC | TimeAbove)
        if len(inside) < (2 if spans else 1):
            raise ValueError(f"{own.name}: its window holds {len(inside)} of the sampling times")
        for end, last in ((own.start, inside[0]), (own.stop, inside[-1])):
            if spans and np.isfinite(end) and not np.isclose(end, last, rtol=1e-12, atol=0):
                raise ValueError(f"{own.name}: {end:g} is no sampling time; sample where the window begins and ends")
    return tuple(found.values())


def measured(summaries: Iterable[AbstractSummary], times: np.ndarray, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Every summary by name, `(patients,)`, from outputs by name `(patients, samples)` at `times` `(samples,)`."""
    found = {}
    for one in summaries:
        own = one.inside(times)
        found[one.name] = one.of(times[own], outputs[one.output][:, np.flatnonzero(own)])
    return found
