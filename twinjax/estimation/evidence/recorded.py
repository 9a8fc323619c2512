"""The judgement of a method's evidence as a file keeps it: what it said, not what it saw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twinjax.estimation.evidence.protocol import AbstractEvidence


class Recorded(AbstractEvidence):
    """What evidence said when its fit was saved: statement, doubts, intervals, remarks; draws and traces are gone.

    **Parameters**: `said`, as `Recorded.of` gives it.
    """

    def __init__(self, said: Mapping[str, Any]) -> None:
        self.said = said

    @staticmethod
    def of(evidence: Any) -> dict[str, Any] | None:
        """The judgement of evidence in plain values; None where there is none."""
        if not isinstance(evidence, AbstractEvidence):
            return None
        return {
            "statement": evidence.statement, "doubts": list(evidence.doubts), "remarks": evidence.remarks,
            "intervals": {n: [float(a), float(b)] for n, (a, b) in evidence.intervals.items()},
        }  # fmt: skip

    @property
    def statement(self) -> str:
        """As it was."""
        return self.said["statement"]

    @property
    def doubts(self) -> tuple[str, ...]:
        """As they were."""
        return tuple(self.said["doubts"])

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """As they were."""
        return {n: (a, b) for n, (a, b) in self.said["intervals"].items() if a is not None and b is not None}

    @property
    def remarks(self) -> str:
        """As they were."""
        return self.said["remarks"]
