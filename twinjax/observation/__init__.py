"""What was measured, and how it may differ from the model: residual errors, limits of quantification, likelihoods."""

from twinjax.observation.errors import Errors
from twinjax.observation.likelihoods import (
    AbstractLikelihood,
    Binary,
    Logistic,
    NegativeBinomial,
    Ordered,
    Poisson,
    Read,
    TimeToEvent,
)
from twinjax.observation.measurements import ABOVE, BELOW, QUANTIFIED, Measurements
from twinjax.observation.quantification import M3, M4, AbstractQuantification
from twinjax.observation.residual import (
    AbstractResidual,
    Additive,
    Combined,
    CombinedLinear,
    LogNormalError,
    PowerError,
    Proportional,
)
from twinjax.observation.tails import AbstractTailed, ContaminatedNormal, StudentT

__all__ = [
    "ABOVE", "BELOW", "M3", "M4", "QUANTIFIED", "AbstractLikelihood", "AbstractQuantification", "AbstractResidual",
    "AbstractTailed", "Additive", "Binary", "Combined", "CombinedLinear", "ContaminatedNormal", "Errors",
    "LogNormalError", "Logistic", "Measurements", "NegativeBinomial", "Ordered", "Poisson", "PowerError",
    "Proportional", "Read", "StudentT", "TimeToEvent",
]  # fmt: skip
