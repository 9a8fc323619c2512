"""What a dose does in a body: exposure in numbers, and how it moves with what is uncertain."""

from twinjax.exposure.brain import brain_metrics
from twinjax.exposure.metrics import FoldErrors, area, fold_errors
from twinjax.exposure.sensitivity import elasticities, sobol, tornado

__all__ = ["FoldErrors", "area", "brain_metrics", "elasticities", "fold_errors", "sobol", "tornado"]
