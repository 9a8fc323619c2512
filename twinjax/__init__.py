"""twinjax: a differentiable, GPU-ready twin engine for drug development.

Nouns: models (`twinjax.models`), `Regimen`, `Measurements`, residual errors, `Subject`, `TrialData`, `Population`,
`Cohort`. Verbs: `simulate`, `cohort`, `subjects`, `fit`; of a `Twin`: `assimilate`,
`forecast`, `what_if`, `recommend`. A choice of method is a frozen object: `Exact`, `Diffrax`,
`FOCEI`, `BFGS`.

float64 is switched on when twinjax is imported; set ``JAX_ENABLE_X64=0`` beforehand to refuse it, which warns.
"""

from __future__ import annotations

import importlib
import os
import warnings
from typing import TYPE_CHECKING, Any

import jax

__version__ = "0.1.0"

if os.environ.get("JAX_ENABLE_X64", "1").lower() in ("0", "false"):
    warnings.warn(
        "twinjax runs in float32 because JAX_ENABLE_X64 is off: tolerances below 1e-6 cannot be met", stacklevel=2
    )
else:
    jax.config.update("jax_enable_x64", True)

_HOMES = {
    "twinjax.dosing": ("Regimen",),
    "twinjax.observation": (
        "M3", "M4", "Additive", "Binary", "Combined", "CombinedLinear", "ContaminatedNormal", "LogNormalError",
        "Logistic", "Measurements", "NegativeBinomial", "Ordered", "Poisson", "PowerError", "Proportional", "StudentT",
        "TimeToEvent",
    ),
    "twinjax.population.subject": ("Subject", "TrialData"),
    "twinjax.population.population": ("Population",),
    "twinjax.population.mixture": ("Mixture",),
    "twinjax.population.occasions": ("Occasions",),
    "twinjax.population.variability": ("BoxCoxScale", "LogScale", "LogitScale", "NaturalScale"),
    "twinjax.population.effects": ("Allometry", "Categorical", "Exponential", "Linear", "Maturation", "Power"),
    "twinjax.population.distributions": (
        "Bernoulli", "Beta", "Gamma", "HalfCauchy", "HalfNormal", "InverseGamma", "LogNormal", "Normal",
        "TruncatedNormal", "Uniform",
    ),
    "twinjax.population.cohort": ("Cohort", "cohort", "subjects"),
    "twinjax.bodies": ("Substance", "body"),
    "twinjax.physiology": ("anatomy", "people", "person"),
    "twinjax.solve.problem": ("Problem", "Solution"),
    "twinjax.solve.exact": ("Exact",),
    "twinjax.solve.diffrax": ("Diffrax",),
    "twinjax.solve.fused": ("Fused",),
    "twinjax.solve.simulate": ("simulate",),
    "twinjax.assimilation.assimilate": ("assimilate", "assimilate_each"),
    "twinjax.assimilation.drift": ("drifting", "stages"),
    "twinjax.assimilation.forecast": ("Forecast", "forecast", "what_if"),
    "twinjax.assimilation.goals": ("At", "Average", "Exposure", "Goal", "Highest", "Lowest"),
    "twinjax.assimilation.history": ("News",),
    "twinjax.assimilation.innovation": ("calibration",),
    "twinjax.assimilation.methods.importance": ("LaplaceImportance",),
    "twinjax.assimilation.methods.kalman": ("EnsembleKalman", "ExtendedKalman"),
    "twinjax.assimilation.methods.mode": ("MAP",),
    "twinjax.assimilation.methods.particles": ("ParticleFilter",),
    "twinjax.assimilation.prescription": ("Constraints",),
    "twinjax.assimilation.recommend": ("Recommendation", "compare_therapies", "recommend"),
    "twinjax.assimilation.states.hindcast": ("hindcast",),
    "twinjax.assimilation.states.kalman": ("StateEnsembleKalman", "StateExtendedKalman"),
    "twinjax.assimilation.states.noise": ("ProcessNoise",),
    "twinjax.assimilation.states.particles": ("StateParticleFilter",),
    "twinjax.assimilation.storage": ("load_twin", "save_twin"),
    "twinjax.assimilation.twin": ("Twin",),
    "twinjax.electrophysiology.calibrate": ("calibrate",),
    "twinjax.electrophysiology.cipa": ("cipa",),
    "twinjax.electrophysiology.drugs": ("Drug", "Hill", "under"),
    "twinjax.electrophysiology.hearts": ("screen", "vary"),
    "twinjax.electrophysiology.hill": ("fit_hill",),
    "twinjax.electrophysiology.milnes": ("fit_binding",),
    "twinjax.electrophysiology.orbit": ("orbit",),
    "twinjax.electrophysiology.sweep": ("free_nanomolar", "sweep"),
    "twinjax.electrophysiology.pace": ("Rhythm", "pace"),
    "twinjax.estimation.comparison": ("Comparison", "compare"),
    "twinjax.estimation.fit": ("fit",),
    "twinjax.estimation.result": ("Fit",),
    "twinjax.estimation.diagnosis.individual": ("eta_covariates", "individual_objectives"),
    "twinjax.estimation.diagnosis.npde": ("npde", "npde_tests"),
    "twinjax.estimation.diagnosis.numerical_check": ("numerical_check",),
    "twinjax.estimation.diagnosis.predictive_check": ("predictive_check",),
    "twinjax.estimation.diagnosis.residuals": ("diagnose",),
    "twinjax.estimation.diagnosis.simulation": ("simulate_measurements", "simulate_trial"),
    "twinjax.estimation.evidence.bootstrap": ("Bootstrap", "bootstrap"),
    "twinjax.estimation.evidence.profile": ("profile",),
    "twinjax.estimation.evidence.resampling": ("Case", "Parametric"),
    "twinjax.estimation.evidence.shrinkage": ("shrinkage",),
    "twinjax.estimation.evidence.sir": ("sir",),
    "twinjax.estimation.evidence.uncertainty": ("GradientDifferences", "SecondDerivatives"),
    "twinjax.estimation.methods.bayes": ("NUTS",),
    "twinjax.estimation.search.covariates": ("search_covariates",),
    "twinjax.estimation.search.design": ("DesignSpace", "optimise_design"),
    "twinjax.estimation.search.information": (
        "BlockDiagonal", "FullInformation", "SamplingGroup", "fisher_information",
    ),
    "twinjax.estimation.methods.conditional": ("FOCE", "FOCEI"),
    "twinjax.estimation.methods.expectation": ("ImportanceEM",),
    "twinjax.estimation.methods.first_order": ("FO",),
    "twinjax.estimation.methods.importance": ("ImportanceSampling", "Proposal"),
    "twinjax.estimation.methods.laplace": ("Laplace",),
    "twinjax.estimation.methods.pooled": ("NaivePooled",),
    "twinjax.estimation.methods.quadrature": ("Quadrature",),
    "twinjax.estimation.methods.saem": ("SAEM",),
    "twinjax.estimation.methods.two_stage": ("TwoStage",),
    "twinjax.estimation.optimisers": ("BFGS", "Optax", "Vmapped"),
    "twinjax.io.drugs": ("read_drugs",),
    "twinjax.io.nonmem": ("read_nonmem",),
    "twinjax.reports.page": ("report",),
}  # fmt: skip
_WHERE = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_WHERE)]


