"""Genotypes: what two alleles make of an enzyme, how often they occur, and what that asks of a dose."""

from twinjax.genetics.alleles import activity, phenotype
from twinjax.genetics.frequencies import diplotypes, draw
from twinjax.genetics.tacrolimus import tacrolimus, tacrolimus_starting_dose
from twinjax.genetics.warfarin import warfarin, warfarin_dose

__all__ = [
    "activity",
    "diplotypes",
    "draw",
    "phenotype",
    "tacrolimus",
    "tacrolimus_starting_dose",
    "warfarin",
    "warfarin_dose",
]
