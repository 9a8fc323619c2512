"""The model contract: what every model file writes, and what the rest of twinjax reads from it."""

from __future__ import annotations

import abc
import dataclasses
import functools
import inspect
import sys
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from twinjax.naming import names
from twinjax.units import Scalar, Unit, UnitError, annotated_fields, declared, interpret, one_scale


def _inexact(tree: Any) -> Any:
    """Numbers, in organs and dicts too, become floating-point arrays: every parameter has a gradient, none retraces."""
    return jax.tree.map(_inexact_leaf, tree)


def _inexact_leaf(value: Any) -> Any:
    if isinstance(value, bool | int | float | np.ndarray | np.generic):
        return jnp.asarray(value, dtype=jnp.result_type(float))
    if isinstance(value, jax.Array) and not jnp.issubdtype(value.dtype, jnp.inexact):
        return value.astype(jnp.result_type(float))
    return value


class Route(eqx.Module):
    """How a dose reaches the state it is given into. A model names its routes in `AbstractModel.routes`.

    **Parameters**: `lag` delays the dose (time); `bioavailability` multiplies its amount (for a given rate it scales
    the duration, as in NONMEM); `rate` is the infusion rate of doses with RATE = -1; `duration` the infusion duration
    of doses with RATE = -2; `transit` spreads every dose as a gamma density in time (`Transit`).
    None means that the model does not declare it.
    """

    lag: Scalar | None = None
    bioavailability: Scalar | None = None
    rate: Scalar | None = None
    duration: Scalar | None = None
    transit: Transit | None = None


class Transit(eqx.Module):
    """A dose that enters at the rate ``F D ktr (ktr s)^n exp(-ktr s) / gamma(n + 1)``, s the time since the dose.

    **Parameters**: `rate` is ktr (1/time); `number` is n, not necessarily whole.
    **Reference**: Savic et al. 2007, J Pharmacokinet Pharmacodyn 34:711, doi:10.1007/s10928-007-9066-0.
    """

    rate: Scalar
    number: Scalar


class Balance(eqx.Module):
    """A total that changes only by what enters and leaves: d/dt sum(states) = sum(inputs) + gain.

    **Parameters**: `states`, their names (full or unambiguous endings), or a mapping to weights; `gain`, the rate at
    which the total grows other than by dosing (negative for elimination).
    """

    states: tuple[str, ...] | Mapping[str, Scalar] = eqx.field(static=False)
    gain: Scalar = 0.0

    def weights(self) -> dict[str, Scalar]:
        """State name to weight in the total."""
        return dict(self.states) if isinstance(self.states, Mapping) else dict.fromkeys(self.states, 1.0)


