"""The [data], [fit] and [cohort] tables: where measurements come from, how to calibrate, whom to simulate."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from twinjax.dosing import Regimen
from twinjax.io.study.tables import Table
from twinjax.models.base import AbstractModel, input_names, state_names
from twinjax.naming import suggestion
from twinjax.population.distributions import (
    AbstractDistribution,
    Bernoulli,
    Beta,
    Gamma,
    HalfCauchy,
    HalfNormal,
    InverseGamma,
    LogNormal,
    Normal,
    TruncatedNormal,
    Uniform,
)

METHODS = (
    "FOCEI", "FOCE", "FO", "NaivePooled", "Laplace", "Quadrature", "ImportanceSampling", "ImportanceEM", "SAEM", "NUTS",
    "TwoStage",
)  # fmt: skip
BACKENDS = ("automatic", "exact", "diffrax")


@dataclasses.dataclass(frozen=True)
class DataPlan:
    """A data file (or a data set that ships with twinjax) and how to read it: `how` are arguments of `read_nonmem`."""

    file: str
    how: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class MethodPlan:
    """A method by name, and its options by the names of its fields, as written."""

    name: str
    options: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class FitPlan:
    """How to calibrate. `methods`, one after another; none is FOCEI with random effects, NaivePooled without."""

    methods: tuple[MethodPlan, ...]
    fixed: tuple[str, ...]
    estimate: tuple[str, ...]
    starts: int
    spread: float
    seed: int
    priors: dict[str, AbstractDistribution]
    backend: str
    covariance: bool

    @property
    def method(self) -> str | None:
        """The names of the methods; None for the automatic choice."""
        return ", then ".join(m.name for m in self.methods) or None


@dataclasses.dataclass(frozen=True)
class CohortPlan:
    """Whom to simulate. `covariates` None resamples those of the data's subjects; `times` `(samples,)`."""

    patients: int
    seed: int
    covariates: dict[str, float | AbstractDistribution] | None
    regimen: Regimen | None
    times: np.ndarray | None


def read_data(table: Table) -> DataPlan:
    """A file and the arguments of `read_nonmem`."""
    file = table.text("file")
    either = "a table such as { 1 = 'plasma' }, a name or a number"
    how = {
        "columns": table.any("columns", (dict,), 'a table such as { ID = "subject" }', None),
        "units": table.any("units", (dict,), 'a table such as { TIME = "h", AMT = "mg", DV = "mg/L" }', None),
        "covariates": table.any("covariates", (dict, list), 'a table such as { weight = "WT" } or a list', None),
        "outputs": table.any("outputs", (dict, str, int), either, None),
        "doses": table.any("doses", (dict, str, int), either, None),
        "lloq": table.any("lloq", (int, float, dict), "a number, or a table by output", None),
        "name": table.text("name", None),
    }
    table.done()
    return DataPlan(file, {k: v for k, v in how.items() if v not in (None, {}, [])})


def read_fit(table: Table) -> FitPlan:
    """Method, what is estimated, starts, priors."""
    priors = table.table("priors")
    plan = FitPlan(
        methods=_methods(table),
        fixed=table.texts("fixed"),
        estimate=table.texts("estimate"),
        starts=table.whole("starts", 1, least=1),
        spread=table.number("spread", 0.5),
        seed=table.whole("seed", 1),
        priors={n: d for n in priors.values if (d := _distribution(priors, n)) is not None},
        backend=table.text("backend", "automatic", BACKENDS),
        covariance=table.flag("covariance", True),
    )
    table.done()
    return plan


_METHOD = "a name in quotes, a list of them, or a table with options, such as { SAEM = { chains = 4 } }"


def _methods(table: Table) -> tuple[MethodPlan, ...]:
    """Method or chain of methods, with options beside the name or in a table of the method's, such as [fit.saem]."""
    known = {n.casefold(): n for n in METHODS}
    options = {known[k.casefold()]: table.table(k).values for k in list(table.values) if k.casefold() in known}
    table.asked += [k.casefold() for k in METHODS]
    said = table.any("method", (str, list, dict), _METHOD, [])
    found: list[MethodPlan] = []
    for one in said if isinstance(said, list) else [said]:
        named = {one: {}} if isinstance(one, str) else one
        if not isinstance(named, dict):
            table.problem("method", f"holds {one!r}; write {_METHOD}")
            continue
        for name, own in named.items():
            if name.casefold() not in known:
                table.problem("method", f"there is no {name!r}{suggestion(name, METHODS)}")
            elif not isinstance(own, dict):
                table.problem("method", f"{name} = {own!r}; write its options as a table, such as {{ {name} = {{}} }}")
            else:
                full = known[name.casefold()]
                found.append(MethodPlan(full, {**options.get(full, {}), **own}))
    return tuple(found)


