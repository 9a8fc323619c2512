"""Models put together: one model's output drives another's input, as plasma drives an effect."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import equinox as eqx

from twinjax.models.base import AbstractModel, Balance, Route, no_input, state_names, zeros
from twinjax.naming import bind, leaves, names, resolve
from twinjax.units import MolarMass, Unit, declared

_MOLAR_MASS = Unit("mg/umol")


@dataclasses.dataclass(frozen=True)
class Molar:
    """A driver whose mass becomes an amount of substance, or the reverse, through a molar mass.

    **Parameters**: `output`, the name of the driving output, such as ``"pk.plasma"``; `mass`, the molar mass in mg/umol
    (a thousandth of g/mol: 0.18016 for theophylline). It is a constant of the coupled model, not a parameter.
    """

    output: str
    mass: float


@dataclasses.dataclass(frozen=True)
class _Drive:
    """A driven signal of one part and the output of another that drives it; `per_mass` is -1, 0 or 1."""

    part: str
    signal: str
    source: str
    output: str
    per_mass: int = 0
    constant: str = ""


def coupled(drives: Mapping[str, str | Molar], **parts: AbstractModel) -> AbstractModel:
    """One model made of several, whose outputs drive each other's signals.

    .. code-block:: text

        coupled({"pd.concentration": "pk.plasma"}, pk=TwoCompartmentOral(...), pd=FribergMyelosuppression(...))

    The parts are its fields, so names are dotted: parameters ``pk.cl``, states ``pk.central``, outputs
    ``pd.neutrophils``. A driven signal leaves the inputs; all others stay, as do routes and balances. Two calls with
    the same names, classes and drives give models of the same type.

    **Parameters**: `drives`, driven signal -> driving output, or `Molar` where one is in mass and the other in amount
    of substance; `parts`, the models by name.
    **Assumptions**: all parts share a time unit; no part drives itself, directly or through others.
    **Raises** `ValueError` for a name that is not there or not free (with the nearest), for units that differ, for
    parts that drive each other in a circle or differ in time unit.
    """
    classes = tuple(type(part) for part in parts.values())
    return _coupled_class(tuple(parts), classes, tuple(drives.items()))(**parts)


@functools.cache
def _coupled_class(
    parts: tuple[str, ...], classes: tuple[type[AbstractModel], ...], drives: tuple[tuple[str, str | Molar], ...]
) -> type[AbstractModel]:
    of = dict(zip(parts, classes, strict=True))
    _check_names(parts)
    _share_time(of)
    wired = _wire(of, drives)
    order = _order(parts, wired)
    driven = {p: {d.signal for d in wired if d.part == p} for p in parts}
    masses = {d.constant: spec.mass for d, (_, spec) in zip(wired, drives, strict=True) if isinstance(spec, Molar)}
    namespace = {
        "__module__": __name__,
        "__doc__": f"{', '.join(f'{p}: {c.__name__}' for p, c in of.items())}, coupled.",
        "__annotations__": {**of, **dict.fromkeys(masses, ClassVar[MolarMass]), **_TABLES},
        "State": _module("State", {p: c.State for p, c in of.items()}),
        "Input": _module("Input", {p: _without(c.Input, driven[p]) for p, c in of.items()}),
        "Output": _module("Output", {p: c.Output for p, c in of.items()}),
        "time_unit": classes[0].time_unit,
        "nonnegative": all(c.nonnegative for c in classes),
        "signed": tuple(f"{p}.{n}" for p, c in of.items() for n in c.signed),
        "quiescent": all(c.quiescent for c in classes),
        "stiff": any(c.stiff for c in classes),
        "_drives": wired,
        "_order": order,
        "_parts": of,
        **masses,
        **{f.__name__: f for f in (derivative, output, initial, routes, balances, companions)},
        "typical": classmethod(typical),
    }
    name = "_".join(["Coupled", *(c.__name__ for c in classes)])
    made: Any = types.new_class(name, (AbstractModel,), exec_body=lambda body: body.update(namespace))
    return made


_TABLES = {
    "_drives": ClassVar[tuple[_Drive, ...]],
    "_order": ClassVar[tuple[str, ...]],
    "_parts": ClassVar[dict[str, type[AbstractModel]]],
}


# ---------------------------------------------------------------------------------------- methods of the coupled model


def _inputs_and_outputs(self: Any, t: Any, y: Any, u: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Each part's whole input, driven signals filled in, and its output: drivers before what they drive."""
    whole: dict[str, Any] = {}
    seen: dict[str, Any] = {}
    for name in self._order:
        signals = {}
        for drive in (d for d in self._drives if d.part == name):
            value = leaves(seen[drive.source])[drive.output]
            mass = getattr(type(self), drive.constant) if drive.per_mass else None
            signals[drive.signal] = value / mass if drive.per_mass < 0 else value * mass if drive.per_mass else value
        filled = no_input(getattr(self, name))
        whole[name] = bind(filled, {**leaves(getattr(u, name)), **signals})
        seen[name] = getattr(self, name).output(t, getattr(y, name), whole[name])
    return whole, seen


def derivative(self: Any, t: Any, y: Any, u: Any) -> Any:
    """Each part's rate of change, under the signals of the others."""
    whole, _ = _inputs_and_outputs(self, t, y, u)
    return self.State(**{p: getattr(self, p).derivative(t, getattr(y, p), whole[p]) for p in self._parts})


def output(self: Any, t: Any, y: Any, u: Any) -> Any:
    """Each part's outputs, under the signals of the others."""
    _, seen = _inputs_and_outputs(self, t, y, u)
    return self.Output(**{p: seen[p] for p in self._parts})


