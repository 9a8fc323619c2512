"""A population: a typical model, how individuals vary about it, what covariates do, and how measurements err."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from twinjax.models.base import AbstractModel, output_names
from twinjax.naming import bind, leaves, names, resolve
from twinjax.observation import AbstractResidual
from twinjax.population.effects import AbstractEffect
from twinjax.population.variability import AbstractScale, LogScale
from twinjax.units import Bounds, declared

Theta = Mapping[str, Any]
Individual = Callable[[Theta, Mapping[str, Any], Mapping[str, Any]], AbstractModel]

_REAL, _POSITIVE = Bounds(-np.inf, np.inf), Bounds()


class Population(eqx.Module):
    """Typical values, between-subject variability, covariate effects and residual errors, all by parameter name.

    Every number has a name in `theta`: the model's own (``cl``), covariate coefficients (``cl.weight``), standard
    deviations of the random effects (``omega.cl``), their correlations (``corr.cl.v``), residual errors
    (``plasma.additive``). All are estimated, except the model's parameters that have a default (lags, bioavailability)
    unless named in `estimate`, constant effects (`Allometry`), and what `fixed` names.

    **Parameters** of the constructor
        `model`: the typical values, as a model. `variability`: name -> standard deviation of eta (log-normal), or an
        `AbstractScale`. `correlations`: pair of names -> correlation of their etas; a name so linked is in one block,
        whose pairs are all estimated. `covariates`: name -> effect or list of effects. `residual`: output name ->
        `AbstractResidual`. `individual`: the general form instead of the tables, ``individual(theta, eta, covariates)
        -> model`` with thetas named and started by `thetas`, and etas named by `variability`.
    **Raises** `ValueError` for a name that is not there (with the nearest), a variability that is zero or negative
    (leave it out instead), a correlation outside (-1, 1) or of a parameter without variability, a parameter that is
    not finite.
    """

    model: AbstractModel
    theta: dict[str, Any]
    scales: dict[str, AbstractScale]
    effects: dict[str, tuple[AbstractEffect, ...]]
    residuals: dict[str, AbstractResidual]
    blocks: tuple[tuple[str, ...], ...] = eqx.field(static=True)
    fixed: frozenset[str] = eqx.field(static=True)
    write_out: Individual | None = eqx.field(static=True)
    bounds: tuple[tuple[str, Bounds], ...] = eqx.field(static=True)

    def __init__(
        self,
        model: AbstractModel,
        *,
        variability: Mapping[str, float | AbstractScale] | None = None,
        correlations: Mapping[tuple[str, str], float] | None = None,
        covariates: Mapping[str, AbstractEffect | Iterable[AbstractEffect]] | None = None,
        residual: AbstractResidual | Mapping[str, AbstractResidual] | None = None,
        fixed: Iterable[str] = (),
        estimate: Iterable[str] = (),
        thetas: Mapping[str, float] | None = None,
        individual: Individual | None = None,
    ) -> None:
        """See the class."""
        self.model, self.write_out = model, individual
        if (individual is None) != (thetas is None):
            raise ValueError("individual and thetas go together: give both for the general form, or neither")
        base = {n: jnp.asarray(v, float) for n, v in (leaves(model) if thetas is None else thetas).items()}
        limits = {n: b for n, (_, b) in declared(model).items()} if thetas is None else dict.fromkeys(base, _REAL)
        held = _with_defaults(model) if thetas is None else set()

        def parameter(name: str) -> str:
            return resolve(name, base)

        self.scales = {}
        for name, scale in (variability or {}).items():
            full = parameter(name) if individual is None else name
            self.scales[full] = scale if isinstance(scale, AbstractScale) else LogScale(scale)
            if not isinstance(scale, Tracer) and not float(self.scales[full].sd) > 0:
                raise ValueError(f"variability of {full} is {float(self.scales[full].sd):g}: it must be above zero; "
                                 "leave the parameter out of variability if it does not vary")  # fmt: skip
        self.effects = {}
        for name, given in (covariates or {}).items():
            full = parameter(name)
            self.effects[full] = (given,) if isinstance(given, AbstractEffect) else tuple(given)
        outputs = output_names(model)
        if isinstance(residual, AbstractResidual):
            if len(outputs) != 1:
                raise ValueError(f"the model has outputs {', '.join(outputs)}: give residual as {{output: error}}")
            residual = dict.fromkeys(outputs, residual)
        self.residuals = {resolve(n, outputs, "output"): r for n, r in (residual or {}).items()}

        theta, constant = dict(base), set()
        for full, effects in self.effects.items():
            for effect in effects:
                for suffix, value in effect.coefficients().items():
                    name = ".".join(x for x in (full, effect.covariate, suffix) if x)
                    theta[name], limits[name] = jnp.asarray(value, float), _REAL
                    if effect.fixed:
                        constant.add(name)
        theta.update({f"omega.{n}": jnp.asarray(s.sd, float) for n, s in self.scales.items()})
        self.blocks = _blocks(tuple(self.scales), correlations or {})
        given = {
            frozenset(resolve(n, self.scales, "parameter with variability") for n in pair): r
            for pair, r in (correlations or {}).items()
        }
        for block in self.blocks:
            for i, a in enumerate(block):
                for b in block[i + 1 :]:
                    r = given.get(frozenset((a, b)), 0.0)
                    if not abs(float(r)) < 1:
                        raise ValueError(f"correlation of {a} and {b} is {r}; it lies between -1 and 1")
                    theta[f"corr.{a}.{b}"] = jnp.asarray(r, float)
        for output, error in self.residuals.items():
            theta.update({f"{output}.{n}": jnp.asarray(v, float) for n, v in leaves(error).items()})
        for name, value in theta.items():
            if not isinstance(value, Tracer) and not np.all(np.isfinite(value)):
                raise ValueError(f"parameter {name} is {float(value)}; give a finite value to start from")
        held -= {n for n in held if n in self.scales or n in self.effects}
        held -= {resolve(n, theta) for n in estimate}
        self.theta = theta
        self.fixed = frozenset(held | constant | {resolve(n, theta) for n in fixed})
        self.bounds = tuple((n, limits.get(n, _POSITIVE)) for n in theta if not n.startswith(("omega.", "corr.")))
        for name, b in self.bounds:
            if name not in self.fixed and not b.lower < float(theta[name]) < b.upper:
                raise ValueError(
                    f"parameter {name} is {float(theta[name]):g}; it is estimated between {b.lower:g} and {b.upper:g}, "
                    "so start inside"
                )

    # ---------------------------------------------------------------------------------------------------- reading

    @property
    def etas(self) -> tuple[str, ...]:
        """Names of the random effects, in the order of eta."""
        return tuple(n for block in self.blocks for n in block)

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Covariates that the effects read."""
        return tuple(dict.fromkeys(e.covariate for effects in self.effects.values() for e in effects))

    def with_theta(self, theta: Theta) -> Population:
        """The same population with other values, by name."""
        arrays = {n: jnp.asarray(v, float) for n, v in theta.items()}  # a Python number would be compiled in
        return eqx.tree_at(lambda p: p.theta, self, bind(self.theta, arrays))

    def individual(self, theta: Theta, eta: Any, covariates: Mapping[str, Any]) -> AbstractModel:
        """One person's model: `eta` `(etas,)`, covariates by name."""
        if self.write_out is not None:
            return self.write_out(theta, {n: eta[i] for i, n in enumerate(self.etas)}, covariates)
        values: dict[str, Any] = {}
        where = {n: i for i, n in enumerate(self.etas)}
        for name in names(self.model):
            value = theta[name]
            for effect in self.effects.get(name, ()):
                own = {s: theta[".".join(x for x in (name, effect.covariate, s) if x)] for s in effect.coefficients()}
                value = value * effect.factor(covariates[effect.covariate], own)
            if name in where:
                value = self.scales[name].individual(value, eta[where[name]])
            values[name] = value
        return bind(self.model, values)

    def omega(self, theta: Theta) -> Any:
        """Covariance of the random effects, `(etas, etas)`."""
        etas = self.etas
        sd = jnp.stack([theta[f"omega.{n}"] for n in etas]) if etas else jnp.zeros(0)
        rows = []
        for a in etas:
            row = []
            for b in etas:
                pair = theta.get(f"corr.{a}.{b}", theta.get(f"corr.{b}.{a}"))
                row.append(jnp.ones(()) if a == b else jnp.zeros(()) if pair is None else pair)
            rows.append(jnp.stack(row))
        correlation = jnp.stack(rows) if rows else jnp.zeros((0, 0))
        return correlation * sd[:, None] * sd[None, :]

    def errors(self, theta: Theta) -> dict[str, AbstractResidual]:
        """Residual errors by output, at the given values."""
        return {o: bind(r, {n: theta[f"{o}.{n}"] for n in names(r)}) for o, r in self.residuals.items()}


def _with_defaults(model: AbstractModel) -> set[str]:
    """Parameters that the model gives a default: constants unless asked otherwise."""
    found: set[str] = set()
    for f in dataclasses.fields(model):
        value = getattr(model, f.name)
        if isinstance(value, AbstractModel):
            found |= {f"{f.name}.{n}" for n in _with_defaults(value)}
        elif f.default is not dataclasses.MISSING:
            found.add(f.name)
    return found


def _blocks(etas: tuple[str, ...], correlations: Mapping[tuple[str, str], float]) -> tuple[tuple[str, ...], ...]:
    """Random effects that are linked by correlations, as blocks, in the order given."""
    block = {n: {n} for n in etas}
    for a, b in correlations:
        a, b = (resolve(n, etas, "parameter with variability") for n in (a, b))
        joined = block[a] | block[b]
        for n in joined:
            block[n] = joined
    seen: set[str] = set()
    found = []
    for n in etas:
        if n not in seen:
            found.append(tuple(m for m in etas if m in block[n]))
            seen |= block[n]
    return tuple(found)
