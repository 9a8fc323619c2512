"""Whole solves as one kernel: code generation, and the only place that launches kernels."""

from twinjax.solve.fused.backend import Fused
from twinjax.solve.fused.steps import Linear, Rodas5P, Tsit5

__all__ = ["Fused", "Linear", "Rodas5P", "Tsit5"]
