"""Alleles and what they do: activity scores of diplotypes, and the names of phenotypes."""

from __future__ import annotations

from twinjax.naming import suggestion


def _table(**by_score: str) -> dict[str, float]:
    return {f"*{a}": float(score[1:].replace("_", ".")) for score, names in by_score.items() for a in names.split()}


ACTIVITY: dict[str, dict[str, float]] = {
    "CYP2C9": _table(s1="1 9", s0_5="2 5 8 11 12 14 16 28 29 30 31", s0="3 6 13 15 25 33"),
    "CYP2D6": _table(
        s0="3 4 5 6 7 8 11 12 13 15 18 19 20 21 31 36 38 40 42 44 47 51 56 57 60 62 68 69 81 92 96 99 100 101 114 120 "
        "124 129 3x2 4x2 4x3 4x4 4x5 6x2 36x2",
        s0_25="10",
        s0_5="9 14 17 29 41 49 50 54 55 59 10x2",
        s1="1 2 27 33 34 35 39 45 46 48 53 9x2 17x2 29x2 41x2",
        s1_5="41x3",
        s2="1x2 2x2 35x2 45x2",
        s3="1x3 2x3",
    ),
    "CYP3A5": _table(s1="1", s0="3 6 7"),
}
"""Activity value of each allele. CYP2C9 and CYP3A5: CPIC's functions (CC0; normal 1, decreased 0.5, none 0), of alleles
that have one. CYP2D6: as in Grzegorzewski et al. 2022, doi:10.3389/fphar.2022.1029073 (CC0), which follows CPIC."""

_PHENOTYPES = {
    "CYP2C9": ((0.75, "poor"), (1.75, "intermediate"), (9.0, "normal")),
    "CYP2D6": ((0.125, "poor"), (1.125, "intermediate"), (2.375, "normal"), (99.0, "ultrarapid")),
    "CYP3A5": ((0.5, "poor"), (1.5, "intermediate"), (9.0, "normal")),
}


def activity(gene: str, diplotype: str) -> float:
    """Activity score of two alleles, the sum of theirs: ``activity("CYP2D6", "*1/*4")`` is 1.

    **Raises** `ValueError` for a gene or an allele that is not known (with the nearest; ``other``, which `draw` may
    yield, is one of them), and for text that is not two alleles.
    """
    return sum(_of(gene)[a] for a in alleles(gene, diplotype))


def phenotype(gene: str, score: float) -> str:
    """Metaboliser phenotype of an activity score: poor, intermediate, normal or ultrarapid.

    **Reference**: Caudle et al. 2020, Clin Transl Sci 13:116, doi:10.1111/cts.12692 (CYP2D6); CPIC (CYP2C9, CYP3A5).
    """
    _of(gene)
    if score < 0.0:
        raise ValueError(f"an activity score of {score:g} is below zero")
    return next(name for limit, name in _PHENOTYPES[gene] if score < limit)


def alleles(gene: str, diplotype: str) -> tuple[str, str]:
    """The two alleles of ``"*1/*3"``, the one listed first in their gene first."""
    known, parts = list(_of(gene)), [p.strip() for p in diplotype.split("/")]
    if len(parts) != 2:
        raise ValueError(f"{diplotype!r} is no diplotype; write two alleles, like '*1/*3'")
    for part in parts:
        if part == "other":
            raise ValueError(
                f"'other' stands for alleles of {gene} whose activity is not known; draw such people again, "
                "or give a score of your own"
            )
        if part not in known:
            raise ValueError(f"{gene} has no allele {part!r} of known activity{suggestion(part, known)}")
    first, second = sorted(parts, key=lambda a: (len(a.split("x")[0]), a))
    return first, second


def _of(gene: str) -> dict[str, float]:
    if gene not in ACTIVITY:
        raise ValueError(f"the alleles of {gene} are not listed{suggestion(gene, ACTIVITY)}")
    return ACTIVITY[gene]
