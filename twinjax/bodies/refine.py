"""A body in finer detail where a question asks for it: segments of the gut, zones of the liver, bile."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from twinjax.dosing import Regimen
from twinjax.drugs.compound import known
from twinjax.models.pbpk import SEGMENTS, Bile, Intestine, Liver, SegmentedIntestine, WholeBody, ZonedLiver
from twinjax.units import Clearance, Number, Rate, Scalar


def segmented(
    model: WholeBody, *, absorbs: Mapping[str, Number] | None = None, shares: Mapping[str, Number] | None = None
) -> WholeBody:
    """The body with its small intestine in seven segments (`SegmentedIntestine`), of the same drugs and numbers.

    Where solubility limits a drug each segment absorbs from its own fluid: `meets` of the one tank has no place here.
    **Parameters**: `absorbs`, absorption of each segment over the mean (1 each by itself; they add up to 7); `shares`
    of the gut's enzymes by segment (even by itself; they add up to 1).
    **Raises** `ValueError` for a body without an `Intestine` or with a tight one, and numbers that do not add up.
    """
    even = 1.0 / len(SEGMENTS)
    for name, organ in model.portal.items():
        if isinstance(organ, Intestine):
            if organ.fluid is not None:
                raise ValueError("segments of the gut know no membranes that hold drugs back; build it without tight")
            own = {
                f.name: getattr(organ, f.name) for f in dataclasses.fields(organ) if f.name not in ("meets", "fluid")
            }
            absorbs, shares = absorbs or dict.fromkeys(SEGMENTS, 1.0), shares or dict.fromkeys(SEGMENTS, even)
            made = SegmentedIntestine(**own, absorbs=dict(absorbs), shares=dict(shares))
            return dataclasses.replace(model, portal={**model.portal, name: made})
    raise ValueError("this body has no intestine of one tank to divide")


def zoned(model: WholeBody, shares: Mapping[str, Mapping[str, Number]] | None = None) -> WholeBody:
    """The body with its liver in three zones (`ZonedLiver`), of the same drugs and numbers.

    **Parameters**: `shares` of an enzyme by zone, where it is not spread evenly.
    **Raises** `ValueError` for a liver with a membrane (a drug with an uptake transporter), which has no zones, and for
    shares of what is no enzyme of this liver or that do not add up to 1.
    """
    liver = model.liver
    if not isinstance(liver, Liver):
        raise ValueError(f"a {type(liver).__name__} cannot be divided into zones; a well-stirred Liver can")
    for name in set(shares or {}) - set(liver.enzymes.amount):
        raise ValueError(f"{name} is no enzyme of this liver, which has {', '.join(liver.enzymes.amount) or 'none'}")
    own = {n: dict(s) for n, s in (shares or {}).items()}
    made = ZonedLiver(liver.volume, liver.kp, liver.clint, liver.enzymes, own, liver.bile)
    return dataclasses.replace(model, liver=made)


def with_bile(
    model: WholeBody,
    secretion: Mapping[str, Clearance],
    *,
    emptying: Rate,
    ejection: Mapping[str, Rate] | None = None,
    becomes: Mapping[str, str] | None = None,
) -> WholeBody:
    """The body with bile, by which drugs return to the gut (`Bile`).

    **Parameters**: `secretion` by drug, unbound intrinsic clearance into bile of the whole liver (L/h); `emptying` of
    bile between meals (1/h); `ejection` (1/h), by kind of meal, what one adds to it as long as it lasts (with
    ``{"lunch": 8.0}``, ``meal("lunch", at=4.0)`` is half an hour of it at 4 h); `becomes`, conjugates that
    bacteria turn back into a drug of this body.
    **Raises** `ValueError` for a drug that the body has not.
    """
    bile = Bile(dict(secretion), emptying, dict(ejection or {}), tuple((becomes or {}).items()))
    liver: Any = model.liver
    return dataclasses.replace(model, liver=dataclasses.replace(liver, bile=bile))


def meal(kind: str, *, at: Scalar, lasting: Scalar = 0.5, every: Scalar = 24.0, count: int = 1) -> Regimen:
    """One meal of a body with bile or several, to be added to its doses.

    ``Regimen.dose(10.0, into="stomach.drug") + meal("lunch", at=4.0)`` is a dose and lunch four hours later.
    **Parameters**: `kind`, as `with_bile` names it; `at`, when it begins, and `lasting`, how long (h); `count` of them,
    one `every` so many hours.
    **Raises** `ValueError` for meals that do not last, or none.
    """
    long = known(lasting)
    if long is not None and not long > 0.0:
        raise ValueError(f"a meal lasts {long:g} h; give a time above zero")
    if count < 1:
        raise ValueError(f"count is the number of meals, at least 1; it is {count}")
    return Regimen.repeat(lasting, rate=1.0, into=f"meals.{kind}", at=at, every=every, count=count)