_DISTRIBUTIONS: dict[str, tuple[type[AbstractDistribution], str]] = {
    "lognormal": (LogNormal, "[median, sd of the logarithm]"),
    "normal": (Normal, "[mean, sd]"),
    "uniform": (Uniform, "[lower, upper]"),
    "halfnormal": (HalfNormal, "a standard deviation"),
    "halfcauchy": (HalfCauchy, "a scale"),
    "truncatednormal": (TruncatedNormal, "[mean, sd, lower, upper]"),
    "gamma": (Gamma, "[shape, rate]"),
    "inversegamma": (InverseGamma, "[shape, scale]"),
    "beta": (Beta, "[a, b]"),
    "bernoulli": (Bernoulli, "a probability"),
}


def _distribution(table: Table, key: str) -> AbstractDistribution | None:
    own = table.table(key)
    kind = next((k for k in _DISTRIBUTIONS if k in own), None)
    if kind is None:
        said = next(iter(own.values), "")
        own.problem("", f"write a distribution, such as {{ lognormal = [70, 0.2] }}{suggestion(said, _DISTRIBUTIONS)}")
        return None
    cls, how = _DISTRIBUTIONS[kind]
    said = own.any(kind, (list, int, float), how)
    own.done()
    numbers = said if isinstance(said, list) else [said]
    count = len(dataclasses.fields(cls))
    if len(numbers) != count or not all(isinstance(x, int | float) for x in numbers):
        own.problem(kind, f"write {kind} = {how}")
        return None
    return cls(*(float(x) for x in numbers))


def read_cohort(table: Table, model: AbstractModel) -> CohortPlan:
    """Patients, their covariates, doses and sample times."""
    plan = CohortPlan(
        patients=table.whole("patients", 1000, least=1),
        seed=table.whole("seed", 1),
        covariates=_covariates(table),
        regimen=_regimen(table, model),
        times=_times(table),
    )
    table.done()
    return plan


def _covariates(table: Table) -> dict[str, Any] | None:
    how = '"data" to resample the data\'s subjects, or a table such as { weight = { lognormal = [70, 0.2] } }'
    said = table.any("covariates", (dict, str), how, {})
    if isinstance(said, str):
        if said != "data":
            table.problem("covariates", f"is {said!r}; write {how}")
        return None
    own = Table(said, f"{table.where}.covariates", table.problems)
    found: dict[str, Any] = {}
    for name, value in own.values.items():
        if isinstance(value, dict):
            found[name] = _distribution(own, name)
        else:
            found[name] = own.number(name)
    return found


def _regimen(table: Table, model: AbstractModel) -> Regimen | None:
    said = table.any("regimen", (list, dict), 'a list of doses, such as [{ amount = 320, into = "depot" }]', None)
    if said is None:
        return None
    states = state_names(model)
    dosed = [n for n in input_names(model) if n in states]
    total = Regimen.none()
    for i, one in enumerate(said if isinstance(said, list) else [said]):
        own = Table(one, f"{table.where}.regimen, dose {i + 1}", table.problems)
        try:
            total = total + _dose(own, dosed)
        except ValueError as error:
            own.problem("", str(error))
        own.done()
    return total


def _dose(table: Table, dosed: Iterable[str]) -> Regimen:
    dosed = tuple(dosed)
    into = table.text("into", dosed[0] if dosed else 1)
    into = table.known(into, dosed, "state to dose into", "into") or into
    at, reset = table.number("at", 0.0), table.flag("reset", False)
    if reset and "amount" not in table:
        return Regimen.reset(at=at)
    modelled = "a number, or 'modelled'"
    every, count = table.number("every", 0.0), table.whole("count", 1, least=1)
    if count > 1 and not every > 0:
        table.problem("every", f"{count} doses need the time from one to the next, as in every = 24")
        every = 1.0
    return Regimen.dose(
        table.number("amount"), into=into, at=at, every=every, additional=count - 1,
        rate=table.any("rate", (int, float, str), modelled, None),
        duration=table.any("duration", (int, float, str), modelled, None),
        steady_state=table.whole("steady_state", 0), reset=reset,
    )  # fmt: skip


def _times(table: Table) -> np.ndarray | None:
    said = table.any("times", (list, dict), "a list of times, or { start = 0, stop = 168, step = 3 }", None)
    if isinstance(said, dict):
        own = Table(said, f"{table.where}.times", table.problems)
        start, stop, step = own.number("start", 0.0), own.number("stop"), own.number("step")
        own.done()
        if not (step > 0 and stop > start):
            own.problem(
                "", f"start {start:g}, stop {stop:g}, step {step:g}: stop lies after start, and step is above zero"
            )
            return None
        return start + step * np.arange(int(np.floor((stop - start) / step + 1e-9)) + 1)
    if said is None:
        return None
    if not said or not all(isinstance(x, int | float) for x in said):
        table.problem("times", "write numbers in increasing order, such as [0, 1, 2, 4, 8, 24]")
        return None
    return np.asarray(said, float)
