"""What is solved: four problems as plain text, from which every peer gets its own code. Needs NumPy alone.

twinjax's own equations are its models (`TwoCompartmentOral` and models.py); tests/test_benchmarks.py holds the two against
each other, so that all engines solve the same thing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

RTOL, ATOL = 1e-6, 1e-9
FLOAT32_RTOL, FLOAT32_ATOL = 1e-4, 1e-6
DAY = 24.0


@dataclass(frozen=True)
class Equations:
    """Differential equations in infix arithmetic (``+ - * /``, brackets, decimal numbers), which Python, C++ and Antimony
    all read alike.

    `parameters` and `states`, by name; `derived` depends on parameters alone; `algebra` on states too; `rates` gives the
    derivative of each state.
    """

    parameters: tuple[str, ...]
    states: tuple[str, ...]
    derived: dict[str, str]
    algebra: dict[str, str]
    rates: dict[str, str]

    def source(self, name: str, *, derive: bool) -> str:
        """Python's ``def name(t, y, p)`` on tuples of scalars or arrays. Without `derive`, p holds the derived values too."""
        given = self.parameters if derive else (*self.parameters, *self.derived)
        lines = [f"def {name}(t, y, p):", f"    {', '.join(self.states)}, = y", f"    {', '.join(given)}, = p"]
        worked_out = self.derived | self.algebra if derive else self.algebra
        lines += [f"    {n} = {text}" for n, text in worked_out.items()]
        return "\n".join([*lines, f"    return ({', '.join(self.rates[s] for s in self.states)},)"])

    def function(self, *, derive: bool = True) -> Callable[[Any, Any, Any], tuple[Any, ...]]:
        """`source`, as a function."""
        space: dict[str, Any] = {}
        exec(self.source("rates", derive=derive), space)
        return space["rates"]

    def with_derived(self, p: np.ndarray) -> np.ndarray:
        """Parameters `(patients, parameters)` and their derived values, side by side."""
        columns = dict(zip(self.parameters, p.T, strict=True))
        for name, text in self.derived.items():
            columns[name] = np.broadcast_to(eval(text, {}, columns), len(p))
        return np.stack(list(columns.values()), axis=1)


@dataclass(frozen=True)
class Case:
    """An ensemble: equations, log-normal parameters about `typical` with standard deviations `spread`, `doses` equal boluses of
    `amount` into the state `into`, one at the start of each interval of `every` hours, and `samples` equally spaced in each.

    Sampled at 0 too, and after the dose where they coincide. The output is the state `observed`, over the parameter `over`.
    """

    equations: Equations
    typical: tuple[float, ...]
    spread: tuple[float, ...]
    observed: str
    over: str | None = None
    into: str | None = None
    amount: float = 0.0
    every: float = DAY
    doses: int = 7
    samples: int = 8
    initial: dict[str, float] = field(default_factory=dict)
    stiff: bool = False
    first_step: float | None = None

    @property
    def times(self) -> np.ndarray:
        """Hours, `(doses * samples + 1,)`."""
        return np.linspace(0.0, self.doses * self.every, self.doses * self.samples + 1)

    @property
    def start(self) -> np.ndarray:
        """The state before the first dose, `(states,)`."""
        return np.array([self.initial.get(s, 0.0) for s in self.equations.states])

    @property
    def dose(self) -> np.ndarray:
        """What a dose adds to the state, `(states,)`."""
        return np.array([self.amount * (s == self.into) for s in self.equations.states])

    @property
    def index(self) -> int:
        """Which state is observed."""
        return self.equations.states.index(self.observed)

    def parameters(self, patients: int, seed: int = 0) -> np.ndarray:
        """Patients drawn at random, `(patients, parameters)`; the first are the same however many are drawn."""
        rng = np.random.default_rng(seed)
        return self.typical * np.exp(rng.normal(size=(patients, len(self.typical))) * self.spread)

    def output(self, before: np.ndarray, p: np.ndarray) -> np.ndarray:
        """The output `(patients, times)` from the observed state just before any dose of the same time."""
        out = np.array(before, float)
        if self.observed == self.into:
            out[:, 0 : -1 : self.samples] += self.amount
        return out / p[:, [self.equations.parameters.index(self.over)]] if self.over else out


_TWO_COMPARTMENTS = Equations(
    parameters=("ka", "cl", "v1", "q", "v2"),
    states=("depot", "central", "peripheral"),
    derived={"k10": "cl / v1", "k12": "q / v1", "k21": "q / v2"},
    algebra={},
    rates={
        "depot": "-ka * depot",
        "central": "ka * depot - (k10 + k12) * central + k21 * peripheral",
        "peripheral": "k12 * central - k21 * peripheral",
    },
)

