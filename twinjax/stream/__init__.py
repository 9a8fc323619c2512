"""A stream of patients' data into their twins: messages learnt once and never lost, in one file."""

from twinjax.stream.ledger import Ledger, Outcome
from twinjax.stream.ward import Ward

__all__ = ["Ledger", "Outcome", "Ward"]
