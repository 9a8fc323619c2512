"""Units of a data file, converted at the door to those of the models: h, mg, mg/L and the like."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from twinjax.naming import suggestion

UnitPair = str | tuple[str, str]
"""A unit of the file, or the pair of it and the unit to convert it to."""

_TARGETS = {
    "TIME": (("h",), "a time such as h, min, day or week"),
    "II": (("h",), "a time such as h, min, day or week"),
    "AMT": (("mg", "umol"), "a mass or an amount such as mg, ug, g, umol or nmol"),
    "RATE": (("mg/h", "umol/h"), "a mass or an amount per time such as mg/h, ug/min or mg/day"),
    "DV": (("mg/L", "umol/L"), "a concentration such as mg/L, ug/mL, ng/mL, g/dL, umol/L or nmol/L"),
}
"""What each part is converted to where no target is given, and how to say what is allowed."""


def factors(
    units: Mapping[str, Any] | None, covariates: Mapping[str, Any], columns: Mapping[str, str]
) -> dict[str, Any]:
    """What to multiply by: part, or covariate -> factor; DV may have a mapping of outputs to factors.

    II follows TIME, and RATE follows AMT and TIME, unless they have units of their own.
    **Raises** `ValueError` for a unit that cannot be had, saying what is allowed, and for a name that is not there.
    """
    found: dict[str, Any] = {}
    parts = {column.casefold(): role for role, column in columns.items()} | {r.casefold(): r for r in _TARGETS}
    named = {n.casefold(): n for n in covariates}
    for key, given in (units or {}).items():
        name = named.get(key.casefold()) or parts.get(key.casefold())
        if name is None or (name not in _TARGETS and name not in covariates):
            raise ValueError(f"units: there is nothing called {key!r}{suggestion(key, [*_TARGETS, *covariates])}")
        if isinstance(given, Mapping):
            if name != "DV":
                raise ValueError(f"units[{key!r}]: only DV has units by output; give one unit")
            found[name] = {output: factor(key, name, unit) for output, unit in given.items()}
        else:
            found[name] = factor(key, name, given)
    found.setdefault("II", found.get("TIME", 1.0))
    found.setdefault("RATE", found.get("AMT", 1.0) / found.get("TIME", 1.0))
    return found


def factor(key: str, role: str, given: UnitPair) -> float:
    """How many of the target unit one of the file's unit is.

    **Raises** `ValueError`, saying what is allowed.
    """
    targets, allowed = _TARGETS.get(role, ((), "a pair ('unit in the file', 'unit wanted')"))
    if not isinstance(given, str):
        source, target = given
        targets, allowed = (target,), f"a unit that converts to {target}"
    else:
        source = given
    if source in targets:
        return 1.0
    if not targets:
        raise ValueError(f"units[{key!r}] of a covariate is {allowed}, not {source!r} alone")
    for target in targets:
        value = converted(source, target)
        if value is not None:
            return value
    pair = "" if not isinstance(given, str) else f", or a pair ('{source}', 'unit wanted')"
    raise ValueError(f"units[{key!r}]: {source!r} does not convert to {' or '.join(targets)}; give {allowed}{pair}")


def converted(source: str, target: str) -> float | None:
    """How many of one unit another is; None where they do not convert by a factor."""
    import pint

    registry = _registry()
    try:
        one, two = (registry.Quantity(x, source).to(target).magnitude for x in (1.0, 2.0))
    except (pint.PintError, ValueError, AttributeError, TypeError, SyntaxError, AssertionError):
        return None
    # A scale with an offset (degC) has no factor.
    return float(one) if abs(two - 2 * one) <= 1e-9 * abs(two) else None


@functools.cache
def _registry() -> Any:
    import pint  # slow to import, and needed only where units are given

    return pint.UnitRegistry()