def __getattr__(name: str) -> Any:
    """Names of the public interface, loaded when first used: `import twinjax` stays quick."""
    if name not in _WHERE:
        raise AttributeError(f"module 'twinjax' has no attribute {name!r}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})


if TYPE_CHECKING:
    from twinjax.assimilation.assimilate import assimilate, assimilate_each
    from twinjax.assimilation.drift import drifting, stages
    from twinjax.assimilation.forecast import Forecast, forecast, what_if
    from twinjax.assimilation.goals import At, Average, Exposure, Goal, Highest, Lowest
    from twinjax.assimilation.history import News
    from twinjax.assimilation.innovation import calibration
    from twinjax.assimilation.methods.importance import LaplaceImportance
    from twinjax.assimilation.methods.kalman import EnsembleKalman, ExtendedKalman
    from twinjax.assimilation.methods.mode import MAP
    from twinjax.assimilation.methods.particles import ParticleFilter
    from twinjax.assimilation.prescription import Constraints
    from twinjax.assimilation.recommend import Recommendation, compare_therapies, recommend
    from twinjax.assimilation.states.hindcast import hindcast
    from twinjax.assimilation.states.kalman import StateEnsembleKalman, StateExtendedKalman
    from twinjax.assimilation.states.noise import ProcessNoise
    from twinjax.assimilation.states.particles import StateParticleFilter
    from twinjax.assimilation.storage import load_twin, save_twin
    from twinjax.assimilation.twin import Twin
    from twinjax.bodies import Substance, body
    from twinjax.dosing import Regimen
    from twinjax.electrophysiology.calibrate import calibrate
    from twinjax.electrophysiology.cipa import cipa
    from twinjax.electrophysiology.drugs import Drug, Hill, under
    from twinjax.electrophysiology.hearts import screen, vary
    from twinjax.electrophysiology.hill import fit_hill
    from twinjax.electrophysiology.milnes import fit_binding
    from twinjax.electrophysiology.orbit import orbit
    from twinjax.electrophysiology.pace import Rhythm, pace
    from twinjax.electrophysiology.sweep import free_nanomolar, sweep
    from twinjax.estimation.comparison import Comparison, compare
    from twinjax.estimation.diagnosis.individual import eta_covariates, individual_objectives
    from twinjax.estimation.diagnosis.npde import npde, npde_tests
    from twinjax.estimation.diagnosis.numerical_check import numerical_check
    from twinjax.estimation.diagnosis.predictive_check import predictive_check
    from twinjax.estimation.diagnosis.residuals import diagnose
    from twinjax.estimation.diagnosis.simulation import simulate_measurements, simulate_trial
    from twinjax.estimation.evidence.bootstrap import Bootstrap, bootstrap
    from twinjax.estimation.evidence.profile import profile
    from twinjax.estimation.evidence.resampling import Case, Parametric
    from twinjax.estimation.evidence.shrinkage import shrinkage
    from twinjax.estimation.evidence.sir import sir
    from twinjax.estimation.evidence.uncertainty import GradientDifferences, SecondDerivatives
    from twinjax.estimation.fit import fit
    from twinjax.estimation.methods.bayes import NUTS
    from twinjax.estimation.methods.conditional import FOCE, FOCEI
    from twinjax.estimation.methods.expectation import ImportanceEM
    from twinjax.estimation.methods.first_order import FO
    from twinjax.estimation.methods.importance import ImportanceSampling, Proposal
    from twinjax.estimation.methods.laplace import Laplace
    from twinjax.estimation.methods.pooled import NaivePooled
    from twinjax.estimation.methods.quadrature import Quadrature
    from twinjax.estimation.methods.saem import SAEM
    from twinjax.estimation.methods.two_stage import TwoStage
    from twinjax.estimation.optimisers import BFGS, Optax, Vmapped
    from twinjax.estimation.result import Fit
    from twinjax.estimation.search.covariates import search_covariates
    from twinjax.estimation.search.design import DesignSpace, optimise_design
    from twinjax.estimation.search.information import (
        BlockDiagonal,
        FullInformation,
        SamplingGroup,
        fisher_information,
    )
    from twinjax.io.drugs import read_drugs
    from twinjax.io.nonmem import read_nonmem
    from twinjax.observation import (
        M3,
        M4,
        Additive,
        Binary,
        Combined,
        CombinedLinear,
        ContaminatedNormal,
        Logistic,
        LogNormalError,
        Measurements,
        NegativeBinomial,
        Ordered,
        Poisson,
        PowerError,
        Proportional,
        StudentT,
        TimeToEvent,
    )
    from twinjax.physiology import anatomy, people, person
    from twinjax.population.cohort import Cohort, cohort, subjects
    from twinjax.population.distributions import (
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
    from twinjax.population.effects import Allometry, Categorical, Exponential, Linear, Maturation, Power
    from twinjax.population.mixture import Mixture
    from twinjax.population.occasions import Occasions
    from twinjax.population.population import Population
    from twinjax.population.subject import Subject, TrialData
    from twinjax.population.variability import BoxCoxScale, LogitScale, LogScale, NaturalScale
    from twinjax.reports.page import report
    from twinjax.solve.diffrax import Diffrax
    from twinjax.solve.exact import Exact
    from twinjax.solve.fused import Fused
    from twinjax.solve.problem import Problem, Solution
    from twinjax.solve.simulate import simulate
