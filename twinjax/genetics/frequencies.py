"""How often diplotypes occur among people of one ancestry."""

from __future__ import annotations

import numpy as np

from twinjax.naming import suggestion

ANCESTRIES = ("African American", "American", "Central/South Asian", "East Asian", "European", "Latino",
              "Near Eastern", "Oceanian", "Sub-Saharan African")  # fmt: skip

FREQUENCY: dict[str, dict[str, tuple[float, ...]]] = {
    "CYP2C9": {
        "*1": (0.87101, 0.91186, 0.77212, 0.91534, 0.79275, 0.86222, 0.78183, 0.95511, 0.72551),
        "*2": (0.02244, 0.03340, 0.11380, 0.00213, 0.12730, 0.07626, 0.12977, 0.02931, 0.01311),
        "*3": (0.01351, 0.03005, 0.10986, 0.03762, 0.07554, 0.04016, 0.08251, 0.01558, 0.01116),
        "*5": (0.01163, 0.00149, 0.0, 0.0, 0.00017, 0.00872, 0.00052, 0.0, 0.01033),
        "*6": (0.00852, 0.0, 0.0, 0.0, 0.00028, 0.00098, 0.0, 0.0, 0.00880),
        "*8": (0.05903, 0.02038, 0.00098, 0.00373, 0.00181, 0.00737, 0.00064, 0.0, 0.07585),
        "*9": (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.12956),
        "*11": (0.01386, 0.00280, 0.00104, 0.00029, 0.00164, 0.00290, 0.0, 0.0, 0.02569),
    },
}
"""Frequencies of alleles above 0.5 % in some ancestry, to five decimals; ``other`` has the rest.

**Reference**: PharmGKB and CPIC, frequency table of CYP2C9 (CC BY-SA 4.0), https://cpicpgx.org.
"""


def diplotypes(gene: str, ancestry: str) -> dict[str, float]:
    """Frequency of every diplotype, by Hardy and Weinberg; they add up to 1, with ``other`` for all rarer alleles.

    **Raises** `ValueError` for a gene whose frequencies are not listed, or an ancestry that is not among them.
    """
    if gene not in FREQUENCY:
        raise ValueError(
            f"no allele frequencies of {gene} ship with twinjax (CYP2C9 alone has them){suggestion(gene, FREQUENCY)}"
        )
    if ancestry not in ANCESTRIES:
        raise ValueError(f"there is no ancestry {ancestry!r}{suggestion(ancestry, ANCESTRIES)}")
    column = ANCESTRIES.index(ancestry)
    share = {a: f[column] for a, f in FREQUENCY[gene].items()}
    share["other"] = max(1.0 - sum(share.values()), 0.0)
    names = list(share)
    return {f"{a}/{b}": share[a] * share[b] * (1.0 if a == b else 2.0) for i, a in enumerate(names) for b in names[i:]}


def draw(gene: str, ancestry: str, count: int, *, seed: int) -> list[str]:
    """Diplotypes of `count` people at random; one in a few may hold ``other``, whose activity is not known."""
    if count < 1:
        raise ValueError(f"draw at least one person, not {count}")
    table = diplotypes(gene, ancestry)
    chance = np.array(list(table.values()))
    return list(np.random.default_rng(seed).choice(list(table), size=count, p=chance / chance.sum()))
