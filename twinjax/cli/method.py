"""Methods of estimation as a study or the command line names them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twinjax.naming import suggestion

if TYPE_CHECKING:
    from twinjax.estimation.methods.base import AbstractMethod
    from twinjax.estimation.result import Fit
    from twinjax.io.study.plans import FitPlan
    from twinjax.runs import Run


def method_of(plan: FitPlan) -> AbstractMethod | None:
    """The method of a plan, or its methods one after another; None for the automatic choice.

    **Raises** `ValueError` for an option that the method has not, or a value it cannot have.
    """
    steps = [named(m.name, m.options) for m in plan.methods]
    found = steps[0] if steps else None
    for following in steps[1:]:
        assert found is not None
        found = found.then(following)
    return found


def fit_of(run: Run) -> Fit:
    """The fit that a run holds, read again with its study; priors from there, the method's own evidence left out.

    **Raises** `ValueError` for a run that is no fit or did not end.
    """
    import twinjax
    from twinjax.estimation.result import Fit
    from twinjax.runs import RESULTS

    found = run.results
    if run.manifest["kind"] != "fit" or found is None:
        raise ValueError(f"{run.folder} holds no fit that ended (its {run.manifest['kind']} is {run.status})")
    study = run.study()
    trial, population = study.trial(), study.population()
    method = method_of(study.fit) or (twinjax.FOCEI() if population.etas else twinjax.NaivePooled())
    backend = getattr(twinjax, found["backend"], twinjax.Exact)()
    fit = Fit.load(run.folder / RESULTS, population, trial, method=method, backend=backend)
    return dataclasses.replace(fit, priors=study.fit.priors)


def named(name: str, options: Mapping[str, Any]) -> AbstractMethod:
    """One method with its options.

    **Raises** `ValueError` as `method_of`.
    """
    import twinjax

    if name not in twinjax.__all__:
        raise ValueError(f"this version of twinjax has no {name}")
    cls = getattr(twinjax, name)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    given = {}
    for key, value in options.items():
        if key not in fields:
            hint = suggestion(key, fields) if fields else "; it has none"
            raise ValueError(f"{name} has no option {key!r}{hint}")
        given[key] = _valued(f"{name}: {key}", value, _default(fields[key]))
    return cls(**given)


def _default(field: Any) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return None if field.default_factory is dataclasses.MISSING else field.default_factory()


def _valued(what: str, value: Any, default: Any) -> Any:
    """A value as an option can have it, judged by the option's default."""
    from twinjax.estimation.methods.base import AbstractMethod

    if isinstance(default, AbstractMethod):
        if isinstance(value, str):
            return named(value, {})
        if isinstance(value, dict) and len(value) == 1:
            return named(*next(iter(value.items())))
        raise ValueError(f'{what} is {value!r}; write a method, such as "FOCEI"')
    if isinstance(value, list):
        return tuple(value)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        bool: isinstance(value, bool),
        int: number and float(value).is_integer(),
        float: number,
        str: isinstance(value, str),
    }.get(type(default), True)
    if not fits:
        kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "text in quotes"}
        raise ValueError(f"{what} is {value!r}; write {kinds[type(default)]}, such as {default!r}")
    return type(default)(value) if type(default) in (int, float) else value
