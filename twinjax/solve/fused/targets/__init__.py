"""How a kernel runs: its text compiled for a device, and the one verb that launches it from JAX."""

from twinjax.solve.fused.targets.available import available
from twinjax.solve.fused.targets.launch import launch
from twinjax.solve.fused.targets.seam import Buffer, Kernel

__all__ = ["Buffer", "Kernel", "available", "launch"]
