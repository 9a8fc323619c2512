"""`cipa`: net charge at multiples of the therapeutic concentration, torsade metric score, class of risk."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from twinjax.electrophysiology.biomarkers import NO_REPOLARISATION, UNSOLVED
from twinjax.electrophysiology.context import CIPA
from twinjax.electrophysiology.drugs import Drug, under
from twinjax.electrophysiology.orbit import orbit
from twinjax.electrophysiology.pace import Rhythm, pace
from twinjax.electrophysiology.risk import CLASSES, MANUAL, OrdinalLogistic
from twinjax.models.heart.cipa import CiPACell
from twinjax.solve.problem import AbstractBackend

DOSES = (1.0, 2.0, 3.0, 4.0)
"""Multiples of the free therapeutic maximum whose net charges the score averages."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Of one drug.

    **Parameters**: `drug`; `doses`, multiples of its cmax; `qnet` (uC/uF), `apd90` (ms), `eads` and `failures` (how
    many of the beats analysed have an early after-depolarisation, and do not repolarise) `(draws, doses)`, one draw for
    a drug without uncertainty; `analysed`, how many beats; `risk`, the regression.
    """

    drug: Drug
    doses: tuple[float, ...]
    qnet: np.ndarray
    apd90: np.ndarray
    eads: np.ndarray
    failures: np.ndarray
    analysed: int
    risk: OrdinalLogistic

    @property
    def score(self) -> np.ndarray:
        """The torsade metric score of each draw, the mean net charge over the doses (uC/uF) `(draws,)`; NaN where a
        dose has none.
        """
        return self.qnet.mean(axis=1)

    @property
    def probabilities(self) -> np.ndarray:
        """Of low, intermediate and high risk, the mean over the draws that have a score `(3,)`."""
        score = self.score[np.isfinite(self.score)]
        return np.asarray(self.risk.probabilities(score)).mean(axis=0) if len(score) else np.full(3, np.nan)

    @property
    def counts(self) -> np.ndarray:
        """How many draws fall into each class `(3,)`."""
        score = self.score[np.isfinite(self.score)]
        return np.bincount(np.asarray(self.risk.classify(score), int), minlength=3)

    @property
    def level(self) -> int | None:
        """The class of most draws, 0 low, 1 intermediate, 2 high; None where no draw has a score."""
        return int(np.argmax(self.counts)) if self.counts.any() else None

    def quantiles(self, q: Any = (0.025, 0.5, 0.975)) -> np.ndarray:
        """Quantiles of the score (uC/uF)."""
        return np.nanquantile(self.score, q)


@dataclasses.dataclass(frozen=True)
class Assessment:
    """Verdicts by drug, in the order of the drugs given."""

    verdicts: dict[str, Verdict]

    def __getitem__(self, name: str) -> Verdict:
        """The verdict on one drug."""
        return self.verdicts[name]

    def __iter__(self) -> Any:
        """Verdicts in turn."""
        return iter(self.verdicts.values())

    def doses(self) -> pd.DataFrame:
        """A row for every drug and dose: medians over draws, and the middle 95 % where there are many."""
        rows = []
        for v in self:
            for j, dose in enumerate(v.doses):
                row: dict[str, Any] = {
                    "drug": v.drug.name, "dose": dose, "concentration_nM": dose * float(v.drug.cmax),
                    "qnet_uC_per_uF": _median(v.qnet[:, j]), "apd90_ms": _median(v.apd90[:, j]),
                    "beats_with_ead": int(np.median(v.eads[:, j])),
                    "beats_not_repolarised": int(np.median(v.failures[:, j])), "beats_analysed": v.analysed,
                }  # fmt: skip
                if len(v.qnet) > 1:
                    for name, values in (("qnet_uC_per_uF", v.qnet[:, j]), ("apd90_ms", v.apd90[:, j])):
                        low, high = _middle(values)
                        row |= {f"{name}_low": low, f"{name}_high": high}
                rows.append(row)
        return pd.DataFrame(rows)

    def drugs(self) -> pd.DataFrame:
        """A row for every drug: score, probabilities, class; and the class that clinicians gave it, where known."""
        rows = []
        for v in self:
            p = v.probabilities
            row: dict[str, Any] = {
                "drug": v.drug.name, "score_uC_per_uF": _median(v.score),
                **{f"p_{name}": float(x) for name, x in zip(CLASSES, p, strict=True)},
                "risk": "" if v.level is None else CLASSES[v.level],
                "known_risk": "" if v.drug.risk is None else CLASSES[v.drug.risk],
            }  # fmt: skip
            if len(v.score) > 1:
                low, high = _middle(v.score)
                row |= {"score_low": low, "score_high": high}
                row |= {f"draws_{name}": int(n) for name, n in zip(CLASSES, v.counts, strict=True)}
            rows.append(row)
        return pd.DataFrame(rows)

    def table(self) -> pd.DataFrame:
        """Drugs and doses in one: a row for every dose, with the drug's score, probabilities and class beside it."""
        return self.doses().merge(self.drugs(), on="drug", how="left", sort=False)


def _median(values: np.ndarray) -> float:
    return float(np.nanmedian(values)) if np.isfinite(values).any() else float("nan")


def _middle(values: np.ndarray) -> tuple[float, float]:
    if not np.isfinite(values).any():
        return float("nan"), float("nan")
    low, high = np.nanquantile(values, (0.025, 0.975))
    return float(low), float(high)


def batch(cell: CiPACell, drugs: Iterable[Drug], doses: Iterable[float]) -> CiPACell:
    """Every drug, draw and dose as one cell each, leaves `(cells,)`, in that order."""
    levels = jnp.asarray(tuple(doses))
    parts = [_lanes(cell, drug, levels) for drug in drugs]
    return jax.tree.map(lambda *x: jnp.concatenate(x), *parts)


