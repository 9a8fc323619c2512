"""Tissue:plasma partition coefficients from structure: one method a file."""

from twinjax.drugs.partition.base import AbstractPartition, partition, steady_state_volume
from twinjax.drugs.partition.pksim import PKSimStandard
from twinjax.drugs.partition.poulin_theil import Berezhkovskiy, PoulinTheil
from twinjax.drugs.partition.rodgers_rowland import RodgersRowland
from twinjax.drugs.partition.schmitt import Schmitt

__all__ = [
    "AbstractPartition",
    "Berezhkovskiy",
    "PKSimStandard",
    "PoulinTheil",
    "RodgersRowland",
    "Schmitt",
    "partition",
    "steady_state_volume",
]