def initial(self: Any) -> Any:
    """Each part's initial state."""
    return self.State(**{p: getattr(self, p).initial() for p in self._parts})


def routes(self: Any) -> dict[str, Route]:
    """Each part's routes, named after the part."""
    return {f"{p}.{n}": route for p in self._parts for n, route in getattr(self, p).routes().items()}


def balances(self: Any, t: Any, y: Any, u: Any) -> dict[str, Balance]:
    """Each part's balances, named after the part."""
    whole, _ = _inputs_and_outputs(self, t, y, u)
    found = {}
    for p in self._parts:
        part = getattr(self, p)
        for name, balance in part.balances(t, getattr(y, p), whole[p]).items():
            known = state_names(part)
            weights = {f"{p}.{resolve(n, known, 'state')}": w for n, w in balance.weights().items()}
            found[f"{p}.{name}"] = Balance(weights, gain=balance.gain)
    return found


def companions(self: Any) -> dict[str, dict[str, Any]]:
    """Each part's companions, named after the part."""
    return {
        f"{p}.{into}": {f"{p}.{n}": share for n, share in others.items()}
        for p in self._parts
        for into, others in getattr(self, p).companions().items()
    }


def typical(cls: Any) -> AbstractModel:
    """Each part at its typical values."""
    return cls(**{p: c.typical() for p, c in cls._parts.items()})


# ------------------------------------------------------------------------------------------------- making of the class


def _check_names(parts: tuple[str, ...]) -> None:
    taken = [p for p in parts if p.startswith("_") or p in dir(AbstractModel) or p in ("State", "Input", "Output")]
    if taken:
        raise ValueError(f"a part cannot be called {', '.join(taken)}, which a model uses itself; name it otherwise")


def _share_time(of: dict[str, type[AbstractModel]]) -> None:
    if len({c.time_unit for c in of.values()}) > 1:
        units = ", ".join(f"{p} in {c.time_unit}" for p, c in of.items())
        raise ValueError(f"coupled parts must share a time unit, but time is {units}; conversion is not available yet")


def _wire(of: dict[str, type[AbstractModel]], drives: tuple[tuple[str, str | Molar], ...]) -> tuple[_Drive, ...]:
    """The drives with full names, their units checked."""
    signals = {f"{p}.{n}": unit for p, c in of.items() for n, (unit, _) in declared(zeros(c.Input)).items()}
    outputs = {f"{p}.{n}": unit for p, c in of.items() for n, (unit, _) in declared(zeros(c.Output)).items()}
    states = {f"{p}.{n}" for p, c in of.items() for n in names(zeros(c.State))}
    wired: dict[str, _Drive] = {}
    for signal, spec in drives:
        to = resolve(signal, [n for n in signals if n not in states], "driven signal")
        if to in wired:
            raise ValueError(f"{to} is driven twice; give one of the drives")
        source = resolve(spec.output if isinstance(spec, Molar) else spec, outputs, "driving output")
        per_mass = _bridge(source, outputs[source], to, signals[to], isinstance(spec, Molar))
        (part, inner), (whence, out) = to.split(".", 1), source.split(".", 1)
        constant = f"molar_mass_{to.replace('.', '_')}" if per_mass else ""
        wired[to] = _Drive(part, inner, whence, out, per_mass, constant)
    return tuple(wired.values())


def _bridge(source: str, given: Unit | None, to: str, wanted: Unit | None, molar: bool) -> int:
    """How the driver becomes the signal: 0 as it is, -1 divided by the molar mass, 1 multiplied by it."""
    if given is None or wanted is None or given == wanted:
        if molar:
            raise ValueError(f"{source} and {to} are both in {wanted}: write the name, without Molar")
        return 0
    per_mass = -1 if given == wanted * _MOLAR_MASS else 1 if given * _MOLAR_MASS == wanted else 0
    if per_mass and molar:
        return per_mass
    hint = f"; write Molar({source!r}, mass=...) with its molar mass in mg/umol" if per_mass else ""
    raise ValueError(f"{source} is in {given} but {to} is in {wanted}{hint}")


def _order(parts: tuple[str, ...], wired: tuple[_Drive, ...]) -> tuple[str, ...]:
    """The parts, drivers first."""
    order: list[str] = []
    while len(order) < len(parts):
        ready = [p for p in parts if p not in order and all(d.source in order for d in wired if d.part == p)]
        if not ready:
            circle = ", ".join(p for p in parts if p not in order)
            raise ValueError(f"{circle} drive each other in a circle; write them as one model")
        order += ready
    return tuple(order)


def _module(name: str, fields: dict[str, Any], defaults: dict[str, Any] | None = None) -> type:
    doc = f"{name} of the parts of a coupled model."
    namespace = {"__annotations__": fields, "__module__": __name__, "__doc__": doc, **(defaults or {})}
    return types.new_class(name, (eqx.Module,), exec_body=lambda body: body.update(namespace))


def _without(cls: type, driven: set[str]) -> type:
    """An Input class without its driven signals, which may lie in parts of parts."""
    if not driven:
        return cls
    kept: dict[str, Any] = {}
    example = zeros(cls)
    units = declared(example)
    for name in (f.name for f in dataclasses.fields(cls)):
        inner = {d.split(".", 1)[1] for d in driven if d.startswith(name + ".")}
        if isinstance(getattr(example, name), eqx.Module):
            kept[name] = _without(type(getattr(example, name)), inner)
        elif name not in driven:
            kept[name] = Annotated[Any, units[name][0]]
    scalars = {n: 0.0 for n, hint in kept.items() if not isinstance(hint, type)}
    return _module("Input", kept, scalars)
