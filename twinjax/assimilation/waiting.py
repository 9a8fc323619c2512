"""Measurements that a method left out of the belief: what the trail says of them, and how they are tried again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.assimilation.bedside import Bedside
from twinjax.assimilation.belief import AbstractBelief
from twinjax.assimilation.history import History
from twinjax.assimilation.methods.base import LEARNT, WHY, AbstractAssimilation, Learnt


def waiting(trails: Sequence[Sequence[Mapping[str, Any]]], fresh: Sequence[np.ndarray], rows: int) -> Any:
    """Which rows `(patients, rows)` of a bedside were left out and are to be tried again; None where none are.

    **Parameters**: `fresh`, of every patient, which measurements have come since; the others are in the order in which
    they were, so that a row is known by its place among them (two measurements may be equal).
    """
    sought = [[m["row"] for m in t[-1].get("left", ()) if m["waits"]] for t in trails]
    if not any(sought):
        return None
    found = np.zeros((len(trails), rows), bool)
    for i, (own, new) in enumerate(zip(sought, fresh, strict=True)):
        found[i, 1 + np.flatnonzero(~new)[own]] = True
    return found


def learn(method: AbstractAssimilation, bedside: Bedside, belief: AbstractBelief, key: Any, old: Any) -> Learnt:
    """What is fresh learnt, and what waits (`old`, as `waiting` has it) with it: in the order of time by a method that
    needs that, else afterwards and one by one, so that no measurement is lost by what is wrong with another.
    """
    if old is None:
        return method.learn(bedside, belief, key)
    old = np.asarray(old) & ~np.asarray(bedside.fresh)  # all are fresh where a twin begins anew
    if method.ordered:
        return method.learn(_seeing(bedside, bedside.fresh | old), belief, key)
    out = np.array(old)
    codes = np.zeros(old.shape, int)
    found = method.learn(_seeing(bedside, bedside.fresh, out), belief, key)
    settled, acceptance = np.asarray(found.settled), np.asarray(found.acceptance)
    codes = np.where(out, codes, _codes(found, codes))
    out = out | (codes != LEARNT)
    place = np.cumsum(old, axis=1) * old
    for k in range(1, int(place.max()) + 1):
        one = place == k
        found = method.learn(_seeing(bedside, one, out & ~one), found.belief, jax.random.fold_in(key, k))
        codes = np.where(one, _codes(found, codes), codes)
        out = (out & ~one) | (codes != LEARNT)
        settled = settled & np.asarray(found.settled)
    return Learnt(found.belief, jnp.asarray(settled), found.effective, jnp.asarray(acceptance), found.found, codes)


def _seeing(bedside: Bedside, fresh: Any, without: Any = False) -> Bedside:
    """The bedside with other fresh measurements, some of all not seen."""
    there = jnp.asarray(np.asarray(bedside.design.observed.there) & ~np.asarray(without))
    return eqx.tree_at(lambda b: (b.fresh, b.design.observed.there), bedside, (jnp.asarray(fresh), there))


def _codes(found: Learnt, blank: np.ndarray) -> np.ndarray:
    return blank if found.left is None else np.asarray(found.left)


@dataclasses.dataclass(frozen=True)
class Left:
    """Measurements that were left out: codes `(patients, rows)`, None where none was."""

    method: AbstractAssimilation
    codes: np.ndarray | None

    @staticmethod
    def of(method: AbstractAssimilation, codes: Any) -> Left:
        """As `Learnt` has them."""
        codes = None if codes is None else np.asarray(codes)
        return Left(method, codes if codes is not None and codes.any() else None)

    def any(self, i: int, fresh: np.ndarray) -> bool:
        """Whether any of a patient's new measurements was."""
        return self.codes is not None and bool(self.codes[i, 1 : 1 + len(fresh)][fresh].any())

    def told(self, i: int, history: History) -> dict[str, Any]:
        """What a patient's trail says of it: nothing where there is nothing to say."""
        if self.codes is None or not self.codes[i].any():
            return {}
        m, rows = history.measurements, []
        for k in self.codes[i, 1:].nonzero()[0].tolist():
            code = int(self.codes[i, k + 1])
            rows.append({"row": k, "time": float(m.time[k]), "output": m.output[k], "value": float(m.value[k]),
                         "why": WHY[code], "waits": code in self.method.tries_again})  # fmt: skip
        return {"left": rows}
