"""What a dose does in a body: exposure in numbers, and how it moves with what is uncertain."""

from twinjax.context.statements import CONTEXTS
from twinjax.exposure.brain import brain_metrics
from twinjax.exposure.metrics import FoldErrors, area, fold_errors
from twinjax.exposure.sensitivity import elasticities, sobol, tornado
from twinjax.exposure.thresholds import cell_dose, critical_dose, threshold

__all__ = [
    "CONTEXTS",
    "FoldErrors",
    "area",
    "brain_metrics",
    "cell_dose",
    "critical_dose",
    "elasticities",
    "fold_errors",
    "sobol",
    "threshold",
    "tornado",
]