def _lanes(cell: CiPACell, drug: Drug, doses: Any) -> CiPACell:
    shape = (drug.draws, len(doses))
    column = jax.tree.map(lambda x: jnp.reshape(x, (-1, 1)), drug)
    treated = under(cell, [(column, doses * column.cmax)])
    return jax.tree.map(lambda x: jnp.broadcast_to(x, shape).reshape(-1), treated)


def cipa(
    drugs: Drug | Iterable[Drug] | Mapping[str, Drug],
    *,
    doses: Iterable[float] = DOSES,
    cell: CiPACell | None = None,
    cycle_length: float = 2000.0,
    beats: int = 1000,
    analysed: int = 1,
    periodic: bool = False,
    risk: OrdinalLogistic = MANUAL,
    backend: AbstractBackend | None = None,
) -> Assessment:
    """The CiPA answer: what a drug does to a ventricular cell at multiples of its free therapeutic maximum.

    Every drug, draw of its uncertainty (`Drug.sampled`) and dose is one cell, all of them one batch of `pace`, paced
    from the drug-free state.

    **Parameters**: `drugs`, one or several; `doses`, multiples of each drug's cmax; `cell` (default: the endocardial
    `CiPACell`); `cycle_length` (ms); `beats`, how many; `analysed`, how many last ones are looked at for early
    after-depolarisations and failures, net charge and APD90 being the means over those that have one; `periodic`, find
    the periodic orbit, in a fifth of the beats, instead of pacing to it (net charges of the 28 CiPA drugs differ by
    2e-4 at most); a cell that has none, or leaves it, is paced; `risk`, the regression from score to class; `backend`,
    as `pace` takes it.
    **Warns** outside of `CIPA`, the context of use: another cycle length, fewer beats, doses beyond 25 times cmax.
    **Raises** `ValueError` where there is no drug or no dose.
    **Reference**: Li et al. 2019, Clin Pharmacol Ther 105:466, doi:10.1002/cpt.1184.
    """
    chosen = [drugs] if isinstance(drugs, Drug) else list(drugs.values() if isinstance(drugs, Mapping) else drugs)
    levels = tuple(float(d) for d in doses)
    if not chosen or not levels:
        raise ValueError("cipa needs a drug and a dose, at least one of each")
    if len({d.name for d in chosen}) < len(chosen):
        raise ValueError(f"drugs need names of their own; these are {', '.join(d.name for d in chosen)}")
    CIPA.warn(cycle_length_ms=cycle_length, multiples_of_cmax=levels, beats=beats)
    cells = batch(CiPACell.endocardial() if cell is None else cell, chosen, levels)
    found = watched(cells, cycle_length, beats, analysed, backend, periodic=periodic)
    verdicts, first = {}, 0
    for drug in chosen:
        shape = (drug.draws, len(levels))
        qnet, apd90, eads, failures = (x[first : first + shape[0] * shape[1]].reshape(shape) for x in found)
        verdicts[drug.name] = Verdict(drug, levels, qnet, apd90, eads, failures, analysed, risk)
        first += shape[0] * shape[1]
    return Assessment(verdicts)


def watched(
    cells: CiPACell, cycle_length: float, beats: int, analysed: int, backend: AbstractBackend | None = None, *,
    periodic: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Mean net charge (uC/uF) and APD90 (ms) of the last beats that have one, how many have an early
    after-depolarisation, and how many do not repolarise, `(cells,)` each.
    """
    if not periodic:
        return _looked_at(pace(cells, cycle_length, beats=beats - analysed + 1, backend=backend), analysed, backend)
    settled = orbit(cells, cycle_length, backend=backend)
    steady = np.asarray(settled.result == 0) & _stays(settled, backend)
    found = _looked_at(settled, analysed, backend)
    if steady.all():
        return found
    rest = jax.tree.map(lambda x: x[np.flatnonzero(~steady)], settled.cell)
    paced = watched(rest, cycle_length, beats, analysed, backend)
    charge, apd90, eads, lost = (np.array(x) for x in found)
    charge[~steady], apd90[~steady], eads[~steady], lost[~steady] = paced
    return charge, apd90, eads, lost


def _stays(settled: Rhythm, backend: AbstractBackend | None) -> np.ndarray:
    """Whether pacing keeps to the orbits: twenty beats after a hundredth more calcium in the stores, two beats are
    alike.
    """
    cell: Any = settled.paced()
    store = jax.tree.map(lambda x: 1.01 * x, cell.start.store)
    nudged = dataclasses.replace(cell, start=dataclasses.replace(cell.start, store=store))
    apart = pace(nudged, settled.cycle_length, beats=20, keep=2, backend=backend).alternans
    return np.asarray(apart) < 0.1  # ms; NaN is no rhythm


def _looked_at(
    rhythm: Rhythm, analysed: int, backend: AbstractBackend | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    each = [rhythm]
    for _ in range(analysed - 1):
        each.append(pace(each[-1].paced(), rhythm.cycle_length, beats=1, backend=backend))
    beat = jax.tree.map(lambda *x: np.concatenate([np.asarray(a) for a in x], axis=1), *(r.beat for r in each))
    lost = beat.result == NO_REPOLARISATION
    charge = _mean(np.where(beat.result == UNSOLVED, np.nan, beat.qnet))
    return charge, _mean(beat.apd90), np.sum(beat.ead & ~lost, axis=1), np.sum(lost, axis=1)


def _mean(values: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    return np.where(
        known.any(axis=1), np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1), np.nan
    )
