"""What the bench knows of a drug's effect on a heart cell, and a cell under one drug or several."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from twinjax.models.base import AbstractModel
from twinjax.models.heart.herg import Binding
from twinjax.naming import bind, get, suggestion
from twinjax.units import Scalar

CURRENTS = {
    "ICaL": "ical.p", "IK1": "ik1.g", "IKs": "iks.g", "INa": "ina.g", "INaL": "inal.g", "Ito": "ito.g", "hERG": "ikr.g",
}  # fmt: skip
"""The currents of a safety panel, and the conductance of each in a cell."""

NANOMOLAR = 1e-6
"""1 nM in mM, the unit of cells."""

FAR = 100.0
"""How many times the therapeutic maximum a concentration may be before it looks like a slip of units."""

Cell = TypeVar("Cell", bound=AbstractModel)


class Hill(eqx.Module):
    """Block of one current: ``1 / (1 + (c / ic50)^h)`` of it is left. **Parameters**: `ic50` (nM), `h`."""

    ic50: Any
    h: Any = 1.0

    def left(self, concentration: Scalar) -> Scalar:
        """The share of the current that is left, at a concentration in nM; all of it, with no slope, at zero."""
        there = jnp.asarray(concentration) > 0.0
        ratio = (jnp.where(there, concentration, self.ic50) / self.ic50) ** self.h
        return jnp.where(there, 1.0 / (1.0 + ratio), 1.0)


class Drug(eqx.Module):
    """A drug, as patch clamp and the clinic describe it. Numbers may be arrays, one entry a draw of the uncertainty.

    **Parameters**: `name`; `cmax`, the largest free concentration in plasma at a therapeutic dose (nM); `blocks`, by
    current (`CURRENTS`); `binding` to hERG channels, which takes the place of a block of hERG; `risk`, where it is
    known: 0 low, 1 intermediate, 2 high.
    **Raises** `ValueError` for an unknown current, and for a number that is not above zero.
    """

    name: str = eqx.field(static=True)
    cmax: Any
    blocks: dict[str, Hill]
    binding: Binding | None = None
    risk: int | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        """Says which number cannot be."""
        for current in self.blocks:
            if current not in CURRENTS:
                raise ValueError(f"{self.name}: there is no current {current!r}{suggestion(current, CURRENTS)}")
        numbers = {"cmax": self.cmax}
        for current, hill in self.blocks.items():
            numbers |= {f"the IC50 of {current}": hill.ic50, f"the Hill coefficient of {current}": hill.h}
        for what, value in numbers.items():
            if isinstance(value, Tracer) or not isinstance(value, (int, float, np.ndarray, jax.Array)):
                continue
            bad = ~(np.asarray(value) > 0.0)
            if bad.any():
                least = np.asarray(value)[bad].flat[0]
                raise ValueError(f"{self.name}: {what} is {least:g}; give a number above zero (nM), or leave it out")

    @property
    def draws(self) -> int:
        """How many draws of the uncertainty there are; 1 where the numbers are single."""
        sizes = {np.shape(x)[0] for x in jax.tree.leaves((self.blocks, self.binding)) if np.ndim(x)}
        return max(sizes, default=1)

    def sampled(self, blocks: Mapping[str, Any], binding: Binding | None, draws: int, seed: int = 0) -> Drug:
        """The drug with so many draws of its uncertainty.

        **Parameters**: `blocks`, by current, draws of ic50 (nM) and h, `(any, 2)`; `binding`, leaves `(any,)`; a
        current without draws keeps its numbers. Every current, and the binding, is drawn by itself.
        """
        rng = np.random.default_rng(seed)
        drawn: dict[str, Hill] = {}
        for current, hill in self.blocks.items():
            if current in blocks:
                rows = np.asarray(blocks[current], float)
                rows = rows[rng.integers(len(rows), size=draws)]
                drawn[current] = Hill(rows[:, 0], rows[:, 1])
            else:
                drawn[current] = jax.tree.map(lambda x: np.full(draws, float(x)), hill)
        own = self.binding
        if binding is not None:
            which = rng.integers(len(np.asarray(binding.ku)), size=draws)
            own = jax.tree.map(lambda x: np.asarray(x)[which] if np.ndim(x) else np.full(draws, float(x)), binding)
        return dataclasses.replace(self, blocks=drawn, binding=own)


def under(cell: Cell, given: Iterable[tuple[Drug, Any]]) -> Cell:
    """A cell under one drug or several, each at a free concentration (nM); leaves broadcast.

    Blocks of one current by several drugs multiply (the drugs do not compete). The binding of hERG is that of the one
    drug that has any; other drugs block hERG by their Hill curve.

    **Parameters**: `cell`, with the conductances of `CURRENTS`; for binding also `drug` and ``ikr.binding``.
    **Warns** of a concentration of more than `FAR` times the drug's `cmax`: is it in nM?
    **Raises** `ValueError` for two drugs with dynamic binding, and for a concentration below zero.
    """
    given = tuple(given)
    bound = [(d, c) for d, c in given if d.binding is not None]
    if len(bound) > 1:
        names = " and ".join(d.name for d, _ in bound)
        raise ValueError(f"{names} both bind to hERG dynamically; give all but one of them a static block of hERG")
    left: dict[str, Any] = {}
    for drug, concentration in given:
        _plausible(drug, concentration)
        for current, hill in drug.blocks.items():
            if not (current == "hERG" and drug.binding is not None):
                left[current] = left.get(current, 1.0) * hill.left(concentration)
    cell = bind(cell, {CURRENTS[c]: get(cell, CURRENTS[c]) * share for c, share in left.items()})
    for drug, concentration in bound:
        values = {f"ikr.binding.{f.name}": getattr(drug.binding, f.name) for f in dataclasses.fields(Binding)}
        cell = bind(cell, {**values, "drug": NANOMOLAR * jnp.asarray(concentration)})
    return cell


def _plausible(drug: Drug, concentration: Any) -> None:
    if isinstance(concentration, Tracer) or isinstance(drug.cmax, Tracer):
        return
    largest, smallest = float(np.max(concentration)), float(np.min(concentration))
    if not smallest >= 0.0:
        raise ValueError(f"{drug.name}: a concentration is {smallest:g} nM; give zero or more")
    if largest > FAR * float(np.max(drug.cmax)):
        warnings.warn(
            f"{drug.name}: {largest:g} nM is {largest / float(np.max(drug.cmax)):.0f} times its therapeutic maximum of "
            f"{float(np.max(drug.cmax)):g} nM, far beyond what was ever compared with data; is it in nM, and free?",
            stacklevel=3,
        )
