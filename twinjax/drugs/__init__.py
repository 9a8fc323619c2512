"""Drugs: what is known of a molecule, and what follows of its partition, binding, clearance and interactions."""

from twinjax.drugs.clearance import (
    Dispersion,
    Hepatocytes,
    Microsomes,
    ParallelTube,
    Recombinant,
    WellStirred,
    from_chip,
    hepatic_clearance,
    intrinsic_clearance,
)
from twinjax.drugs.compound import Compound
from twinjax.drugs.interactions import (
    FDA_2020,
    ICH_M12,
    Agreement,
    Perpetrator,
    Victim,
    agreement,
    basic_interaction,
    guest_limit,
    mechanistic_interaction,
)
from twinjax.drugs.partition import (
    Berezhkovskiy,
    PKSimStandard,
    PoulinTheil,
    RodgersRowland,
    Schmitt,
    partition,
    steady_state_volume,
)

__all__ = [
    "FDA_2020",
    "ICH_M12",
    "Agreement",
    "Berezhkovskiy",
    "Compound",
    "Dispersion",
    "Hepatocytes",
    "Microsomes",
    "PKSimStandard",
    "ParallelTube",
    "Perpetrator",
    "PoulinTheil",
    "Recombinant",
    "RodgersRowland",
    "Schmitt",
    "Victim",
    "WellStirred",
    "agreement",
    "basic_interaction",
    "from_chip",
    "guest_limit",
    "hepatic_clearance",
    "intrinsic_clearance",
    "mechanistic_interaction",
    "partition",
    "steady_state_volume",
]
