"""Reference people of ICRP 89: masses of organs, blood flows and cardiac output by age and sex.

**Reference**: ICRP Publication 89, Ann ICRP 2002; 32(3-4), doi:10.1016/S0146-6453(03)00002-2; Huisinga et al. 2012,
CPT Pharmacometrics Syst Pharmacol 1:e5, doi:10.1038/psp.2012.3 (children's flows, after Abraham et al. 2005).
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

AGES = np.array([0.0, 1.0, 5.0, 10.0, 15.0, 20.0])
"""Ages (years) of the reference people; the last one stands for all adults."""

MASSES: dict[str, tuple[float, ...]] = {
    #                      newborn   1 y     5 y     10 y   15 y m  15 y f adult m adult f
    "adipose":          (  0.890,  3.600,  5.000,  7.500,  9.500, 16.000, 14.500, 19.000),
    "bone":             (  0.370,  1.170,  2.430,  4.500,  7.950,  7.180, 10.500,  7.800),
    "brain":            (  0.380,  0.950,  1.245,  1.310,  1.420,  1.300,  1.450,  1.300),
    "heart":            (  0.020,  0.050,  0.085,  0.140,  0.230,  0.220,  0.330,  0.250),
    "kidney":           (  0.025,  0.070,  0.110,  0.180,  0.250,  0.240,  0.310,  0.275),
    "large_intestine":  (  0.017,  0.050,  0.120,  0.210,  0.300,  0.300,  0.370,  0.360),
    "liver":            (  0.130,  0.330,  0.570,  0.830,  1.300,  1.300,  1.800,  1.400),
    "lung":             (  0.030,  0.080,  0.125,  0.210,  0.330,  0.290,  0.500,  0.420),
    "muscle":           (  0.800,  1.900,  5.600, 11.000, 24.000, 17.000, 29.000, 17.500),
    "pancreas":         (  0.006,  0.020,  0.035,  0.060,  0.110,  0.100,  0.140,  0.120),
    "skin":             (  0.175,  0.350,  0.570,  0.820,  2.000,  1.700,  3.300,  2.300),
    "small_intestine":  (  0.030,  0.085,  0.220,  0.370,  0.520,  0.520,  0.650,  0.600),
    "spleen":           (  0.0095, 0.029,  0.050,  0.080,  0.130,  0.130,  0.150,  0.130),
    "stomach":          (  0.009,  0.025,  0.060,  0.103,  0.150,  0.150,  0.190,  0.175),
}  # fmt: skip
"""Masses of organs without their blood (kg): ICRP 89, table 2.8. `bone` is the skeleton with its marrow, `adipose` the
separable adipose tissue, `stomach` with the oesophagus; brains of 5 and 10 years are the mean of both sexes."""

HEIGHTS = (51.0, 76.0, 109.0, 138.0, 167.0, 161.0, 176.0, 163.0)
"""Height (cm): ICRP 89, table 2.9."""

WEIGHTS = (3.5, 10.0, 19.0, 32.0, 56.0, 53.0, 73.0, 60.0)
"""Body mass (kg): ICRP 89, table 2.9."""

BLOOD = (0.27, 0.50, 1.40, 2.40, 4.50, 3.30, 5.30, 3.90)
"""Blood volume (L): ICRP 89, section 7.4."""

CARDIAC_OUTPUT = (44.0, 109.0, 204.0, 300.0, 366.0, 366.0, 390.0, 354.0)
"""Cardiac output (L/h): ICRP 89, table 2.39; the first two Alverson et al. 1987, as cited by Huisinga et al."""

HAEMATOCRIT = {"male": 2.3 / 5.3, "female": 1.5 / 3.9}
"""Adults: ICRP 89, table 2.12. Children to 10 years have that of women, as Huisinga et al. found in NHANES."""

FLOWS: dict[str, tuple[float, float]] = {
    "adipose": (5.0, 8.5), "bone": (5.0, 5.0), "brain": (12.0, 12.0), "heart": (4.0, 5.0), "kidney": (19.0, 17.0),
    "large_intestine": (4.0, 5.0), "liver": (6.5, 6.5), "muscle": (17.0, 12.0), "pancreas": (1.0, 1.0),
    "skin": (5.0, 5.0), "small_intestine": (10.0, 11.0), "spleen": (3.0, 3.0), "stomach": (1.0, 1.0),
    "rest": (7.5, 8.0),
}  # fmt: skip
"""Blood flows of men and women (per cent of cardiac output): ICRP 89, table 2.40. `liver` is the hepatic artery; `rest`
is bronchi, thyroid, lymph nodes, adrenals, gonads, bladder and all others."""

ARTERIAL = 0.295
"""Fraction of all blood that is arterial: half the heart's chambers and capillaries, pulmonary veins, arteries (ICRP
89, table 2.13)."""

DENSITY = {
    "adipose": 0.916, "bone": 1.3, "brain": 1.035, "heart": 1.03, "kidney": 1.05, "large_intestine": 1.044,
    "liver": 1.05, "lung": 1.05, "muscle": 1.041, "pancreas": 1.04, "skin": 1.117, "small_intestine": 1.044,
    "spleen": 1.054, "stomach": 1.044, "rest": 1.04, "blood": 1.06,
}  # fmt: skip
"""kg/L: the skeleton of ICRP 89, others of the EPA's database of physiological parameters (as httk tabulates it)."""

