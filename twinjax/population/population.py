"""A population: a typical model, how individuals vary about it, what covariates do, and how measurements err."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from twinjax.models.base import AbstractModel, output_names
from twinjax.naming import bind, leaves, names, resolve
from twinjax.observation import AbstractLikelihood, AbstractQuantification, AbstractResidual, AbstractTailed, Errors
from twinjax.population.across import across_measurements, quantified
from twinjax.population.covariance import correlated, covariance, linked
from twinjax.population.effects import AbstractEffect
from twinjax.population.mixture import Mixture
from twinjax.population.occasions import Occasions
from twinjax.population.variability import AbstractScale, LogScale
from twinjax.units import Bounds, declared

Theta = Mapping[str, Any]
Residual = AbstractResidual | AbstractLikelihood
Individual = Callable[[Theta, Mapping[str, Any], Mapping[str, Any]], AbstractModel]

_REAL, _POSITIVE = Bounds(-np.inf, np.inf), Bounds()


class Population(eqx.Module):
    """Typical values, between-subject variability, covariate effects and residual errors, all by parameter name.

    Every number has a name in `theta`: the model's own (``cl``), covariate coefficients (``cl.weight``), standard
    deviations of the random effects (``omega.cl``, ``omega.cl.occasion``), their correlations (``corr.cl.v``), residual
    errors (``plasma.additive``). All are estimated, except the model's parameters that have a default (lags,
    bioavailability) unless named in `estimate`, constant effects (`Allometry`), and what `fixed` names.

    **Parameters** of the constructor
        `model`: the typical values, as a model. `variability`: name -> standard deviation of eta (log-normal), or an
        `AbstractScale`; a normal residual error varies too (``plasma.proportional``: an eta on epsilon), so that some
        people's measurements scatter more than others' (Karlsson et al. 1998, J Pharmacokinet Biopharm 26:207).
        `correlations`: pair of names -> correlation of their etas; a name so linked is in one block, whose pairs are
        all estimated. `occasions`: what varies between the occasions of a person besides.
        `mixture`: subpopulations, one of which each person is of.
        `covariates`: name -> effect or list of effects. `residual`: output name -> `AbstractResidual`, or
        `AbstractLikelihood` for binary data, counts, categories and events. `residual_correlations`: pair of outputs ->
        correlation of their residuals at the same time (``corr.plasma.effect``). `autocorrelation`: output ->
        correlation of its residuals one time unit apart, r in ``r ** |t - s|`` (``plasma.autocorrelation``).
        `quantification`: output -> how values beyond its limit count, `M3` (default) or `M4`. `bounds`: name -> (lower,
        upper) of an estimated parameter, inside those that it has anyway (positive, or as the model
        declares); either may be infinite. `individual`: the general form instead of the tables, ``individual(theta,
        eta, covariates) -> model`` with thetas named and started by `thetas`, etas named by `variability` (and
        `occasions`: ``cl.occasion`` is that of the occasion), and the covariates that it reads named by `reads`.
    **Raises** `ValueError` for a name that is not there (with the nearest), a variability that is zero or negative
    (leave it out instead), a correlation outside (-1, 1) or of a parameter without variability, a parameter that is
    not finite.
    """

    model: AbstractModel
    theta: dict[str, Any]
    scales: dict[str, AbstractScale]
    effects: dict[str, tuple[AbstractEffect, ...]]
    residuals: dict[str, AbstractResidual | AbstractLikelihood]
    quantification: dict[str, AbstractQuantification]
    crosswise: tuple[tuple[str, str], ...] = eqx.field(static=True)
    in_time: tuple[str, ...] = eqx.field(static=True)
    occasions: Occasions | None
    mixture: Mixture | None
    blocks: tuple[tuple[str, ...], ...] = eqx.field(static=True)
    fixed: frozenset[str] = eqx.field(static=True)
    write_out: Individual | None = eqx.field(static=True)
    reads: tuple[str, ...] = eqx.field(static=True)
    bounds: tuple[tuple[str, Bounds], ...] = eqx.field(static=True)

    def __init__(
        self,
        model: AbstractModel,
        *,
        variability: Mapping[str, float | AbstractScale] | None = None,
        correlations: Mapping[tuple[str, str], float] | None = None,
        occasions: Occasions | None = None,
        mixture: Mixture | None = None,
        covariates: Mapping[str, AbstractEffect | Iterable[AbstractEffect]] | None = None,
        residual: Residual | Mapping[str, Residual] | None = None,
        residual_correlations: Mapping[tuple[str, str], float] | None = None,
        autocorrelation: Mapping[str, float] | None = None,
        quantification: AbstractQuantification | Mapping[str, AbstractQuantification] | None = None,
        fixed: Iterable[str] = (),
        estimate: Iterable[str] = (),
        bounds: Mapping[str, tuple[float, float]] | None = None,
        thetas: Mapping[str, float] | None = None,
        individual: Individual | None = None,
        reads: Iterable[str] = (),
    ) -> None:
        """See the class."""
        self.model, self.write_out, self.reads = model, individual, tuple(reads)
        if (individual is None) != (thetas is None):
            raise ValueError("individual and thetas go together: give both for the general form, or neither")
        if self.reads and individual is None:
            raise ValueError("reads names the covariates of `individual`; without it, effects in covariates read them")
        base = {n: jnp.asarray(v, float) for n, v in (leaves(model) if thetas is None else thetas).items()}
        limits = {n: b for n, (_, b) in declared(model).items()} if thetas is None else dict.fromkeys(base, _REAL)
        held = _with_defaults(model) if thetas is None else set()

        def parameter(name: str) -> str:
            return resolve(name, base)

        outputs = output_names(model)
        if isinstance(residual, Residual):
            if len(outputs) != 1:
                raise ValueError(f"the model has outputs {', '.join(outputs)}: give residual as {{output: error}}")
            residual = dict.fromkeys(outputs, residual)
        self.residuals = {resolve(n, outputs, "output"): r for n, r in (residual or {}).items()}
        erring = [f"{o}.{n}" for o, r in self.residuals.items() for n in names(r)]
        self.scales = {}
        for name, scale in (variability or {}).items():
            full = resolve(name, [*base, *erring]) if individual is None else name
            self.scales[full] = scale if isinstance(scale, AbstractScale) else LogScale(scale)
            _positive(full, self.scales[full].sd)
            start = base.get(full) if individual is None else None
            if type(self.scales[full]) is LogScale and not isinstance(start, Tracer | None) and float(start) > 0:
                limits[full] = _no_lower_than_zero(limits.get(full, _POSITIVE))  # exp(eta) never changes its sign
        self.effects = {}
        for name, given in (covariates or {}).items():
            full = parameter(name)
            self.effects[full] = (given,) if isinstance(given, AbstractEffect) else tuple(given)

        theta, constant = dict(base), set()
        for full, effects in self.effects.items():
            for effect in effects:
                for suffix, value in effect.coefficients().items():
                    name = ".".join(x for x in (full, effect.covariate, suffix) if x)
                    theta[name], limits[name] = jnp.asarray(value, float), _REAL
                    if effect.fixed:
                        constant.add(name)
        for n, scale in self.scales.items():
            theta[f"omega.{n}"] = jnp.asarray(scale.sd, float)
            for own, (_, b) in declared(scale).items():
                if own != "sd":
                    theta[f"{n}.{own}"], limits[f"{n}.{own}"] = jnp.asarray(getattr(scale, own), float), b
        between = linked(tuple(self.scales), correlations or {})
        theta |= {n: jnp.asarray(r, float) for n, r in correlated(between, correlations or {}).items()}
        self.occasions, repeated = None, ()
        if occasions is not None:
            kappas = {
                parameter(n) if individual is None else n: _positive(n, v) for n, v in occasions.variability.items()
            }
            self.occasions = Occasions(occasions.covariate, occasions.levels, kappas, dict(occasions.correlations))
            pairs = {(f"{a}.occasion", f"{b}.occasion"): r for (a, b), r in occasions.correlations}
            repeated = linked(tuple(f"{n}.occasion" for n in kappas), pairs)
            theta |= {f"omega.{n}.occasion": jnp.asarray(v, float) for n, v in kappas.items()}
            theta |= {n: jnp.asarray(r, float) for n, r in correlated(repeated, pairs).items()}
        self.blocks = between + repeated
        for output, error in self.residuals.items():
            theta |= {f"{output}.{n}": jnp.asarray(v, float) for n, v in leaves(error).items()}
            limits |= {f"{output}.{n}": b for n, (_, b) in declared(error).items()}
        normal = [n for n, e in self.residuals.items() if isinstance(e, AbstractResidual)]
        self.quantification = quantified(quantification, normal)
        tailed = [n for n, e in self.residuals.items() if isinstance(e, AbstractTailed)]
        across = across_measurements(residual_correlations or {}, autocorrelation or {}, normal)
        joined = {n for pair in across.crosswise for n in pair} | set(across.in_time)
        joined |= {n for n, q in self.quantification.items() if q.above_zero}
        for name in joined.intersection(tailed):
            raise ValueError(f"the residual error of {name} has heavy tails; correlations of residuals and method M4 "
                             "are those of normal ones: leave one of them out")  # fmt: skip
        for output in set(self.residuals) - (set(normal) - joined - set(tailed)):
            if named := [n for n in self.varying_errors if n.startswith(f"{output}.")]:
                raise ValueError(f"{named[0]} varies between people, which is known of independent normal residual "
                                 "errors only: leave it out of variability, or correlations, tails, M4")  # fmt: skip
        self.crosswise, self.in_time = across.crosswise, across.in_time
        theta |= {n: jnp.asarray(v, float) for n, (v, _) in across.values.items()}
        limits |= {n: b for n, (_, b) in across.values.items()}
        self.mixture = mixture
        if mixture is not None:
            theta |= {n: jnp.asarray(p, float) for n, p in zip(mixture.named, mixture.probabilities, strict=False)}
            read = {e.covariate for own in self.effects.values() for e in own}
            if individual is None and mixture.covariate not in read:
                raise ValueError(
                    f"no effect reads {mixture.covariate!r}, so the classes of the mixture are all the same: name it "
                    f"in covariates, as in Categorical({mixture.covariate!r}, {{2: 0.5}})"
                )
        for name, value in theta.items():
            if not isinstance(value, Tracer) and not np.all(np.isfinite(value)):
                raise ValueError(f"parameter {name} is {float(value)}; give a finite value to start from")
        within = self.occasions.variability if self.occasions is not None else ()
        held -= {n for n in held if n in self.scales or n in self.effects or n in within}
        held -= {resolve(n, theta) for n in estimate}
        self.theta = theta
        self.fixed = frozenset(held | constant | {resolve(n, theta) for n in fixed})
        together = set(self.deviations) | set(correlated(self.blocks, {})) | set(mixture.named if mixture else ())
        limits |= _narrowed(bounds or {}, limits, {n: n in together for n in theta}, self.fixed)
        self.bounds = tuple((n, limits.get(n, _POSITIVE)) for n in theta if n not in together)
        for name, b in self.bounds:
            if name not in self.fixed and not b.lower < float(theta[name]) < b.upper:
                raise ValueError(
                    f"parameter {name} is {float(theta[name]):g}; it is estimated between {b.lower:g} and {b.upper:g}, "
                    "so start inside"
                )

    # ---------------------------------------------------------------------------------------------------- reading

    @property
    def etas(self) -> tuple[str, ...]:
        """Names of the random effects, in the order of eta: the person's, then each occasion's (``cl.occasion.1``)."""
        occasions = () if self.occasions is None else self.occasions.levels
        return self._levels[0] + tuple(f"{n}.{level:g}" for level in occasions for n in self._levels[1])

    @property
    def deviations(self) -> tuple[str, ...]:
        """The name of each random effect's standard deviation, in the order of eta."""
        occasions = 0 if self.occasions is None else len(self.occasions.levels)
        return tuple(f"omega.{n}" for n in self._levels[0] + self._levels[1] * occasions)

    @property
    def _levels(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the random effects between people, and of those between occasions, as blocks order them."""
        named = tuple(n for block in self.blocks for n in block)
        within = () if self.occasions is None else tuple(f"{n}.occasion" for n in self.occasions.variability)
        return tuple(n for n in named if n not in within), tuple(n for n in named if n in within)

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Covariates that the effects, the general form, the occasions and the classes of a mixture read."""
        read = [*self.reads, *(e.covariate for effects in self.effects.values() for e in effects)]
        return tuple(dict.fromkeys(read + [x.covariate for x in (self.occasions, self.mixture) if x is not None]))

    @property
    def residual_names(self) -> frozenset[str]:
        """Names of the parameters of residual errors and likelihoods, correlations of residuals among them."""
        found = {f"{o}.{n}" for o, r in self.residuals.items() for n in names(r)}
        found |= {f"corr.{a}.{b}" for a, b in self.crosswise} | {f"{n}.autocorrelation" for n in self.in_time}
        return frozenset(found)

    @property
    def varying_errors(self) -> tuple[str, ...]:
        """Names of the parameters of residual errors that vary between people."""
        return tuple(f"{o}.{n}" for o, r in self.residuals.items() for n in names(r) if f"{o}.{n}" in self.scales)

    def places(self, block: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
        """Where the random effects of a block of Omega are in eta: once, or once an occasion."""
        between, within = self._levels
        if block[0] in between:
            return (tuple(between.index(n) for n in block),)
        occasions = 0 if self.occasions is None else len(self.occasions.levels)
        return tuple(tuple(len(between) + k * len(within) + within.index(n) for n in block) for k in range(occasions))

    def with_theta(self, theta: Theta) -> Population:
        """The same population with other values, by name."""
        arrays = {n: jnp.asarray(v, float) for n, v in theta.items()}  # a Python number would be compiled in
        return eqx.tree_at(lambda p: p.theta, self, bind(self.theta, arrays))

    def with_effects(self, covariates: Mapping[str, Iterable[AbstractEffect]]) -> Population:
        """The same population with these covariate effects too, by parameter; their coefficients at the start.

        **Raises** `ValueError` for a parameter that is not there, and one that has an effect of that covariate already.
        """
        effects, theta, bounds, held = dict(self.effects), dict(self.theta), dict(self.bounds), set(self.fixed)
        for name, given in covariates.items():
            full = resolve(name, names(self.model) if self.write_out is None else ())
            for effect in given:
                for suffix, value in effect.coefficients().items():
                    own = ".".join(x for x in (full, effect.covariate, suffix) if x)
                    if own in theta:
                        raise ValueError(f"{full} has an effect of {effect.covariate} already ({own})")
                    theta[own], bounds[own] = jnp.asarray(value, float), _REAL
                    held |= {own} if effect.fixed else set()
                effects[full] = (*effects.get(full, ()), effect)
        new = object.__new__(Population)
        changed = {"effects": effects, "theta": theta, "bounds": tuple(bounds.items()), "fixed": frozenset(held)}
        for f in dataclasses.fields(self):
            object.__setattr__(new, f.name, changed.get(f.name, getattr(self, f.name)))
        return new

    def individual(self, theta: Theta, eta: Any, covariates: Mapping[str, Any]) -> AbstractModel:
        """One person's model: `eta` `(etas,)`, covariates by name."""
        if self.write_out is not None:
            return self.write_out(theta, self.random(eta, covariates), covariates)
        values: dict[str, Any] = {}
        random = self.random(eta, covariates)
        for name in names(self.model):
            value = theta[name]
            for effect in self.effects.get(name, ()):
                own = {s: theta[".".join(x for x in (name, effect.covariate, s) if x)] for s in effect.coefficients()}
                value = value * effect.factor(covariates[effect.covariate], own)
            own = [random[n] for n in (name, f"{name}.occasion") if n in random]
            if own:
                value = self.scale(name, theta).individual(value, sum(own[1:], own[0]))
            values[name] = value
        return bind(self.model, values)

    def random(self, eta: Any, covariates: Mapping[str, Any]) -> dict[str, Any]:
        """A person's random effects by name, and (``cl.occasion``) those of the occasion that the covariates are of."""
        between, within = self._levels
        found = {n: eta[i] for i, n in enumerate(between)}
        if self.occasions is not None:
            kappa = eta[len(between) :].reshape(len(self.occasions.levels), len(within))
            occasion = covariates[self.occasions.covariate]
            found |= {n: self.occasions.pick(list(kappa[:, i]), occasion) for i, n in enumerate(within)}
        return found

    def scale(self, name: str, theta: Theta) -> AbstractScale:
        """The scale on which a parameter varies, its own parameters at the given values."""
        if name not in self.scales:
            return LogScale(0.0)  # varies between occasions only
        scale = self.scales[name]
        return bind(scale, {n: theta[f"{name}.{n}"] for n in names(scale) if n != "sd"})

    def omega(self, theta: Theta) -> Any:
        """Covariance of the random effects, `(etas, etas)`."""
        between, within = (covariance(names, theta) for names in self._levels)
        if self.occasions is None:
            return between
        return jax.scipy.linalg.block_diag(between, *[within] * len(self.occasions.levels))

    def errors(self, theta: Theta, eta: Any = None) -> Errors:
        """Residual errors and likelihoods by output, at the given values: one person's, at `eta` `(etas,)`, or without
        it the typical ones.
        """
        at = dict(theta)
        if eta is not None:
            for name in self.varying_errors:
                at[name] = self.scale(name, theta).individual(theta[name], eta[self.etas.index(name)])
        return Errors(
            {o: bind(r, {n: at[f"{o}.{n}"] for n in names(r)}) for o, r in self.residuals.items()},
            {(a, b): theta[f"corr.{a}.{b}"] for a, b in self.crosswise},
            {n: theta[f"{n}.autocorrelation"] for n in self.in_time},
            self.quantification,
        )


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


def _no_lower_than_zero(limits: Bounds) -> Bounds:
    return Bounds(max(0.0, limits.lower), limits.upper)


def _positive(name: str, sd: Any) -> Any:
    if not isinstance(sd, Tracer) and not float(sd) > 0:
        raise ValueError(f"variability of {name} is {float(sd):g}: it must be above zero; leave the parameter out of "
                         "variability if it does not vary")  # fmt: skip
    return sd


def _narrowed(
    given: Mapping[str, tuple[float, float]],
    limits: Mapping[str, Bounds],
    together: Mapping[str, bool],
    fixed: frozenset[str],
) -> dict[str, Bounds]:
    """The bounds that a user gives, by full name, each inside what the parameter may be anyway."""
    found: dict[str, Bounds] = {}
    for name, pair in given.items():
        full = resolve(name, together)
        lower, upper = (float(b) for b in pair)
        own = limits.get(full, _POSITIVE)
        if together[full]:
            raise ValueError(f"{full} cannot be bounded by itself: Omega is kept positive definite as a whole, and "
                             "probabilities to the sum 1; fix it, or give it a prior")  # fmt: skip
        if full in fixed:
            raise ValueError(
                f"{full} is fixed, so bounds of it have no meaning; leave them out, or name it in estimate"
            )
        if not lower < upper:
            raise ValueError(f"bounds of {full} are ({lower:g}, {upper:g}); the lower is below the upper")
        if lower < own.lower or upper > own.upper:
            raise ValueError(f"bounds of {full} are ({lower:g}, {upper:g}), beyond what it can be: between "
                             f"{own.lower:g} and {own.upper:g}")  # fmt: skip
        found[full] = Bounds(lower, upper)
    return found
