"""How a measurement is made: one engine, one ensemble, one process of its own, pinned to its cores. Needs NumPy alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from problems import CASES, Case


@dataclass(frozen=True)
class Task:
    """One measurement.

    `what` is forward, closed (a closed form), gradient (of the sum of squares, in every parameter), or ptx (what the kernels ask
    of a GPU); `cores` are the numbers of the processor's cores, none for a GPU; `patients` are solved in chunks of at most
    `chunk`; runs are repeated for `seconds`, at least `repeats` times (0: only compile). `bodies` counts those of a `models.Row`.
    `reference` is the file that `reference.py` writes.
    """

    case: str
    what: str
    engine: str
    patients: int
    cores: tuple[int, ...]
    rtol: float
    atol: float
    reference: str
    precision: str = "float64"
    bodies: int = 0
    chunk: int = 1 << 20
    seconds: float = 3.0
    repeats: int = 5

    @property
    def problem(self) -> Case:
        """What is solved."""
        return CASES[self.case]

    def parameters(self) -> np.ndarray:
        """Every patient's, `(patients, parameters)`: those of the reference first."""
        drawn = self.problem.parameters(self.patients, seed=1)
        checked = self.known()["parameters"][: self.patients]
        drawn[: len(checked)] = checked
        return drawn

    def known(self) -> dict[str, np.ndarray]:
        """The reference: `parameters`, `output`, and for gradients `observed` and `gradient`."""
        with np.load(self.reference) as file:
            return dict(file)

    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> Task:
        """From `text`."""
        fields = json.loads(text)
        return cls(**fields | {"cores": tuple(fields["cores"])})


@dataclass(frozen=True)
class Timing:
    """What an engine hands back: seconds before the first run, by stage; seconds of each run; and what it found, for the first
    patients at least: outputs `(patients, times)` or gradients `(patients, parameters)`.
    """

    compiling: dict[str, float]
    runs: list[float]
    found: np.ndarray
    notes: dict[str, Any]


class Absent(Exception):
    """An engine that is not installed here, or does not do this; the message says which."""


def stages(*steps: tuple[str, Callable[[Any], Any]]) -> tuple[dict[str, float], Any]:
    """Seconds of each step, each given what the one before returned; all of them by the processor's clock (`cpu`), which does
    not count what others do on a shared machine; and what the last returned.
    """
    spent, value, worked = {}, None, time.process_time()
    for name, step in steps:
        began = time.perf_counter()
        value = step(value)
        spent[name] = time.perf_counter() - began
    return spent | {"cpu": time.process_time() - worked}, value


class Seconds(list[float]):
    """Of each run; in `cpu` those of the processor, all threads together."""

    def __init__(self) -> None:
        super().__init__()
        self.cpu: list[float] = []


def repeat(run: Callable[[], Any], task: Task) -> list[float]:
    """Seconds of each of several runs, after one that is not counted."""
    run()
    seconds = Seconds()
    while len(seconds) < 100:
        began, worked = time.perf_counter(), time.process_time()
        run()
        seconds.append(time.perf_counter() - began)
        seconds.cpu.append(time.process_time() - worked)
        enough = len(seconds) >= task.repeats and sum(seconds) >= task.seconds
        if enough or (len(seconds) > 1 and sum(seconds) > 10 * task.seconds):
            break
    return seconds


def error(task: Task, found: np.ndarray) -> float:
    """Largest distance from the reference, over the largest value of the same patient (gradients: in log parameters)."""
    known = task.known()
    exact = known["gradient" if task.what == "gradient" else "output"][: len(found)]
    found = np.array(found[: len(exact)], float)
    if task.what == "gradient":
        scale = known["parameters"][: len(exact)]
        exact, found = exact * scale, found * scale
    return float(np.max(np.abs(found - exact) / np.max(np.abs(exact), axis=1, keepdims=True)))


def save(file: Path, **arrays: np.ndarray) -> None:
    """Write beside and rename, so that a run that is cut off leaves nothing half written."""
    beside = file.with_suffix(".part.npz")
    np.savez(beside, **arrays)
    beside.replace(file)