BRAIN_FLOW = (30.0, 35.4, 42.6, 40.8, 34.2, 34.2)
"""Children's cerebral blood flow (L/h per kg of brain), by age and sex as in `MASSES`: Chiron et al. 1992, as tabulated
by Huisinga et al."""


def of_sex(columns: Any) -> tuple[np.ndarray, np.ndarray]:
    """The values at `AGES` of boys and men, and of girls and women."""
    c = np.asarray(columns, float)
    return c[[0, 1, 2, 3, 4, 6]], c[[0, 1, 2, 3, 5, 7]]


def at_age(columns: Any, age: Any, female: Any) -> Any:
    """A quantity of the reference person of this age and sex, linear between the ages of the table."""
    male, woman = of_sex(columns)
    age = jnp.asarray(age, jnp.result_type(float))
    return (1.0 - female) * jnp.interp(age, AGES, male) + female * jnp.interp(age, AGES, woman)


def _perfusion() -> dict[str, np.ndarray]:
    """Blood flow per kg of organ (L/h/kg) of the eight reference people; `rest` per kg of what is no organ.

    Adults: the table. Children: kidneys as in men, brains as measured, all others in the proportions of men, so that
    the whole is the cardiac output of their age.
    """
    output, percent = np.asarray(CARDIAC_OUTPUT), np.array([FLOWS[n] for n in FLOWS])
    masses = np.array([MASSES[n] if n != "rest" else rest_of(WEIGHTS, MASSES, BLOOD) for n in FLOWS])
    flow = np.zeros_like(masses)
    flow[:, 6:] = percent / 100.0 * output[6:]
    man = flow[:, 6] / masses[:, 6]
    names = list(FLOWS)
    kidney, brain = names.index("kidney"), names.index("brain")
    for child in range(6):
        own = man * masses[:, child]
        own[brain] = BRAIN_FLOW[child] * masses[brain, child]
        shared = [i for i in range(len(names)) if i not in (kidney, brain)]
        own[shared] *= (output[child] - own[kidney] - own[brain]) / own[shared].sum()
        flow[:, child] = own
    return dict(zip(names, flow / masses, strict=True))


def rest_of(weight: Any, masses: Any, blood: Any) -> Any:
    """What a body weighs beyond its organs and blood (kg): contents of the gut, glands, tongue, lymph and others."""
    return np.asarray(weight) - sum(np.asarray(m) for m in masses.values()) - DENSITY["blood"] * np.asarray(blood)


PERFUSION = _perfusion()
"""Blood flow per kg of organ (L/h/kg) by age and sex as in `MASSES`."""
