"""`twinjax models`: the library, and what each model needs and gives."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from twinjax.cli.terminal import Debug, Json, friendly, print_json, say, show_table


@friendly
def models(
    name: Annotated[
        str | None, typer.Argument(help="One model, or file.py:Class; all of the library if left out.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List the models, or show one: parameters with units and typical values, states, outputs, equations.

    Examples:
    - `twinjax models`
    - `twinjax models TwoCompartmentOral`
    """
    from twinjax.models import REGISTRY

    if name is None:
        told = [_told(c.typical()) for c in REGISTRY]
        if json:
            print_json(told)
        else:
            rows = [(t["name"], ", ".join(p["name"] for p in t["parameters"]), t["summary"]) for t in told]
            show_table(rows, ("model", "parameters", "what it is"))
        return
    from twinjax.io.study import Study

    model = Study.of_model(name).model
    told = _told(model)
    if json:
        print_json(told)
        return
    say(told["name"], "", told["description"], "")
    for key, heads in _SHOWN.items():
        if told[key]:
            show_table((one.values() for one in told[key]), heads)


_SHOWN = {
    "parameters": ("parameter", "unit", "typical", ""),
    "states": ("state", "unit", "takes doses"),
    "outputs": ("output", "unit"),
    "signals": ("driven by", "unit"),
}


def _told(model: Any) -> dict[str, Any]:
    """What a model is, in plain values."""
    import jax

    from twinjax.models.base import no_input
    from twinjax.naming import leaves
    from twinjax.population.population import Population
    from twinjax.units import declared

    cls = type(model)
    doc = inspect.getdoc(cls) or ""
    y, u = model.initial(), no_input(model)
    parts = (y, u, jax.eval_shape(model.output, 0.0, y, u))  # of this very model: organs may plug in
    states, inputs, outputs = ({n: str(u) if u else "?" for n, (u, _) in declared(p).items()} for p in parts)
    units = {n: str(u) if u else "?" for n, (u, _) in declared(model).items()}
    limits = {n: b for n, (_, b) in declared(model).items()}
    at_limit = [n for n, v in leaves(model).items() if not limits[n].lower < float(v) < limits[n].upper]
    constant = Population(model, fixed=at_limit).fixed
    return {
        "name": cls.__name__,
        "summary": doc.split("\n\n")[0].replace("\n", " "),
        "description": doc,
        "time_unit": str(cls.time_unit),
        "parameters": [
            {
                "name": n,
                "unit": units[n],
                "typical": float(v),
                "role": "constant unless estimated" if n in constant else "",
            }
            for n, v in leaves(model).items()
        ],
        "states": [{"name": n, "unit": u, "doses": "yes" if n in inputs else "no"} for n, u in states.items()],
        "outputs": [{"name": n, "unit": u} for n, u in outputs.items()],
        "signals": [{"name": n, "unit": u} for n, u in inputs.items() if n not in states],
    }
