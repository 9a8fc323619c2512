"""Every person's data with the fitted curves: where a population model is first believed, or not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from twinjax.estimation.diagnosis.residuals import curves
from twinjax.estimation.result import Fit
from twinjax.models.base import output_names
from twinjax.naming import resolve
from twinjax.observation import QUANTIFIED
from twinjax.plots import style


def individual_fits(
    fit: Fit,
    subjects: Sequence[str | int] | None = None,
    *,
    output: str | None = None,
    columns: int = 4,
    log: bool = False,
    points: int = 200,
    figure: style.Canvas | None = None,
) -> Figure:
    """A panel for each person: measurements, the curve at that person's parameters, and the typical curve with their
    covariates.

    **Parameters**: `subjects`, ids (default: the first 24); `output`, which (default the first that has a residual
    error); `columns` of the grid; `log`, a logarithmic axis; `points` of each curve; `figure`, where to draw.
    **Raises** `KeyError` for a person who is not in the trial.
    """
    model = fit.population.model
    outputs = output_names(model)
    chosen = next(iter(fit.population.residuals)) if output is None else resolve(output, outputs, "output")
    ids = [str(i) for i in (fit.trial.ids[:24] if subjects is None else subjects)]
    lines = curves(fit, ids, points=points)
    lines = lines.loc[lines["OUTPUT"] == chosen]
    columns = min(columns, len(ids))
    rows = -(-len(ids) // columns)
    figure = style.canvas(figure, 1.0 + 1.75 * columns, 0.9 + 1.45 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    censored = False
    for ax, id in zip(grid, ids, strict=False):
        style.quiet(ax)
        own, m = lines.loc[lines["ID"] == id], fit.trial[id].measurements
        ax.plot(own["TIME"], own["PRED"], color=style.TYPICAL, lw=1.0, ls=(0, (4, 2)), label="typical")
        ax.plot(own["TIME"], own["IPRED"], color=style.INDIVIDUAL, lw=1.5, label="individual")
        here = np.asarray(
            [(outputs[o - 1] if isinstance(o, int) else resolve(o, outputs)) == chosen for o in m.output], bool
        )
        known = here & (m.censored == QUANTIFIED)
        ax.plot(m.time[known], m.value[known], label="measured", **{**style.POINT, "alpha": 0.95})
        if np.any(here & ~known):
            censored = True
            ax.plot(m.time[here & ~known], m.value[here & ~known], label="beyond the limit", **style.LIMIT)
        if log:
            ax.set_yscale("log")
        style.name(ax, title=id)
    for ax in grid[len(ids) :]:
        ax.set_visible(False)
    for ax in grid[max(0, len(ids) - columns) : len(ids)]:
        ax.tick_params(labelbottom=True)
    figure.supxlabel(style.axis("time", type(model).time_unit), fontsize=9, color="#303030")
    figure.supylabel(style.axis(chosen, style.output_units(model)[chosen]), fontsize=9, color="#303030")
    shown = {label: handle for ax in grid for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    style.legend(
        figure, handles=list(shown.values()), labels=list(shown), loc="outside upper right", ncols=3 + censored
    )
    return style.root(figure)
