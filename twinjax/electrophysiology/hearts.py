"""A population of hearts: cells whose conductances vary, of which those with healthy biomarkers are kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import scipy.stats

from twinjax.models.base import AbstractModel
from twinjax.naming import bind, get, leaves, resolve

Cell = TypeVar("Cell", bound=AbstractModel)

CONDUCTANCES = ("ina.g", "inal.g", "ito.g", "ical.p", "ikr.g", "iks.g", "ik1.g", "inaca.g", "inak.p")
"""What differs between hearts, unless others are named: seven channels, the exchanger and the pump."""

HEALTHY = {
    "apd40": (85.0, 320.0), "apd50": (110.0, 350.0), "apd90": (180.0, 440.0), "triangulation": (50.0, 150.0),
    "dvdt": (100.0, 1000.0), "peak": (10.0, 55.0), "rest": (-95.0, -80.0), "cad50": (120.0, 420.0),
    "cad90": (220.0, 785.0),
}  # fmt: skip
"""Ranges of undiseased human ventricular cells at 1 Hz, in ms, mV and mV/ms.

Passini et al. 2017, Front Physiol 8:668, doi:10.3389/fphys.2017.00668, from Britton et al. 2017, Front Physiol 8:278;
not compared with their printed tables.
"""


def vary(
    cell: Cell, count: int, *, names: Sequence[str] = CONDUCTANCES, low: float = 0.5, high: float = 1.5, seed: int = 0
) -> Cell:
    """So many cells, their named conductances drawn between `low` and `high` times the cell's own, leaves `(count,)`.

    By Latin hypercube, every conductance by itself. Everything else stays one number for all.

    **Raises** `ValueError` for a name that is not there, and for a range that is empty or reaches below zero.
    **Reference**: Britton et al. 2013, Proc Natl Acad Sci USA 110:E2098, doi:10.1073/pnas.1304382110; half to one and a
    half times: Passini et al. 2017, doi:10.3389/fphys.2017.00668.
    """
    if not 0.0 <= low < high:
        raise ValueError(f"conductances between {low:g} and {high:g} times their own; give 0 <= low < high")
    known = leaves(cell)
    full = [resolve(n, known, "conductance") for n in names]
    share = low + (high - low) * scipy.stats.qmc.LatinHypercube(len(full), rng=np.random.default_rng(seed)).random(
        count
    )
    return bind(cell, {n: np.asarray(get(cell, n)) * share[:, i] for i, n in enumerate(full)})


@dataclasses.dataclass(frozen=True)
class Screened:
    """Which hearts are kept. **Parameters**: `kept` `(hearts,)`; `failed`, by biomarker, how many lie outside its range
    (one heart may fail several); `unsolved`, how many have no beat to judge.
    """

    kept: np.ndarray
    failed: dict[str, int]
    unsolved: int


def screen(
    biomarkers: Mapping[str, Any], ranges: Mapping[str, tuple[float, float]] = HEALTHY, solved: Any = None
) -> Screened:
    """The hearts all of whose biomarkers lie within their ranges.

    **Parameters**: `biomarkers`, by name, `(hearts,)`; a range without its biomarker is not looked at; `solved`
    `(hearts,)`, false where a heart has no beat (default: where every biomarker is finite).
    **Raises** `ValueError` where no range has a biomarker.
    """
    shared = {n: np.asarray(biomarkers[n], float) for n in ranges if n in biomarkers}
    if not shared:
        raise ValueError(f"no biomarker has a range; ranges are given for {', '.join(ranges)}")
    finite = np.all([np.isfinite(v) for v in shared.values()], axis=0)
    good = finite if solved is None else np.asarray(solved, bool) & finite
    inside = {n: (v >= ranges[n][0]) & (v <= ranges[n][1]) for n, v in shared.items()}
    failed = {n: int(np.sum(good & ~ok)) for n, ok in inside.items()}
    return Screened(good & np.all(list(inside.values()), axis=0), failed, int(np.sum(~good)))
