"""`profile`: how the objective rises as one parameter moves and all others follow."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import scipy.stats

from twinjax.estimation.evidence.again import ROUND, Moved, Weighted, engine_of, roundness
from twinjax.estimation.evidence.uncertainty import reported
from twinjax.estimation.optimisers import AbstractOptimiser
from twinjax.estimation.result import Fit
from twinjax.naming import resolve

_CLOSE = 0.01
"""How near to its rise, in units of the objective, a limit is found."""
_BRACKETS = 12
"""How many steps outward, each half as long again as the last, before a side is given up as open."""


@dataclasses.dataclass(frozen=True)
class Profiles:
    """Likelihood profiles of a fit's parameters.

    **Parameters**: `table`, one row a parameter: `estimate`, `lower` and `upper` (the limits, at which the objective
    has risen by `rise`; infinite, or at the bound of a positive parameter zero, where it never does; NaN where it could
    not be followed), `wald_lower` and `wald_upper` (from the standard error); `trace`, one row a point: `parameter`,
    `value`, `change` of the objective, and the estimates of all parameters there; `level` of the interval.
    """

    table: pd.DataFrame
    trace: pd.DataFrame
    level: float
    rise: float

    @property
    def lower_than_fit(self) -> float:
        """How far below the fit's objective a profile went; 0 where none did by more than 0.01."""
        least = float(np.min(self.trace["change"].to_numpy(float)))
        return -least if least < -_CLOSE else 0.0

    def __str__(self) -> str:
        said = [f"{100 * self.level:g} % limits by likelihood profiles (rise {self.rise:.2f})", self.table.to_string()]
        if self.lower_than_fit:
            said.append(
                f"A profile went {self.lower_than_fit:.2f} below the fit: it was not at the minimum; fit again."
            )
        return "\n".join(said)


def profile(
    fit: Fit,
    parameters: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    points: int = 4,
    optimiser: AbstractOptimiser = ROUND,
    progress: Callable[[str, float, float], None] | None = None,
) -> Profiles:
    """Likelihood profiles: a parameter held at a value and all others estimated anew, from where they were last.

    Any reported parameter can be profiled, those of an Omega block too: every vector that the search tries is first
    moved, along the direction in which the estimates are least sure, to where the parameter has its value. The program
    that the fit compiled is used throughout.

    **Parameters**: `parameters`, names (default all); `level`, of the interval: 95 % is a rise of 3.84; `points`, how
    many on each side between the estimate and the limit (for a picture); `progress`, called with the parameter, the
    value and the change of the objective after each point.
    **Raises** `ValueError` for a name that is not estimated, and for a method with no objective at its end.
    **Reference**: Venzon & Moolgavkar 1988, doi:10.2307/2347496 (likelihood limits by root finding).
    """
    if not np.isfinite(fit.objective):
        raise ValueError(f"{fit.method.name} ended without an objective to profile; end with FOCEI() or the like")
    engine, x = engine_of(fit)
    rise = float(scipy.stats.chi2.ppf(level, 1))
    base = engine(x)[0]
    side = _Sides(fit, Weighted(engine), x, base, rise, optimiser, progress)
    names = [resolve(n, fit.estimated, "estimated parameter") for n in parameters or fit.estimated]
    rows, traces = [], []
    z = float(scipy.stats.norm.ppf(0.5 + level / 2))
    errors = np.sqrt(np.diag(fit.uncertainty.covariance))
    for name in names:
        k = fit.estimated.index(name)
        at = _Scale.of(name, fit.theta[name])
        lower, low = side.walk(k, -1, z, points)
        upper, high = side.walk(k, +1, z, points)
        step = z * float(errors[k]) * at.slope(fit.theta[name])
        wald = [at.back(at.to(fit.theta[name]) + s * step) for s in (-1, 1)]
        rows.append({"parameter": name, "estimate": fit.theta[name], "lower": lower, "upper": upper,
                     "wald_lower": wald[0], "wald_upper": wald[1]})  # fmt: skip
        found = sorted([*low, (fit.theta[name], 0.0, x), *high], key=lambda p: p[0])
        traces += [
            {"parameter": name, "value": v, "change": f, **dict(zip(fit.estimated, side.report(at_)[0], strict=True))}
            for v, f, at_ in found
        ]
    return Profiles(pd.DataFrame(rows).set_index("parameter"), pd.DataFrame(traces), level, rise)


Point = tuple[float, float, np.ndarray]
"""A value of the parameter, the change of the objective, the vector."""


