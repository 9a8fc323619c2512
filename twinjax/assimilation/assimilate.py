"""`assimilate`: a patient's news learnt, by whichever method the twin has."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import gc
import math
from collections.abc import Iterator, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.assimilation.bedside import Bedside
from twinjax.assimilation.belief import AbstractBelief, Particles
from twinjax.assimilation.history import History, News, news_dict
from twinjax.assimilation.innovation import Innovations, innovations
from twinjax.assimilation.twin import Twin, noted, random_key
from twinjax.assimilation.waiting import Left, learn, waiting
from twinjax.dosing import Regimen
from twinjax.observation import Measurements
from twinjax.solve.compiling import compiled

_DRAWS = 256
"""Draws of a normal belief by which a new measurement is judged before it is learnt."""

Told = News | Measurements | Regimen


def assimilate(twin: Twin, news: Told, *, when: datetime.datetime | None = None) -> Twin:
    """The twin with these data learnt. It is the `update` of a twin: data keep coming, and each makes a new one.

    Measurements may come late, in any order, censored or missing. A dose or a covariate of the past that only now
    becomes known is learnt by beginning anew from the prior with all the data.

    **Parameters**: `news`, measurements, doses, or both and covariates (`News`); `when`, the clock of the audit trail.
    **Raises** `ValueError` for data that the population has no meaning for, in words; the twin is as it was.
    """
    return assimilate_each([twin], [news], when=when)[0]


def assimilate_each(
    twins: Sequence[Twin], news: Sequence[Told], *, when: datetime.datetime | None = None
) -> list[Twin]:
    """Many patients' twins of one population and method at once, each with its own news, by one compiled program.

    **Raises** `ValueError` as `assimilate`, and where the twins are not of one population and method.
    """
    if len(twins) != len(news):
        raise ValueError(f"{len(twins)} twins and {len(news)} news: give one each")
    if not twins:
        return []
    each = [n if isinstance(n, News) else News.of(n) for n in news]
    if len({(t.trail[-1]["population"], t.method) for t in twins}) > 1:
        raise ValueError("twins learn together where they are of one population and have one method")
    with _no_collection():
        return _assimilated(twins, each, when)


def _assimilated(twins: Sequence[Twin], each: Sequence[News], when: datetime.datetime | None) -> list[Twin]:
    first = twins[0]
    joined = [t.history.joined(n) for t, n in zip(twins, each, strict=True)]
    again = np.asarray([_begins_anew(t, h, f, n) for t, (h, f, _), n in zip(twins, joined, each, strict=True)])
    bedside = Bedside.of(first.population, first.backend, [h for h, _, _ in joined], [f for _, f, _ in joined])
    first.method.check(bedside)
    key = random_key(first.seed, len(first.trail), "learn")
    belief = jax.tree.map(lambda *x: np.concatenate(x), *[t.belief for t in twins])
    found = None if first.method.judges else _judged(bedside, belief, key)
    if again.any():
        prior = first.method.prior(first.population, len(twins), key)
        belief = jax.tree.map(lambda a, b: jnp.where(again.reshape((-1,) + (1,) * (a.ndim - 1)), a, b), prior, belief)
        whole = jnp.where(again[:, None], bedside.design.observed.there, bedside.fresh)
        bedside = eqx.tree_at(lambda b: b.fresh, bedside, whole)
    old = waiting([t.trail for t in twins], [f for _, f, _ in joined], bedside.fresh.shape[1])
    learnt = learn(first.method, bedside, belief, jax.random.fold_in(key, 2), old)
    plain = [news_dict(n) for n in each]  # while that is computed
    learnt = jax.device_get(learnt)
    found, made = _Told.of(jax.device_get(learnt.found if found is None else found)), []
    settled, effective, acceptance = (x.tolist() for x in (learnt.settled, learnt.effective, learnt.acceptance))
    left = Left.of(first.method, learnt.left)
    for i, (t, (h, fresh, missing)) in enumerate(zip(twins, joined, strict=True)):
        own = jax.tree.map(lambda x, i=i: x[i : i + 1], learnt.belief)
        new = Twin(t.population, h, own, t.method, t.backend, t.seed, t.trail)
        said = {
            "news": plain[i], "missing": missing, "again": bool(again[i]), **found.judgement(i, h, fresh),
            "settled": settled[i] and not left.any(i, fresh), "effective": _number(effective[i]),
            "acceptance": _number(acceptance[i]), **left.told(i, h),
        }  # fmt: skip
        made.append(noted(new, "learnt", said, t, when))
    return made


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Python looks for cycles each time that so many objects are new, and trails are many objects without any: for
    thousands of patients that would be a tenth of the time.
    """
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


@compiled
def _judged(bedside: Bedside, belief: AbstractBelief, key: Any) -> Any:
    if isinstance(belief, Particles):
        return innovations(bedside, belief.eta, belief.log_weight)
    eta = belief.draw(jax.random.fold_in(key, 1), _DRAWS)
    return innovations(bedside, eta, jnp.full(eta.shape[:2], -np.log(_DRAWS)))


def _begins_anew(twin: Twin, history: History, fresh: np.ndarray, news: News) -> bool:
    """Whether what was learnt before was learnt from something that is now known to be otherwise."""
    if not len(twin.history.measurements):
        return False
    last = twin.history.last
    changed = bool(len(news.doses)) and float(np.min(np.asarray(news.doses.time))) <= last
    changed |= bool(news.covariates) and (news.at is None or news.at <= last)
    late = twin.method.ordered and bool(np.any(history.measurements.time[fresh] < last))
    return changed or late


@dataclasses.dataclass(frozen=True)
class _Told:
    """Innovations of many patients in plain numbers: read once, not number by number."""

    rows: dict[str, list[list[float]]]
    log_density: list[float]

    @staticmethod
    def of(found: Innovations) -> _Told:
        rows = {n: np.asarray(getattr(found, n)).tolist() for n in ("expected", "sd", "z", "quantile")}
        return _Told(rows, np.asarray(found.log_density).tolist())

    def judgement(self, i: int, history: History, fresh: np.ndarray) -> dict[str, Any]:
        """What one patient's news were against what was foreseen."""
        m, rows = history.measurements, []
        time, value = m.time.tolist(), m.value.tolist()
        for k in fresh.nonzero()[0].tolist():
            own = {n: _number(v[i][k + 1]) for n, v in self.rows.items()}
            rows.append({"time": time[k], "output": m.output[k], "value": value[k], **own})
        return {"innovations": rows, "log_density": _number(self.log_density[i]) if rows else None}


def _number(x: float) -> float | None:
    return x if math.isfinite(x) else None
