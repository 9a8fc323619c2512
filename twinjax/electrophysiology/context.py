"""What the CiPA pipeline may be asked, and why to believe it: a context of use in the sense of ASME V&V 40."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np


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
        """What of `asked` lies beyond the `ranges`, one sentence each."""
        said = []
        for name, value in asked.items():
            low, high = self.ranges[name]
            values = np.asarray(value, float)
            least, most = float(np.min(values)), float(np.max(values))
            if least < low * (1.0 - 1e-12) or most > high * (1.0 + 1e-12):
                far = least if least < low else most
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


CIPA = ContextOfUse(
    question="Does this drug carry a low, an intermediate or a high risk of torsade de pointes in adults at "
    "therapeutic concentrations, so far as its block of seven cardiac currents tells?",
    use="One ventricular cell under 1 to 4 times the free therapeutic maximum, paced to a steady rhythm; its net "
    "charge, averaged over the four, is the torsade metric score, and an ordinal logistic regression on 28 drugs gives "
    "the class. "
    "It supports, with other non-clinical and clinical evidence, an integrated assessment under ICH E14/S7B.",
    risk="A class that is too low may expose patients to arrhythmia, one that is too high may stop a useful drug. The "
    "model is one of several lines of evidence: its influence is medium, the consequence of a wrong decision high.",
    verification="Rates of the hERG channel equal those of the FDA's compiled code to ten digits; units "
    "close; scores of the 12 training drugs equal those of the FDA's code, solved by another method, to 1e-4.",
    validation="The FDA's own code on 12 training drugs, manual patch clamp of 2020: net charge within 0.5 % and APD90 "
    "within 2 ms on every dose; 11 of the 12 in the class that clinicians gave them (sotalol comes out intermediate). "
    "The 16 other drugs are classed by the same tables without a clinical class here to compare with.",
    applicability="Drugs whose effect runs through direct block of these currents, measured at 37 degrees by the "
    "panel that the regression was made for (manual patch clamp; automated platforms need coefficients of their own). "
    "Not: metabolites that were not measured, trafficking, disturbed electrolytes, heart failure, congenital long QT, "
    "autonomic or hormonal effects, children; the score ranks drugs and is no probability for one patient.",
    ranges={"cycle_length_ms": (2000.0, 2000.0), "multiples_of_cmax": (0.0, 25.0), "beats": (1000.0, np.inf)},
)
"""Of `cipa`. The FDA compared doses up to 25 times the free therapeutic maximum."""
