"""Heights and mass indices of adults by ethnicity, as the American survey of health measured them."""

from __future__ import annotations

from typing import Any, Literal, get_args

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from twinjax.naming import suggestion
from twinjax.units import Fraction, Scalar

Ethnicity = Literal["asian", "black", "hispanic", "white"]
ETHNICITIES: tuple[str, ...] = get_args(Ethnicity)
"""What Americans call themselves: non-Hispanic Asian, non-Hispanic Black, Hispanic (Mexican or other), non-Hispanic
White. People of other or of several are too few in the survey."""

MIDDLES = (30.0, 50.0, 70.0)
"""Ages (years) for which `BUILD` stands: those of 20 to 39, of 40 to 59, and of 60 and above."""

YOUNGEST, OLDEST, EXTREME = 20.0, 80.0, 3.0
"""Ages (years) the table covers, the survey having every age above 80 as 80; and the deviate beyond which mass indices
are not drawn: 14.2 and 82.9 kg/m2 are the extremes then, about what was measured (13.4 and 86.2)."""

BUILD: dict[str, tuple[tuple[float, ...], ...]] = {
    # men, and below them women: height, its deviation, mass index, its spread
    "asian": (
        (172.2, 170.0, 165.6), (7.1, 6.9, 6.7), (24.7, 25.1, 24.0), (0.165, 0.133, 0.149),
        (158.8, 156.8, 152.6), (5.7, 6.0, 5.8), (23.2, 24.2, 24.3), (0.184, 0.166, 0.177),
    ),
    "black": (
        (176.9, 176.7, 174.1), (7.3, 6.8, 7.3), (27.1, 29.1, 27.8), (0.234, 0.214, 0.202),
        (163.5, 163.3, 160.6), (6.6, 6.4, 6.5), (29.8, 32.1, 30.4), (0.267, 0.254, 0.231),
    ),
    "hispanic": (
        (171.8, 170.5, 168.0), (7.2, 7.7, 6.6), (28.8, 29.5, 28.8), (0.201, 0.165, 0.162),
        (158.8, 157.3, 154.4), (6.6, 6.5, 5.7), (28.7, 30.0, 29.9), (0.236, 0.212, 0.197),
    ),
    "white": (
        (178.2, 177.5, 175.1), (6.9, 6.9, 6.9), (27.2, 28.9, 28.8), (0.214, 0.181, 0.184),
        (164.7, 163.5, 160.3), (6.4, 6.5, 6.6), (26.9, 28.4, 28.3), (0.248, 0.242, 0.221),
    ),
}  # fmt: skip
"""Height (cm), its standard deviation, the median mass index (kg/m2) and its spread (see `Build`), at `MIDDLES`.

Computed for this table from single people of four surveys (public domain), 2011 to 2018: 9,274 women and 8,730 men of
20 years and above with height and weight, 697 to 1,264 for each number, each person weighted by the survey's
examination weight. Asians are told apart in two of the four as they could be had (2011-2012 and 2015-2016: 684 women
and 686 men, 146 to 287 for each number). Pregnant women are left out of these two, and are not marked in the others.
**Reference**: National Center for Health Statistics, National Health and Nutrition Examination Survey,
https://www.cdc.gov/nchs/nhanes: 2011-2012 as the R package NHANES carries it (`NHANESraw`), 2015-2016 from the files
DEMO_I and BMX_I, 2013-2014 and 2017-2018 as the EPA's httk 2.7.4 does (`mecdt`; Ring et al. 2017, Environ Int 106:105,
doi:10.1016/j.envint.2017.06.004).
"""


class Build(eqx.Module):
    """What heights and weights adults of one ethnicity, sex and age have.

    .. code-block:: text

        height = mean + deviation z                z ~ N(0, 1)
        weight = bmi / (1 - spread z / 2)^2 height^2

    so that 1/sqrt(mass index) is normal: the power of Box and Cox that fits the survey best is -1/2. Against
    the survey's own percentiles: the median within 0.7 kg/m2, the 5th within 0.8 and the 95th within 1.5 (a lognormal
    one: 1.0, 1.2 and 1.7), the 99th within 4.9 and on average within 1.6 (5.7 and 2.8).

    **Parameters**: `mean` and `deviation` of height (cm); `bmi`, the median mass index (kg/m2), and `spread`.
    **Assumptions**: the mass index does not depend on height (correlations in the survey: -0.16 to 0.16).
    """

    mean: Scalar
    deviation: Scalar
    bmi: Scalar
    spread: Fraction

    def height(self, deviate: Any) -> Any:
        """Height (cm) of a person of this standard normal deviate."""
        return self.mean + self.deviation * deviate

    def weight(self, height: Any, deviate: Any = 0.0) -> Any:
        """Weight (kg) of a person of this height (cm) and this deviate, which ends at `EXTREME`."""
        z = jnp.clip(jnp.asarray(deviate), -EXTREME, EXTREME)
        return self.bmi / (1.0 - 0.5 * self.spread * z) ** 2 * (height / 100.0) ** 2


def build(ethnicity: str, age: Scalar, female: Scalar) -> Build:
    """Heights and weights of an ethnicity, linear in age between `MIDDLES` and constant beyond.

    **Raises** `ValueError` for an ethnicity that is not in `ETHNICITIES`, and where a known age is outside 20 to 80.
    **Reference**: `BUILD`.
    """
    known(ethnicity, age)
    age = jnp.asarray(age, jnp.result_type(float))
    men, women = BUILD[ethnicity][:4], BUILD[ethnicity][4:]
    middles = np.asarray(MIDDLES)

    def at(man: tuple[float, ...], woman: tuple[float, ...]) -> Any:
        his, hers = jnp.interp(age, middles, np.asarray(man)), jnp.interp(age, middles, np.asarray(woman))
        return (1.0 - female) * his + female * hers

    return Build(*(at(m, w) for m, w in zip(men, women, strict=True)))


def known(ethnicity: str, ages: Any) -> None:
    """Raise `ValueError` where an ethnicity, or an age that can be looked at, is not in the table."""
    if ethnicity not in ETHNICITIES:
        raise ValueError(
            f"the survey of heights and weights has no ethnicity {ethnicity!r}"
            f"{suggestion(str(ethnicity), ETHNICITIES)}; of anybody else give height and weight, and no ethnicity"
        )
    if not isinstance(ages, Tracer) and (np.any(np.asarray(ages) < YOUNGEST) or np.any(np.asarray(ages) > OLDEST)):
        raise ValueError(
            f"heights and weights by ethnicity are known from {YOUNGEST:g} to {OLDEST:g} years, and not at all ages of "
            f"{np.min(np.asarray(ages)):g} to {np.max(np.asarray(ages)):g}; give height and weight, and no ethnicity"
        )
