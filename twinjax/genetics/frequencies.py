"""How often diplotypes occur among people of one ancestry."""

from __future__ import annotations

import numpy as np

from twinjax.naming import suggestion

ANCESTRIES = ("African American", "American", "Central/South Asian", "East Asian", "European", "Latino",
              "Near Eastern", "Oceanian", "Sub-Saharan African")  # fmt: skip

FREQUENCY: dict[str, dict[str, tuple[float | None, ...]]] = {
    "CYP2C9": {
        "*1": (0.87101, 0.91186, 0.77212, 0.91534, 0.79275, 0.86222, 0.78183, 0.95511, 0.72551),
        "*2": (0.02244, 0.03340, 0.11380, 0.00213, 0.12730, 0.07626, 0.12977, 0.02931, 0.01311),
        "*3": (0.01351, 0.03005, 0.10986, 0.03762, 0.07554, 0.04016, 0.08251, 0.01558, 0.01116),
        "*5": (0.01163, 0.00149, 0.0, 0.0, 0.00017, 0.00872, 0.00052, None, 0.01033),
        "*6": (0.00852, 0.0, 0.0, 0.0, 0.00028, 0.00098, 0.0, None, 0.00880),
        "*8": (0.05903, 0.02038, 0.00098, 0.00373, 0.00181, 0.00737, 0.00064, None, 0.07585),
        "*9": (0.0, None, 0.0, 0.0, None, None, 0.0, None, 0.12956),
        "*11": (0.01386, 0.00280, 0.00104, 0.00029, 0.00164, 0.00290, 0.0, None, 0.02569),
    },
    "CYP2D6": {
        "*1": (0.21116, 0.50080, 0.29324, 0.25779, 0.28501, 0.36455, 0.24876, 0.61702, 0.04116),
        "*1x2": (0.00797, 0.02489, 0.00579, 0.00335, 0.00824, 0.01509, 0.03148, 0.11889, 0.00580),
        "*2": (0.15469, 0.21745, 0.27445, 0.11917, 0.18536, 0.22684, 0.19005, 0.06112, 0.17412),
        "*2x2": (0.01866, 0.00747, 0.00691, 0.00459, 0.00851, 0.01184, 0.03315, 0.0, 0.01858),
        "*3": (0.00328, 0.00065, 0.00130, 0.00006, 0.01592, 0.00718, 0.00435, 0.00104, 0.00098),
        "*4": (0.04811, 0.10194, 0.08957, 0.00527, 0.18485, 0.12051, 0.11406, 0.01780, 0.02873),
        "*4x2": (0.02670, 0.00107, 0.00047, 0.0, 0.00655, 0.00403, 0.00324, 0.0, 0.01959),
        "*5": (0.05419, 0.01643, 0.04176, 0.04824, 0.02948, 0.02916, 0.01824, 0.03483, 0.06209),
        "*6": (0.00289, 0.00250, 0.00040, 0.00016, 0.01120, 0.00511, 0.00543, 0.0, 0.0),
        "*7": (0.00025, 0.00307, 0.00731, 0.00007, 0.00051, 0.0, 0.00286, 0.0, 0.0),
        "*9": (0.00433, 0.00706, 0.00188, 0.00174, 0.02754, 0.01550, 0.00380, 0.0, 0.0),
        "*10": (0.03816, 0.01450, 0.07559, 0.42845, 0.01571, 0.02629, 0.06769, 0.05713, 0.04869),
        "*10x2": (0.00117, 0.0, 0.0, 0.00585, 0.00011, 0.00167, 0.00226, 0.0, 0.0),
        "*12": (0.00066, 0.00639, 0.0, 0.0, 0.00014, None, 0.0, None, 0.00210),
        "*17": (0.16882, 0.00527, 0.00048, 0.00009, 0.00392, 0.02326, 0.03097, 0.00104, 0.19355),
        "*17x2": (0.00200, 0.0, 0.0, 0.0, 0.0, 0.00883, 0.0, None, 0.00200),
        "*27": (0.00300, 0.00300, 0.0, 0.00057, 0.0, None, 0.00700, None, 0.00336),
        "*29": (0.08744, 0.00202, 0.00161, 0.00010, 0.00105, 0.01525, 0.00776, 0.0, 0.10833),
        "*31": (0.0, 0.00600, 0.0, 0.0, 0.00148, 0.00747, 0.0, 0.0, 0.0),
        "*33": (0.0, 0.00222, 0.00200, 0.00021, 0.00951, None, 0.0, None, 0.0),
        "*34": (0.0, 0.0, 0.0, 0.00889, 0.01074, 0.00050, None, 0.00180, 0.00100),
        "*35": (0.00887, 0.01134, 0.00827, 0.00050, 0.05468, 0.02658, 0.02219, 0.00369, 0.0),
        "*36": (0.00523, 0.0, 0.0, 0.01140, 0.00018, 0.00200, 0.0, 0.0, 0.00400),
        "*39": (0.02007, 0.00100, 0.00339, 0.00564, 0.01401, 0.00800, 0.02684, 0.00631, 0.0),
        "*40": (0.00464, 0.0, 0.0, 0.0, 0.00070, None, 0.0, 0.0, 0.01384),
        "*41": (0.03709, 0.02710, 0.11928, 0.02317, 0.09238, 0.05102, 0.15358, 0.03244, 0.04529),
        "*45": (0.05011, 0.00300, 0.0, 0.0, 0.0, None, 0.0, None, 0.01003),
        "*46": (0.01074, 0.00100, 0.0, 0.0, 0.0, None, 0.00300, None, 0.00041),
        "*49": (0.0, 0.0, 0.0, 0.00991, 0.0, None, 0.0, None, 0.0),
        "*53": (None, None, None, 0.00020, None, 0.00500, 0.0, None, 0.0),
        "*69": (0.0, 0.00100, 0.00200, 0.01001, 0.00100, None, 0.0, None, 0.00100),
    },
    "CYP3A5": {
        "*1": (0.4528, None, 0.3267, 0.2535, 0.0741, 0.1728, 0.1219, None, 0.4795),
        "*3": (0.3160, None, 0.6733, 0.7458, 0.9244, 0.7651, 0.8361, None, 0.2409),
        "*6": (0.1112, None, 0.0, 0.0007, 0.0015, 0.0371, 0.0381, None, 0.1932),
        "*7": (0.1200, None, 0.0, 0.0, 0.0, 0.0250, 0.0039, None, 0.0864),
    },
    "VKORC1": {
        "G": (0.8987, 0.3839, 0.8436, 0.1335, 0.5867, 0.6067, 0.5464, None, 0.8923),
        "A": (0.1013, 0.6161, 0.1564, 0.8665, 0.4133, 0.3933, 0.4536, None, 0.1077),
    },
}  # fmt: skip
"""Frequencies by ancestry, None where nobody counted; what all leave is ``other``. CYP2C9 and CYP2D6: alleles above
0.5 % somewhere, of CYP2D6 those of known activity, to five decimals. VKORC1: the base at -1639 (rs9923231).

**Assumptions**: CYP3A5*1 is what the alleles that were looked for leave, as in CPIC's tables of the other genes. The
table of CYP2D6 counts *149, of unknown activity, as 15 % of sub-Saharan Africans, and leaves them 4 % of *1.
**Reference**: CPIC and PharmGKB, tables of allele frequencies (CC0, CC BY-SA 4.0), https://cpicpgx.org: CYP2C9 from
cpic-data; CYP2D6 as BCyrius carries it (https://github.com/parlar/cyrius-rs); CYP3A5 and VKORC1 as PAnno 0.3.1 does
(https://github.com/PreMedKB/PAnno), square roots of its homozygotes, to four decimals.
"""