class _Sides:
    """Follows one parameter to one side."""

    def __init__(
        self, fit: Fit, objective: Weighted, x: np.ndarray, base: float, rise: float, optimiser: AbstractOptimiser,
        progress: Callable[[str, float, float], None] | None,
    ) -> None:  # fmt: skip
        self.fit, self.objective, self.x, self.base, self.rise = fit, objective, x, base, rise
        self.optimiser, self.progress, self.round = optimiser, progress, roundness(fit)
        predictor = objective.engine.predictor
        self.transform, self.theta = predictor.transform, predictor.population.theta

    def report(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Reported parameters of a vector and their derivatives."""
        value, slope = reported(self.transform, self.theta, x)
        return np.asarray(value), np.asarray(slope)

    def walk(self, k: int, sign: int, z: float, points: int) -> tuple[float, list[Point]]:
        """The limit on one side, and the points met."""
        name = self.fit.estimated[k]
        value, slope = self.report(self.x)
        at = _Scale.of(name, value[k])
        spread = float(np.linalg.norm(self.round.T @ slope[k])) * np.sqrt(2) * at.slope(value[k])
        step = z * spread if self.fit.uncertainty.known and spread > 0 else 0.2
        self.objective.restart()
        goal, origin = math.sqrt(self.rise), at.to(value[k])
        found: list[Point] = []
        inner, outer = (0.0, 0.0), None  # how far, and root of the change there
        reach, here = step, self.x
        for _ in range(_BRACKETS + 20):
            point = self._at(k, at.back(origin + sign * reach), here)
            if point is None:
                if outer is None and reach > 1.05 * inner[0] + 1e-9 and reach > step / 64:
                    reach = 0.5 * (inner[0] + reach)  # it could not be followed so far: half as far
                    continue
                return math.nan, found
            found.append(point)
            height, here = math.sqrt(max(point[1], 0.0)), point[2]
            if abs(point[1] - self.rise) < _CLOSE:
                return point[0], found + self._between(k, at, origin, sign * reach, points)
            if height < goal:
                inner = (reach, height)
            else:
                outer = (reach, height)
            if outer is None:
                if len(found) > _BRACKETS or height < 0.02 * goal * len(found):  # flat: the parameter is free to go
                    return at.end(sign), found
                reach *= min(max(goal / max(height, 1e-3), 1.1), 1.5)
            else:
                share = (goal - inner[1]) / (outer[1] - inner[1])
                reach = inner[0] + (outer[0] - inner[0]) * min(max(share, 0.1), 0.9)
                if outer[0] - inner[0] < 1e-6 * (1.0 + outer[0]):
                    return point[0], found
        return math.nan, found

    def _between(self, k: int, at: _Scale, origin: float, reach: float, points: int) -> list[Point]:
        self.objective.restart()
        found, here = [], self.x
        for i in range(1, points + 1):
            point = self._at(k, at.back(origin + reach * i / (points + 1)), here)
            if point is not None:
                found.append(point)
                here = point[2]
        return found

    def _at(self, k: int, value: float, near: np.ndarray) -> Point | None:
        """The least objective where the parameter has this value, from `near`; None where there is none."""
        slope = self.report(near)[1][k]
        along = self.round @ (self.round.T @ slope)
        along = along / float(slope @ along)

        def to(u: np.ndarray) -> np.ndarray:
            return self._onto(k, value, near + self.round @ u, along)

        def back(u: np.ndarray, gradient: np.ndarray) -> np.ndarray:
            own = self.report(to(u))[1][k]
            return self.round.T @ (gradient - own * (along @ gradient) / float(own @ along))

        moved = Moved(self.objective, to, back)
        try:
            u = self.optimiser.minimise(moved, np.zeros(len(near)), _unwatched)
        except (FloatingPointError, ArithmeticError):
            return None
        change = moved(u)[0] - self.base
        if not np.isfinite(change):
            return None
        if self.progress is not None:
            self.progress(self.fit.estimated[k], value, change)
        return value, change, to(u)

    def _onto(self, k: int, value: float, x: np.ndarray, along: np.ndarray) -> np.ndarray:
        """The vector moved along a line to where the parameter has its value."""
        for _ in range(50):
            now, slope = self.report(x)
            lacks = value - now[k]
            if abs(lacks) <= 1e-12 * (1.0 + abs(value)):
                return x
            step = lacks / float(slope[k] @ along) * along
            x = x + step * min(1.0, 1.0 / max(float(np.max(np.abs(step))), 1e-300))
        raise FloatingPointError("no vector has this value")


@dataclasses.dataclass(frozen=True)
class _Scale:
    """The scale on which limits are sought: of logarithms for a positive parameter, of atanh for a correlation."""

    kind: str

    @staticmethod
    def of(name: str, value: float) -> _Scale:
        return _Scale("correlation" if name.startswith("corr.") else "positive" if value > 0 else "real")

    def to(self, value: float) -> float:
        return {"correlation": np.arctanh, "positive": np.log, "real": float}[self.kind](value)

    def back(self, moved: float) -> float:
        return float({"correlation": np.tanh, "positive": np.exp, "real": float}[self.kind](moved))

    def slope(self, value: float) -> float:
        return {"correlation": 1 / (1 - value * value), "positive": 1 / value if value else 0.0, "real": 1.0}[self.kind]

    def end(self, sign: int) -> float:
        if self.kind == "correlation":
            return float(sign)
        return math.inf if sign > 0 else 0.0 if self.kind == "positive" else -math.inf


def _unwatched(count: int, x: np.ndarray, f: float, g: np.ndarray) -> None: ...
