"""Parts of the [model] table about people: occasions, subpopulations, limits of quantification."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twinjax.io.study.model import read_correlations
from twinjax.io.study.tables import Table
from twinjax.observation import M3, M4, AbstractQuantification
from twinjax.population.mixture import Mixture
from twinjax.population.occasions import Occasions

_METHODS: dict[str, type[AbstractQuantification]] = {"M3": M3, "M4": M4}


def read_occasions(table: Table, known: Iterable[str]) -> Occasions | None:
    """``covariate = "OCC"``, ``levels = 2`` or a list of its values, ``variability = { cl = 0.2 }`` and
    ``correlations`` as between subjects; None for an empty table.
    """
    if not table.values:
        return None
    covariate = table.text("covariate")
    said = table.any("levels", (int, list), "how many occasions there are, or the list of the covariate's values")
    own = table.table("variability")
    variability = {full: own.number(key) for key, full in own.names(known, "parameter").items()}
    correlations = read_correlations(table.table("correlations"), variability)
    table.done()
    levels = _numbers(table, "levels", said) if isinstance(said, list) else said
    if levels is None or not covariate:
        return None
    try:
        return Occasions(covariate, levels, variability, correlations)
    except ValueError as error:
        table.problem("", str(error))
        return None


def read_mixture(table: Table) -> Mixture | None:
    """``covariate = "kind"``, which effects read, and ``probabilities = [0.7, 0.3]``; None for an empty table."""
    if not table.values:
        return None
    covariate = table.text("covariate")
    said = table.any("probabilities", (list,), "the probability of each class, such as [0.7, 0.3]")
    table.done()
    shares = None if said is None else _numbers(table, "probabilities", said)
    if shares is None or not covariate:
        return None
    try:
        return Mixture(covariate, shares)
    except ValueError as error:
        table.problem("probabilities", str(error))
        return None


def read_quantification(table: Table, outputs: Iterable[str]) -> dict[str, AbstractQuantification]:
    """Output -> ``"M3"`` or ``"M4"``."""
    return {full: _METHODS[table.text(key, choices=_METHODS)]() for key, full in table.names(outputs, "output").items()}


def _numbers(table: Table, key: str, said: list[Any]) -> tuple[float, ...] | None:
    wrong = [v for v in said if isinstance(v, bool) or not isinstance(v, int | float)]
    if wrong:
        table.problem(key, f"holds {wrong[0]!r}; write numbers, without quotes")
        return None
    return tuple(float(v) for v in said)
