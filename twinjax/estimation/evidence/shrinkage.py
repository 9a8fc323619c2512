"""`shrinkage`: how far the data let individual estimates be drawn to the typical person, and residuals to zero."""

from __future__ import annotations

import numpy as np
import pandas as pd

from twinjax.estimation.diagnosis.residuals import diagnose
from twinjax.estimation.result import Fit


def shrinkage(fit: Fit, residuals: pd.DataFrame | None = None) -> pd.DataFrame:
    """One row a random effect (``eta.cl``) and one an output (``epsilon.plasma``): shrinkage in %, of the standard
    deviation and of the variance.

    .. code-block:: text

        eta      100 (1 - sd(eta-hat) / omega)
        epsilon  100 (1 - sd(IWRES))

    Shrinkage of a variance is that with squares. Above some 30 %, plots of etas or of IWRES and IPRED can mislead.

    **Parameters**: `residuals`, the table of `diagnose(fit)` where it is at hand. Censored values have no IWRES.
    **Reference**: Savic & Karlsson 2009, doi:10.1208/s12248-009-9133-0.
    """
    table = diagnose(fit) if residuals is None else residuals
    rows = {f"eta.{n}": 1 - s / 100 for n, s in fit.shrinkage.items()}
    for output, own in table.groupby("OUTPUT", sort=False)["IWRES"]:
        known = own.to_numpy(float)
        known = known[np.isfinite(known)]
        rows[f"epsilon.{output}"] = float(known.std(ddof=1)) if len(known) > 1 else np.nan
    left = np.asarray(list(rows.values()), float)
    return pd.DataFrame({"sd": 100 * (1 - left), "variance": 100 * (1 - left**2)}, index=pd.Index(rows, name="effect"))