def diplotypes(gene: str, ancestry: str) -> dict[str, float]:
    """Frequency of every diplotype, by Hardy and Weinberg; they add up to 1, with ``other`` for alleles that are not
    listed. Where those listed add up to more than 1 (1.00001, by rounding), each is divided by their sum.

    **Raises** `ValueError` for a gene whose frequencies are not listed, or an ancestry that is not among them or in
    which nobody counted.
    """
    if gene not in FREQUENCY:
        raise ValueError(
            f"no allele frequencies of {gene} ship with twinjax ({', '.join(FREQUENCY)} have them)"
            f"{suggestion(gene, FREQUENCY)}"
        )
    if ancestry not in ANCESTRIES:
        raise ValueError(f"there is no ancestry {ancestry!r}{suggestion(ancestry, ANCESTRIES)}")
    column = ANCESTRIES.index(ancestry)
    share = {a: p for a, f in FREQUENCY[gene].items() if (p := f[column]) is not None}
    if not share:
        raise ValueError(f"CPIC's table of {gene} has no frequencies of the ancestry {ancestry!r}")
    rest = 1.0 - sum(share.values())
    if rest > 1e-9:
        share["other"] = rest
    elif rest < 0.0:
        share = {a: p / (1.0 - rest) for a, p in share.items()}
    names = list(share)
    return {f"{a}/{b}": share[a] * share[b] * (1.0 if a == b else 2.0) for i, a in enumerate(names) for b in names[i:]}


def draw(gene: str, ancestry: str, count: int, *, seed: int) -> list[str]:
    """Diplotypes of `count` people at random, some of which hold ``other``, whose activity is not known.

    These are, of CYP2D6, 5 to 12 % of people and 38 % of sub-Saharan Africans (above all with *149), of CYP2C9 8 % of
    East Asians and at most 1 % elsewhere, of CYP3A5 and VKORC1 none. `activity` and `warfarin` refuse such a person;
    drawing another keeps the proportions of the rest.
    **Raises** `ValueError` as `diplotypes` does, and for fewer than one person.
    """
    if count < 1:
        raise ValueError(f"draw at least one person, not {count}")
    table = diplotypes(gene, ancestry)
    chance = np.array(list(table.values()))
    return list(np.random.default_rng(seed).choice(list(table), size=count, p=chance / chance.sum()))
