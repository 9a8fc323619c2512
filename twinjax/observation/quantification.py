"""How values beyond a limit of quantification count in a likelihood: methods M3 and M4 of Beal."""

from __future__ import annotations

from typing import ClassVar

import equinox as eqx


class AbstractQuantification(eqx.Module):
    """How an output's values beyond its limit of quantification count.

    **Reference**: Beal 2001, J Pharmacokinet Pharmacodyn 28:481, doi:10.1023/A:1012299115260.
    """

    above_zero: ClassVar[bool]
    """Whether a measurement cannot be negative, so that the likelihood is given that it is above zero."""


class M3(AbstractQuantification):
    """A censored value counts by its probability, ``P(y < limit)``; every value may have been negative. The default."""

    above_zero: ClassVar[bool] = False


class M4(AbstractQuantification):
    """Every measurement counts given that it is above zero.

    .. code-block:: text

        quantified:  p(y) / P(y > 0)            below the limit:  P(0 < y < limit) / P(y > 0)

    Probabilities are those of the residual error about the individual prediction.
    """

    above_zero: ClassVar[bool] = True
