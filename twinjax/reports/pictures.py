"""The pictures of a fit that belong in its report: which they are, and how to read each."""

from __future__ import annotations

import base64
import dataclasses
import functools
import io
from collections.abc import Callable
from typing import Any

import pandas as pd

import twinjax.plots as plots
from twinjax.estimation.diagnosis.npde import npde
from twinjax.estimation.diagnosis.numerical_check import numerical_check
from twinjax.estimation.diagnosis.predictive_check import predictive_check
from twinjax.estimation.diagnosis.residuals import diagnose
from twinjax.estimation.result import Fit
from twinjax.observation import AbstractResidual
from twinjax.reports.tables import measured

_VECTOR = 4000
"""With more measurements than this a picture is pixels, which stay small, instead of lines."""


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture: a name for its file, a title, how to read it, and what draws it."""

    name: str
    title: str
    caption: str
    draw: Callable[[], Any]


class Checks:
    """Residuals and NPDE of a fit, computed when first asked for."""

    def __init__(self, fit: Fit, replicates: int, seed: int) -> None:
        self.fit, self.replicates, self.seed = fit, replicates, seed

    @functools.cached_property
    def residuals(self) -> pd.DataFrame:
        """That of `diagnose`."""
        return diagnose(self.fit)

    @functools.cached_property
    def discrepancies(self) -> pd.DataFrame:
        """That of `npde`."""
        return npde(self.fit, replicates=max(3 * self.replicates, 300), seed=self.seed)


def pictures(fit: Fit, *, replicates: int = 300, seed: int = 0, checks: Checks | None = None) -> list[Picture]:
    """The usual pictures of a fit, for each output that has a residual error; none is drawn before it is asked for.

    **Parameters**: `replicates`, simulated trials of each predictive check (three times as many for NPDE); `seed`;
    `checks`, residuals that are at hand.
    """
    checks = checks or Checks(fit, replicates, seed)
    model, errors = fit.population.model, fit.population.residuals
    outputs = tuple(n for n in measured(fit) if isinstance(errors.get(n), AbstractResidual))
    random, found = bool(fit.population.etas), list[Picture]()
    for output in outputs:
        suffix, of = ("", "") if len(outputs) == 1 else (f"-{output}", f" of {output}")

        def check(corrected: bool, output: str = output) -> Any:
            how = {"replicates": replicates, "seed": seed, "output": output}
            return plots.vpc(predictive_check(fit, prediction_corrected=corrected, **how))

        found.append(Picture(
            f"goodness_of_fit{suffix}", f"Goodness of fit{of}",
            "Points should lie about the line of identity above and about zero below, at every time and prediction; "
            "the green line is a local mean. The last panel holds residuals against a standard normal.",
            lambda o=output: plots.goodness_of_fit(fit, output=o, table=checks.residuals),
        ))  # fmt: skip
        found.append(Picture(
            f"individual_fits{suffix}", f"Individual fits{of}",
            "Measurements, the curve of each person, and the typical curve with that person's covariates.",
            lambda o=output: plots.individual_fits(fit, output=o),
        ))  # fmt: skip
        if not random:
            continue
        found.append(Picture(
            f"vpc{suffix}", f"Visual predictive check{of}",
            "Observed percentiles should run inside the bands of those that simulated trials have.",
            functools.partial(check, False),
        ))  # fmt: skip
        found.append(Picture(
            f"pcvpc{suffix}", f"Prediction-corrected visual predictive check{of}",
            "The same, with what doses and covariates explain within a bin of time taken out of data and simulations.",
            functools.partial(check, True),
        ))  # fmt: skip
        found.append(Picture(
            f"npde{suffix}", f"Normalised prediction distribution errors{of}",
            "Each measurement among those simulated for it, made uncorrelated: standard normal if the model is right.",
            lambda o=output: plots.npde(checks.discrepancies, model, output=o),
        ))  # fmt: skip
        found.append(Picture(
            f"npc{suffix}", f"Numerical predictive check{of}",
            "How many measurements lie outside the prediction intervals of their own, over the number expected.",
            lambda o=output: plots.numerical_check(
                numerical_check(fit, replicates=max(replicates, 300), seed=seed, output=o)
            ),
        ))  # fmt: skip
    if random and fit.method.steps[-1].conditional:
        found.append(Picture(
            "etas", "Random effects",
            "Each should follow the normal density that the model assumes, and show no trend in a covariate.",
            lambda: plots.etas(fit),
        ))  # fmt: skip
    found.append(Picture(
        "objectives", "Objective of each person",
        "Who is described worst, and whether those are the ones far from the typical person.",
        lambda: plots.objectives(fit),
    ))  # fmt: skip
    found.append(Picture(
        "convergence", "Convergence", "How the search went, by iteration.", lambda: plots.convergence(fit),
    ))  # fmt: skip
    return found


def inline(figure: Any, observations: int) -> str:
    """A figure as a ``data:`` address, which needs no file beside the page."""
    stream, vector = io.BytesIO(), observations <= _VECTOR
    if vector:
        figure.savefig(stream, format="svg", metadata={"Date": None})
    else:
        figure.savefig(stream, format="png", dpi=130)
    kind = "svg+xml" if vector else "png"
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
