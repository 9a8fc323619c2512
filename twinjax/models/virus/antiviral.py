"""What the viral models share: units of virus, and how much of a step of replication a drug blocks."""

from __future__ import annotations

from typing import Annotated

from twinjax.models.pd.effect import hill
from twinjax.units import Scalar, Unit

Virus = Annotated[Scalar, Unit("au/L")]
"""Virus in what is sampled, in the assay's unit (au: IU, copies, TCID50)."""

Cells = Annotated[Scalar, Unit("cells/L")]
CellSource = Annotated[Scalar, Unit("cells/L/h")]
Infectivity = Annotated[Scalar, Unit("L/au/h")]
Production = Annotated[Scalar, Unit("au/cells/h")]


def blocked(most, concentration, ec50, gamma):
    """Share of a step that is blocked, ``most c^gamma / (ec50^gamma + c^gamma)``."""
    return most * hill(concentration / ec50, gamma)
