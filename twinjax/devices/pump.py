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
    **Raises** `ValueError` for a step or a duration that is not above zero, a limit below it, and whatever is asked for
    that is not finite.
    """

    bolus_step: float = 0.05
    bolus_most: float = 30.0
    basal_step: float = 0.05
    basal_most: float = 30.0
    over: float = 1.0 / 60.0

    def __post_init__(self) -> None:
        if not all(0 < x < np.inf for x in (self.bolus_step, self.basal_step, self.over)):
            raise ValueError("a pump's steps and the duration of a bolus are above zero")
        if not (self.bolus_most >= 0 and self.basal_most >= 0):
            raise ValueError(f"a pump's limits are zero or above, not {self.bolus_most} and {self.basal_most}")

    def bolus(self, asked: float) -> float:
        """The nearest bolus that it can give, IU."""
        return _nearest(asked, self.bolus_step, self.bolus_most, "bolus")

    def basal(self, asked: float) -> float:
        """The nearest rate that it can give, IU/h."""
        return _nearest(asked, self.basal_step, self.basal_most, "basal rate")

    def regimen(
        self, basal: float | Sequence[tuple[float, float]], boluses: Sequence[tuple[float, float]] = (), *,
        until: float, into: str = "depot1",
    ) -> Regimen:  # fmt: skip
        """What is given.

        **Parameters**: `basal`, a rate from time 0 on, or (time, rate) of every change; `boluses`, (time, amount);
        `until` when the pump runs.
        **Raises** `ValueError` for basal rates whose times do not increase, and for times that are not before the end.
        """
        changes = [(0.0, float(basal))] if isinstance(basal, int | float) else [(float(t), float(r)) for t, r in basal]
        ends = [*(t for t, _ in changes[1:]), until]
        if not all(-np.inf < a < b < np.inf for (a, _), b in zip(changes, ends, strict=True)):
            raise ValueError("the times of basal rates increase, and the pump runs until after the last")
        if late := [t for t, _ in boluses if not -np.inf < t < until]:
            raise ValueError(f"a bolus at {late[0]:g} does not come before {until:g}, until when the pump runs")
        given = Regimen.none()
        for (t, rate), end in zip(changes, ends, strict=True):
            if (r := self.basal(rate)) > 0:
                given = given + Regimen.infusion(r * (end - t), over=end - t, into=into, at=t)
        for t, amount in boluses:
            if (b := self.bolus(amount)) > 0:
                given = given + Regimen.infusion(b, over=self.over, into=into, at=t)
        return given


def _nearest(asked: float, step: float, most: float, what: str) -> float:
    if not np.isfinite(asked):
        raise ValueError(f"a {what} of {asked} is asked for; give a finite number")
    return float(np.clip(np.round(asked / step) * step, 0.0, most))


PUMPS = {
    "Insulet": InsulinPump(0.05, 30.0, 0.05, 30.0),
    "Cozmo": InsulinPump(0.05, 75.0, 0.05, 35.0),
}
"""Steps and limits of the table that the public simulators share, read as IU and IU/h, which is what such pumps have.
The simulator simglucose itself takes its steps for pmol/min and its limits for IU/min, so that it rounds and cuts
nothing in practice.
"""
