"""What a model may be asked, and why to believe it: a context of use in the sense of ASME V&V 40."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from jax.core import Tracer


@dataclasses.dataclass(frozen=True)
class ContextOfUse:
    """A statement that travels with a model.

    **Parameters**: `question` that a decision asks; `use` of the model in answering it; `risk`, what follows from a
    wrong answer, and how much the model weighs in it; `verification`, that the equations are solved; `validation`,
    against what, with what result; `applicability`, where that evidence holds; `ranges`, lower and upper end of what
    was compared with data, by name, in words that say the unit.
    **Reference**: ASME V&V 40-2018, Assessing Credibility of Computational Modeling through Verification and
    Validation: Application to Medical Devices.
    """

    question: str
    use: str
    risk: str
    verification: str
    validation: str
    applicability: str
    ranges: Mapping[str, tuple[float, float]]

    def outside(self, **asked: Any) -> tuple[str, ...]:
        """What of `asked` lies beyond the `ranges`, one sentence each, or is no number; of what is traced nothing is
        said. Ends count as inside to a millionth, which single precision holds.
        """
        said = []
        for name, value in asked.items():
            if isinstance(value, Tracer):
                continue
            low, high = self.ranges[name]
            values = np.asarray(value, float)
            least, most = float(np.min(values)), float(np.max(values))
            above = least >= low - 1e-6 * abs(low)
            if not (above and most <= high + 1e-6 * abs(high)):
                far = most if above else least
                limits = f"{low:g}" if low == high else f"{low:g} to {high:g}"
                said.append(f"{name.replace('_', ' ')} of {far:g}: compared with data at {limits} only")
        return tuple(said)

    def warn(self, **asked: Any) -> None:
        """Warn of whatever `outside` finds."""
        for sentence in self.outside(**asked):
            warnings.warn(f"outside the context of use: {sentence}", stacklevel=3)

    def __str__(self) -> str:
        """As text to print."""
        parts = [f for f in dataclasses.fields(self) if f.name != "ranges"]
        lines = [f"{f.name.capitalize()}: {getattr(self, f.name)}" for f in parts]
        lines += [f"Range: {n.replace('_', ' ')} {a:g} to {b:g}" for n, (a, b) in self.ranges.items()]
        return "\n\n".join(lines)
