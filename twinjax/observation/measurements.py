"""What was measured: one subject's measurements, quantified or beyond a limit of quantification."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import numpy as np

QUANTIFIED, BELOW, ABOVE = 0, 1, -1
"""How a value was recorded: measured, or only known to lie below or above it (CENS = 0, 1, -1)."""


_COLUMNS = ("time", "value", "output", "censored", "limit", "order")


class Measurements(eqx.Module):
    """One subject's measurements, in record order.

    **Parameters** (all `(n,)` NumPy arrays): `time`; `value` (for a censored one, the limit of quantification);
    `output`, the number of the output observed, 1 for the model's first, or its name; `censored` (`QUANTIFIED`,
    `BELOW`, `ABOVE`); `limit`, the other end of a censoring interval (0 for a concentration that cannot be negative;
    -inf if none); `order`, the record's place among doses at the same time.
    """

    time: Any
    value: Any
    output: tuple[str | int, ...] = eqx.field(static=True)
    censored: Any = None
    limit: Any = None
    order: Any = None

    def __post_init__(self) -> None:
        n = len(self.output)

        def column(given: Any, default: float) -> np.ndarray:
            return np.full(n, default) if given is None else np.asarray(given, dtype=float).reshape(-1)

        self.time, self.value = column(self.time, 0.0), column(self.value, np.nan)
        self.censored, self.limit = column(self.censored, QUANTIFIED).astype(int), column(self.limit, -np.inf)
        self.order = np.full(n, np.inf) if self.order is None else column(self.order, np.inf)
        for name in ("time", "value", "censored", "limit", "order"):
            if len(getattr(self, name)) != n:
                raise ValueError(f"measurements: {name} has {len(getattr(self, name))} entries, output has {n}")

    @staticmethod
    def of(time: Any, value: Any, output: str | int = 1, **more: Any) -> Measurements:
        """Measurements of one output."""
        time = np.asarray(time, dtype=float).reshape(-1)
        return Measurements(time, value, (output,) * len(time), **more)

    @staticmethod
    def known(
        time: np.ndarray, value: np.ndarray, output: tuple[str | int, ...], censored: np.ndarray, limit: np.ndarray,
        order: np.ndarray,
    ) -> Measurements:  # fmt: skip
        """Of columns that are those of measurements already: taken as they are, in a tenth of the time."""
        made = object.__new__(Measurements)
        for name, column in zip(_COLUMNS, (time, value, output, censored, limit, order), strict=True):
            object.__setattr__(made, name, column)
        return made

    @staticmethod
    def none() -> Measurements:
        """No measurements."""
        return Measurements((), (), ())

    def __len__(self) -> int:
        return len(self.output)
