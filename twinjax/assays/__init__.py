"""What cells in a dish say about a drug: counts of living cells, and the clones behind them. Knows no patients."""

from twinjax.assays.clones import Clones
from twinjax.assays.counts import Counts, TwoLevels
from twinjax.assays.finding import CloneBounds, ClonesFit, ClonesFound, find_clones

__all__ = ["CloneBounds", "Clones", "ClonesFit", "ClonesFound", "Counts", "TwoLevels", "find_clones"]
