"""Bodies of people whose liver or kidneys fail, and of pregnant women: the same drugs in other physiology."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import equinox as eqx
from jax.core import Tracer

from twinjax.bodies.abundance import MEASURED, Abundance
from twinjax.bodies.build import body
from twinjax.bodies.context import WHOLE_BODY
from twinjax.bodies.substance import Substance
from twinjax.drugs.partition import AbstractPartition
from twinjax.models.pbpk import WholeBody
from twinjax.physiology import Person, anatomy, cirrhosis, pregnancy, pregnant
from twinjax.units import Scalar


def cirrhotic(
    who: Person,
    drugs: Mapping[str, Substance],
    child_pugh: str,
    *,
    binder: Mapping[str, str] | None = None,
    method: AbstractPartition | None = None,
    abundance: Abundance = MEASURED,
) -> WholeBody:
    """The body of a person with cirrhosis of a class of Child and Pugh (`twinjax.physiology.CHILD_PUGH`).

    Less liver works, with less of its enzymes, under other flows; less albumin binds, kidneys filter less.

    **Parameters**: `binder` by drug, ``albumin`` by itself or ``glycoprotein``; the rest as in `body`.
    **Assumptions**: clearance by what is no named enzyme (`Substance.clint`) falls as liver does, uptake with its
    cells; blood to plasma is as given, or follows binding and haematocrit; enzymes of the gut are healthy.
    **Warns** that cirrhosis lies outside `WHOLE_BODY`, what was compared with profiles.
    **Raises** `ValueError` for another class, or a binder that is not known.
    """
    ill = cirrhosis(child_pugh)
    WHOLE_BODY.warn(liver_function=ill.mass)
    binder = binder or {}
    bound = {}
    for name, drug in drugs.items():
        fu = ill.unbound(drug.compound.fu, binder=binder.get(name, "albumin"))
        loss = drug.clint * ill.mass
        bound[name] = eqx.tree_at(lambda d: (d.compound.fu, d.clint), drug, (fu, loss))
    liver = {e: c * ill.enzymes.get(e, 1.0) for e, c in abundance.liver.items()}
    weaker = eqx.tree_at(lambda p: p.kidney, who, who.kidney * ill.filtration)
    own = ill.anatomy(anatomy(who))
    return body(weaker, bound, method=method, abundance=dataclasses.replace(abundance, liver=liver), organs=own)


def expecting(
    who: Person,
    drugs: Mapping[str, Substance],
    week: Scalar,
    *,
    method: AbstractPartition | None = None,
    abundance: Abundance = MEASURED,
) -> WholeBody:
    """The body of a woman in a week of pregnancy: larger blood, heart and kidneys' work, thinner blood (`pregnant`).

    **Parameters**: `who`, as before the pregnancy; the rest as in `body`.
    **Assumptions**: binding and enzymes are as before: how far they change (CYP3A4 and CYP2D6 rise, CYP1A2 falls) has
    no openly tabulated source here; give it as `abundance` and as drugs' fu.
    **Warns** that pregnancy lies outside `WHOLE_BODY`, what was compared with profiles.
    **Raises** `ValueError` for a man, and a week outside 0 to 42.
    """
    if not isinstance(who.female, Tracer) and float(who.female) != 1.0:
        raise ValueError("who is a man; pregnancy needs person(..., 'female')")
    if not isinstance(week, Tracer):
        WHOLE_BODY.warn(week_of_pregnancy=week)
    more = pregnancy(week).filtration / pregnancy(0.0).filtration
    filters = eqx.tree_at(lambda p: p.kidney, who, who.kidney * more)
    return body(filters, drugs, method=method, abundance=abundance, organs=pregnant(anatomy(who), week))
