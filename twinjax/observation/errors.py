"""How all of a model's outputs err: an error or a likelihood each, and what goes across measurements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import equinox as eqx

from twinjax.observation.likelihoods import AbstractLikelihood
from twinjax.observation.quantification import AbstractQuantification
from twinjax.observation.residual import AbstractResidual
from twinjax.observation.tails import AbstractTailed


class Errors(eqx.Module):
    """Residual errors and likelihoods by output, as a mapping, and what goes across them.

    **Parameters**: `of`, by output; `correlations`, pair of outputs -> correlation of their residuals at the same
    time; `autocorrelation`, output -> correlation of its residuals one time unit apart; `quantification`, output ->
    how values beyond its limit count (default `M3`).
    """

    of: dict[str, AbstractResidual | AbstractLikelihood]
    correlations: dict[tuple[str, str], Any] = eqx.field(default_factory=dict)
    autocorrelation: dict[str, Any] = eqx.field(default_factory=dict)
    quantification: dict[str, AbstractQuantification] = eqx.field(default_factory=dict)

    @staticmethod
    def known(given: Errors | Mapping[str, AbstractResidual | AbstractLikelihood]) -> Errors:
        """As given, or made of a plain mapping."""
        return given if isinstance(given, Errors) else Errors(dict(given))

    def __getitem__(self, output: str) -> Any:
        return self.of[output]

    def __contains__(self, output: object) -> bool:
        return output in self.of

    def __iter__(self) -> Iterator[str]:
        return iter(self.of)

    def __len__(self) -> int:
        return len(self.of)

    @property
    def residuals(self) -> dict[str, AbstractResidual]:
        """Those that are residual errors."""
        return {n: e for n, e in self.of.items() if isinstance(e, AbstractResidual)}

    @property
    def likelihoods(self) -> dict[str, AbstractLikelihood]:
        """Those that are likelihoods."""
        return {n: e for n, e in self.of.items() if isinstance(e, AbstractLikelihood)}

    @property
    def tailed(self) -> dict[str, AbstractTailed]:
        """Residual errors that are not normal."""
        return {n: e for n, e in self.of.items() if isinstance(e, AbstractTailed)}

    @property
    def correlated(self) -> frozenset[str]:
        """Outputs whose residuals are not independent."""
        return frozenset(n for pair in self.correlations for n in pair) | frozenset(self.autocorrelation)

    @property
    def above_zero(self) -> frozenset[str]:
        """Outputs whose measurements count given that they are above zero (M4)."""
        return frozenset(n for n, q in self.quantification.items() if q.above_zero)
