"""One picture, one function; each returns its `matplotlib.figure.Figure` and touches no global state of matplotlib."""

from twinjax.plots.band import quantile_band
from twinjax.plots.concentration import concentration_time
from twinjax.plots.discrepancies import npde
from twinjax.plots.goodness import goodness_of_fit
from twinjax.plots.heart import (
    action_potential,
    apd_distribution,
    charge_by_dose,
    membrane_currents,
    score_over_time,
)
from twinjax.plots.individuals import individual_fits
from twinjax.plots.likelihood import bootstrap_estimates, likelihood_profiles
from twinjax.plots.numerical import numerical_check
from twinjax.plots.objectives import objectives
from twinjax.plots.predictive import vpc
from twinjax.plots.random_effects import etas
from twinjax.plots.search import convergence
from twinjax.plots.tornado import tornado

__all__ = [
    "action_potential",
    "apd_distribution",
    "bootstrap_estimates",
    "charge_by_dose",
    "concentration_time",
    "convergence",
    "etas",
    "goodness_of_fit",
    "individual_fits",
    "likelihood_profiles",
    "membrane_currents",
    "npde",
    "numerical_check",
    "objectives",
    "quantile_band",
    "score_over_time",
    "tornado",
    "vpc",
]
