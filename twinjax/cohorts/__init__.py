"""Cohorts of any size: patients drawn, solved, summed up and written shard by shard, by threads or a cluster.

A `Plan` says who, how dosed, when sampled and what is kept; `run` makes its files and gives what was `Found`.
"""

from twinjax.cohorts.cluster import Dask
from twinjax.cohorts.found import Found
from twinjax.cohorts.plan import Plan
from twinjax.cohorts.run import run
from twinjax.cohorts.summaries import AUC, AbstractSummary, Cmax, Cmin, TimeAbove, Tmax, standard
from twinjax.cohorts.workers import AbstractWorkers, Threads

__all__ = [
    "AUC", "AbstractSummary", "AbstractWorkers", "Cmax", "Cmin", "Dask", "Found", "Plan", "Threads", "TimeAbove",
    "Tmax", "run", "standard",
]  # fmt: skip
