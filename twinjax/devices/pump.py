"""An insulin pump: what it can give of what is asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from twinjax.dosing import Regimen


@dataclasses.dataclass(frozen=True)
class InsulinPump:
    """Gives insulin in whole steps, within limits.

    **Parameters**: `bolus_step`, `bolus_most` (IU); `basal_step`, `basal_most` (IU/h); `over`, how long a bolus takes
    (h).
    **Raises** `ValueError` for a step or a duration that is not above zero.
    """

    bolus_step: float = 0.05
    bolus_most: float = 30.0
    basal_step: float = 0.05
    basal_most: float = 30.0
    over: float = 1.0 / 60.0

    def __post_init__(self) -> None:
        if not min(self.bolus_step, self.basal_step, self.over) > 0:
            raise ValueError("a pump's steps and the duration of a bolus are above zero")

    def bolus(self, asked: float) -> float:
        """The nearest bolus that it can give, IU."""
        return float(np.clip(np.round(asked / self.bolus_step) * self.bolus_step, 0.0, self.bolus_most))

    def basal(self, asked: float) -> float:
        """The nearest rate that it can give, IU/h."""
        return float(np.clip(np.round(asked / self.basal_step) * self.basal_step, 0.0, self.basal_most))

    def regimen(
        self, basal: float | Sequence[tuple[float, float]], boluses: Sequence[tuple[float, float]] = (), *,
        until: float, into: str = "depot1",
    ) -> Regimen:  # fmt: skip
        """What is given.

        **Parameters**: `basal`, a rate from time 0 on, or (time, rate) of every change; `boluses`, (time, amount);
        `until` when the pump runs.
        **Raises** `ValueError` for times that do not increase or lie after the end.
        """
        changes = [(0.0, float(basal))] if isinstance(basal, int | float) else [(float(t), float(r)) for t, r in basal]
        ends = [*(t for t, _ in changes[1:]), until]
        if any(b <= a for (a, _), b in zip(changes, ends, strict=True)):
            raise ValueError("the times of basal rates increase, and the pump runs until after the last")
        given = Regimen.none()
        for (t, rate), end in zip(changes, ends, strict=True):
            if (r := self.basal(rate)) > 0:
                given = given + Regimen.infusion(r * (end - t), over=end - t, into=into, at=t)
        for t, amount in boluses:
            if (b := self.bolus(amount)) > 0:
                given = given + Regimen.infusion(b, over=self.over, into=into, at=t)
        return given


PUMPS = {
    "Insulet": InsulinPump(0.05, 30.0, 0.05, 30.0),
    "Cozmo": InsulinPump(0.05, 75.0, 0.05, 35.0),
}
"""Steps and limits of the table that the public simulators share, read as IU and IU/h, which is what such pumps have.
The simulator simglucose itself takes its steps for pmol/min and its limits for IU/min, so that it rounds and cuts
nothing in practice.
"""