FLOWS = {
    "gut": 0.16, "spleen": 0.03, "kidney": 0.19, "heart": 0.04, "brain": 0.12, "muscle": 0.17, "adipose": 0.05, "skin": 0.05,
    "bone": 0.125,
}  # fmt: skip
"""Share of the cardiac output that a tissue gets; the liver's artery gets the rest, 0.065."""
VOLUMES = {
    "gut": 1.65, "spleen": 0.15, "liver": 1.8, "kidney": 0.31, "heart": 0.33, "brain": 1.45, "muscle": 29.0, "adipose": 18.2,
    "skin": 3.3, "bone": 10.5, "lung": 0.5, "arterial": 1.8, "venous": 3.6,
}  # fmt: skip
PARTITION = {
    "gut": 1.2, "spleen": 1.1, "liver": 2.5, "kidney": 1.8, "heart": 1.3, "brain": 0.7, "muscle": 1.1, "adipose": 3.0,
    "skin": 1.4, "bone": 0.8, "lung": 0.8,
}  # fmt: skip
ARTERY_OF_THE_LIVER = 0.065
CARDIAC_OUTPUT = 390.0


def _whole_body() -> Equations:
    """Blood through a lung, nine tissues and a liver that saturates; concentrations, in mg/L."""
    vein = [t for t in FLOWS if t not in ("gut", "spleen")]
    rates = {
        "depot": "-ka * depot",
        "gut": "(q_gut * (arterial - out_gut) + ka * depot) * per_gut",
        "spleen": "q_spleen * (arterial - out_spleen) * per_spleen",
        "liver": "(q_artery * arterial + q_gut * out_gut + q_spleen * out_spleen - q_liver * out_liver - metabolised) * per_liver",
        "kidney": "(q_kidney * (arterial - out_kidney) - clr * arterial) * per_kidney",
        **{t: f"q_{t} * (arterial - out_{t}) * per_{t}" for t in vein if t != "kidney"},
        "lung": "co * (venous - out_lung) * per_lung",
        "arterial": "co * (out_lung - arterial) * per_arterial",
        "venous": f"(q_liver * out_liver + {' + '.join(f'q_{t} * out_{t}' for t in vein)} - co * venous) * per_venous",
    }
    return Equations(
        parameters=("ka", "vmax", "km", "fu", "clr", "fco", "kps", "fvo"),
        states=tuple(rates),
        derived={
            "co": f"{CARDIAC_OUTPUT} * fco",
            **{f"q_{t}": f"{share} * co" for t, share in FLOWS.items()},
            "q_artery": f"{ARTERY_OF_THE_LIVER} * co",
            "q_liver": "q_gut + q_spleen + q_artery",
            **{f"release_{t}": f"1.0 / ({k} * kps)" for t, k in PARTITION.items()},
            **{f"per_{t}": f"1.0 / ({v} * fvo)" for t, v in VOLUMES.items()},
        },
        algebra={
            **{f"out_{t}": f"{t} * release_{t}" for t in PARTITION},
            "unbound": "fu * out_liver",
            "metabolised": "vmax * unbound / (km + unbound)",
        },
        rates=rates,
    )


_BINDING = Equations(
    parameters=("kel", "kon", "koff", "kdeg", "kint"),
    states=("central", "peripheral", "target", "bound"),
    derived={"ksyn": "5.0 * kdeg"},
    algebra={
        "binding": "kon * central * target - koff * bound",
        "exchanged": f"{0.16 / DAY!r} * central - {0.17 / DAY!r} * peripheral",
    },
    rates={
        "central": "-kel * central - exchanged - binding",
        "peripheral": "exchanged",
        "target": "ksyn - kdeg * target - binding",
        "bound": "binding - kint * bound",
    },
)

_LORENZ = Equations(
    parameters=("rho",),
    states=("x", "y", "z"),
    derived={},
    algebra={},
    rates={"x": "10.0 * (y - x)", "y": "x * (rho - z) - y", "z": f"x * y - {8.0 / 3.0!r} * z"},
)


class _Lorenz(Case):
    def parameters(self, patients: int, seed: int = 0) -> np.ndarray:
        """From 0 to 21 in equal steps."""
        return np.linspace(0.0, 21.0, patients)[:, None]


CASES = {
    "P1": Case(
        _TWO_COMPARTMENTS, (1.0, 5.0, 50.0, 10.0, 100.0), (0.3,) * 5, "central", over="v1", into="depot", amount=100.0
    ),
    "P2": Case(
        _whole_body(), (1.0, 400.0, 2.0, 0.1, 5.0, 1.0, 1.0, 1.0), (0.3, 0.3, 0.3, 0.2, 0.3, 0.15, 0.2, 0.15),
        "venous", into="depot", amount=100.0, stiff=True,
    ),
    "P3": Case(
        _BINDING, tuple(k / DAY for k in (0.07, 20.0, 1.0, 1.0, 0.1)), (0.3,) * 5, "central", into="central", amount=100.0,
        every=14 * DAY, doses=4, samples=14, initial={"target": 5.0}, stiff=True,
    ),
    "lorenz": _Lorenz(
        _LORENZ, (21.0,), (0.0,), "x", every=1.0, doses=1, samples=1, initial={"x": 1.0},
        first_step=1e-3,
    ),
}  # fmt: skip
"""P1: two compartments, oral, seven daily doses. P2: physiology of fourteen states, likewise. P3: a drug that binds its target,
four fortnightly doses (rates per day, over 24). lorenz: the ensemble of Utkarsh et al. 2024, doi:10.1016/j.cma.2023.116591: rho
in equal steps over [0, 21], t in [0, 1], a first step of 0.001, the final state wanted."""