class AbstractModel(eqx.Module):
    """A physiology model: parameters as fields, equations as `derivative` and `output`.

    A model obeys the scalar rule: only elementwise arithmetic on named scalars, no indexing, no `jnp.array([...])`,
    no matmul, no Python branch on a value. The same code then serves one patient, a population and a kernel.

    A final model has nested classes

    - ``State``: what integrates, and nothing else;
    - ``Output``: what can be observed;
    - ``Input`` (optional): rates that enter states, named as those states, and driving signals with names of their
      own. Without it, every state can be dosed.

    and may declare, as class variables, ``time_unit``; ``nonnegative``, whether its states stay so, but for those
    named in ``signed`` (a potential); ``quiescent``, whether nothing happens in the initial state until something is
    given, and nothing may be in any state (a body without drug: not a living cell); ``stiff``.
    """

    State: ClassVar[type[Any]]
    Input: ClassVar[type[Any]]
    Output: ClassVar[type[Any]]
    time_unit: ClassVar[Unit] = Unit("h")
    nonnegative: ClassVar[bool] = True
    signed: ClassVar[tuple[str, ...]] = ()
    quiescent: ClassVar[bool] = True
    stiff: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Gives every parameter its conversion to a floating-point array, and a model without `Input` a default one."""
        super().__init_subclass__(**kwargs)
        for name, hint in inspect.get_annotations(cls).items():
            if "ClassVar" in str(hint) or isinstance(cls.__dict__.get(name), dataclasses.Field):
                continue
            default = {"default": cls.__dict__[name]} if name in cls.__dict__ else {}
            setattr(cls, name, eqx.field(converter=_inexact, **default))
        if "State" in cls.__dict__ and "Input" not in cls.__dict__:
            cls.Input = rates_of(cls.State, cls.time_unit, cls.__qualname__)

    @abc.abstractmethod
    def derivative(self, t: Scalar, y: Any, u: Any) -> Any:
        """Rate of change of the state: `State` at time `t`, state `y`, inputs `u`."""

    @abc.abstractmethod
    def output(self, t: Scalar, y: Any, u: Any) -> Any:
        """What can be observed: `Output` at time `t`, state `y`, inputs `u` (for a direct effect of a signal)."""

    def initial(self) -> Any:
        """The state before any dose, to which a reset (EVID 3, 4) returns; zero unless overridden."""
        return zeros(type(self).State)

    def routes(self) -> dict[str, Route]:
        """State name -> how doses into it are delayed, scaled and shaped. None declared unless overridden."""
        return {}

    def balances(self, t: Scalar, y: Any, u: Any) -> dict[str, Balance]:
        """The totals this model conserves, by name. None declared unless overridden."""
        return {}

    def companions(self) -> dict[str, dict[str, Scalar]]:
        """State that takes infusions -> what enters other states with each unit of one (the ions that carry a current).

        A bolus enters alone. None declared unless overridden.
        """
        return {}

    @classmethod
    @abc.abstractmethod
    def typical(cls) -> AbstractModel:
        """The model at published typical values (source in the model's docstring), for examples and laws."""


def rates_of(state: type, time_unit: Unit, owner: str) -> type:
    """An `Input` class with a rate for every field of a `State` class, zero by default; nested as the State is.

    A field of organs that plug in (a dict, or the abstract `eqx.Module`) takes the form of the model's own `initial`.
    """
    namespace: dict[str, Any] = {"__annotations__": {}, "__module__": state.__module__, "__doc__": "Rates that enter."}
    module = vars(sys.modules[state.__module__])
    for name, hint in inspect.get_annotations(state).items():
        resolved = eval(hint, module) if isinstance(hint, str) else hint
        kind = _module_class(resolved)
        if kind is _PLUGGED:
            namespace["__annotations__"][name] = resolved
            namespace[name] = eqx.field(default_factory=dict)
        elif kind is not None:
            inner = rates_of(kind, time_unit, f"{owner}.{name}")
            namespace["__annotations__"][name] = inner
            namespace[name] = eqx.field(default_factory=inner)
        else:
            units = [m for m in getattr(resolved, "__metadata__", ()) if isinstance(m, Unit)]
            namespace["__annotations__"][name] = Annotated[Scalar, units[0] / time_unit] if units else Scalar
            namespace[name] = 0.0
    made = types.new_class("Input", (eqx.Module,), exec_body=lambda body: body.update(namespace))
    made.__qualname__ = f"{owner}.Input"
    return made


_PLUGGED = eqx.Module
"""Stands for a field whose form only an instance knows."""


def _module_class(hint: Any) -> type | None:
    """The module class that an annotation names, `_PLUGGED` for a dict or an abstract module, None for a scalar."""
    origin = typing.get_origin(hint)
    if origin is Annotated:
        return _module_class(typing.get_args(hint)[0])
    if origin is dict:
        return _PLUGGED
    if isinstance(hint, type) and issubclass(hint, eqx.Module):
        return _PLUGGED if inspect.isabstract(hint) else hint
    return None


@functools.cache
def _field_classes(cls: type) -> tuple[tuple[str, type | None], ...]:
    return tuple((n, _module_class(h)) for n, h in annotated_fields(cls).items())


def zeros(cls: type, like: Any = None) -> Any:
    """An instance of a State, Input or Output class, every scalar zero; plugged-in fields take the form of `like`'s."""
    zero = jnp.zeros((), jnp.result_type(float))

    def field(name: str, inner: type | None) -> Any:
        form = getattr(like, name, None)
        if inner is _PLUGGED:
            return {} if form is None else jax.tree.map(lambda _: zero, form)
        return zero if inner is None else zeros(inner, form)

    return cls(**{n: field(n, inner) for n, inner in _field_classes(cls)})


def no_input(model: AbstractModel) -> Any:
    """A model's `Input`, every rate and signal zero."""
    return zeros(type(model).Input, jax.eval_shape(model.initial))


def state_names(model: AbstractModel) -> tuple[str, ...]:
    """Names of a model's states, in order: compartment 1, 2, ... of a NONMEM data file."""
    return _names(_of_states, *_form(model))


def input_names(model: AbstractModel) -> tuple[str, ...]:
    """Names of a model's inputs: states that can be dosed, then driving signals, in field order."""
    return _names(no_input, *_form(model))


def output_names(model: AbstractModel) -> tuple[str, ...]:
    """Names of a model's outputs, in order: DVID 1, 2, ... of a data file."""
    return _names(_of_outputs, *_form(model))


def _of_states(model: AbstractModel) -> Any:
    return model.initial()


def _of_outputs(model: AbstractModel) -> Any:
    return model.output(jnp.zeros((), jnp.result_type(float)), model.initial(), no_input(model))


def route_kinds(model: AbstractModel) -> dict[str, Route]:
    """State name -> its route with shapes in place of numbers: which of its fields are declared."""
    return _shaped(_of_routes, *_form(model))


def _of_routes(model: AbstractModel) -> Any:
    return model.routes()


def _form(model: AbstractModel) -> tuple[Any, tuple[Any, ...]]:
    """What names depend on: everything of a model but its numbers."""
    leaves, structure = jax.tree.flatten(model)
    return structure, tuple(np.shape(x) for x in leaves)


@functools.lru_cache(maxsize=4096)
def _shaped(what: Any, structure: Any, shapes: tuple[Any, ...]) -> Any:
    """`what(model)` with shapes in place of numbers, read once for every form of a model."""
    numbers = [jax.ShapeDtypeStruct(s, jnp.result_type(float)) for s in shapes]
    return jax.eval_shape(what, jax.tree.unflatten(structure, numbers))


@functools.lru_cache(maxsize=4096)
def _names(what: Any, structure: Any, shapes: tuple[Any, ...]) -> tuple[str, ...]:
    return names(_shaped(what, structure, shapes))


def parameter_units(model: AbstractModel) -> dict[str, str]:
    """Parameter name -> unit as text, such as ``{"cl": "L/h"}``; ``"?"`` where none is declared."""
    return {n: str(u) if u else "?" for n, (u, _) in declared(model).items()}


def check_units(model: AbstractModel) -> dict[str, str]:
    """Check that the units of a model's equations close; returns `parameter_units`.

    Walks the jaxprs of `derivative`, `output` and `initial` with units in place of numbers (source: the annotations).

    **Raises** `twinjax.units.UnitError` with file and line where they do not close; `ValueError` for an annotation in a
    second scale of one dimension. It cannot see a wrong dimensionless factor.
    """
    cls = type(model)
    y, u, t = model.initial(), no_input(model), jnp.zeros((), jnp.result_type(float))

    def units_of(tree: eqx.Module) -> dict[str, Unit | None]:
        return {n: unit for n, (unit, _) in declared(tree).items()}

    parameters, state, inputs = units_of(model), units_of(y), units_of(u)
    constants = _constants(model)
    one_scale({**parameters, **{f"State.{n}": x for n, x in state.items()}, "time": cls.time_unit})
    one_scale({**parameters, **{f"{c.__name__}.{n}": unit for (c, n), unit in constants.items()}})
    for name in set(inputs) & set(state):
        own = state[name]
        rate = None if own is None else own / cls.time_unit
        if inputs[name] not in (None, rate, own):
            raise UnitError(f"{cls.__name__}.Input: {name} is declared in {inputs[name]} but enters in {rate}")
        inputs[name] = rate  # organs plugged in give their rates in the State's own classes

    def closes(what: str, args: tuple[Any, ...], units: list[Unit | None], want: dict[str, Unit | None]) -> None:
        def traced(held: list[Any], m: AbstractModel, *rest: Any) -> Any:
            saved = {key: getattr(*key) for key in constants}
            try:
                for (owner, name), tracer in zip(constants, held, strict=True):
                    setattr(owner, name, tracer)
                return getattr(m, what)(*rest)
            finally:
                for (owner, name), value in saved.items():
                    setattr(owner, name, value)

        values = [jnp.asarray(getattr(*key), jnp.result_type(float)) for key in constants]
        closed = jax.make_jaxpr(traced)(values, model, *args)
        got = interpret(closed, [*constants.values(), *parameters.values(), *units])
        for (name, wanted), found in zip(want.items(), got, strict=True):
            if found is not None and wanted is not None and found != wanted:
                raise UnitError(f"{cls.__name__}.{what}: {name} is declared in {wanted} but comes out in {found}")

    arguments = [cls.time_unit, *state.values(), *inputs.values()]
    rates = {n: x / cls.time_unit if x else None for n, x in state.items()}
    closes("derivative", (t, y, u), arguments, rates)
    closes("output", (t, y, u), arguments, units_of(jax.eval_shape(model.output, t, y, u)))
    closes("initial", (), [], state)
    return parameter_units(model)


def _constants(model: AbstractModel) -> dict[tuple[type, str], Unit]:
    """Class constants that carry a unit, ``R: ClassVar[Annotated[float, Unit("mV/K")]] = ...``, by class and name."""
    found: dict[tuple[type, str], Unit] = {}
    parts = jax.tree.leaves(model, is_leaf=lambda x: isinstance(x, eqx.Module) and x is not model)
    for part in [model, *(p for p in parts if isinstance(p, eqx.Module))]:
        if part is not model:
            found.update(_constants(part))
        for base in (b for b in type(part).__mro__ if b.__module__ != "equinox"):
            for name, hint in typing.get_type_hints(base, include_extras=True).items():
                if typing.get_origin(hint) is ClassVar and name in base.__dict__:
                    units = [m for m in getattr(typing.get_args(hint)[0], "__metadata__", ()) if isinstance(m, Unit)]
                    if units:
                        found[base, name] = units[0]
    return found
