"""Pregnancy: what changes in a woman's body week by week."""

from __future__ import annotations

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from twinjax.physiology.anatomy import PORTAL, Anatomy
from twinjax.physiology.person import checked
from twinjax.physiology.reference import DENSITY
from twinjax.units import Clearance, Fraction, Scalar, Volume

TERM = 40.0
"""Weeks after the last menstruation."""


class Pregnancy(eqx.Module):
    """A mean pregnancy at a week.

    **Parameters**: `gain` of body mass (kg) of which `fat`, with `fetus`, `placenta` and `fluid` (amniotic) in it (kg);
    `plasma` (L), `haematocrit`; `output` of the heart, `kidney` flow and glomerular `filtration` (L/h); shares of the
    cardiac output that go to `gut`, `liver` (in all: artery and portal vein) and `fat_flow`.
    """

    gain: Scalar
    fat: Scalar
    fetus: Scalar
    placenta: Scalar
    fluid: Scalar
    plasma: Volume
    haematocrit: Fraction
    output: Clearance
    kidney: Clearance
    filtration: Clearance
    gut: Fraction
    liver: Fraction
    fat_flow: Fraction


def pregnancy(week: Scalar) -> Pregnancy:
    """The means of a pregnancy at a gestational age in weeks, 0 (not pregnant) to 42.

    **Assumptions**: no placenta before week 2, where its polynomial is below zero.
    **Raises** `ValueError` for another age.
    **Reference**: Kapraun et al. 2019, PLoS One 14:e0215906, doi:10.1371/journal.pone.0215906 (polynomials, logistic
    and Gompertz curves; coefficients as its authors' httk holds them).
    """
    checked("week", week, 0.0, 42.0, "weeks of gestation")
    w = jnp.asarray(week, jnp.result_type(float))

    def percent(first: float, last: float) -> Any:
        return 0.01 * (first + (last - first) * w / TERM)

    return Pregnancy(
        gain=-0.010614 * w + 0.029161 * w**2 - 5.0203e-4 * w**3,
        fat=0.14937 * w,
        fetus=1e-3 * 0.0018282 * jnp.exp(1.1735 / 0.077577 * (1.0 - jnp.exp(-0.077577 * w))),
        placenta=1.02e-3 * jnp.maximum(-1.7646 * w + 0.91775 * w**2 - 0.011543 * w**3, 0.0),
        fluid=1.01e-3 * 822.34 / (1.0 + jnp.exp(-0.26988 * (w - 20.150))),
        plasma=2.4958 + 1.2406 / (1.0 + jnp.exp(-0.31338 * (w - 17.813))),
        haematocrit=0.01 * (39.192 - 0.10562 * w - 7.1045e-4 * w**2),
        output=301.78 + 3.2512 * w + 0.15947 * w**2 - 0.0047059 * w**3,
        kidney=53.248 + 3.6447 * w - 0.15357 * w**2 + 0.0016968 * w**3,
        filtration=0.06 * (113.73 + 3.5784 * w - 0.067272 * w**2),
        gut=percent(17.0, 12.5),
        liver=percent(27.0, 20.0),
        fat_flow=percent(8.5, 7.8),
    )


def pregnant(before: Anatomy, week: Scalar) -> Anatomy:
    """A woman's organs and flows in a week of pregnancy, from those before it: each changes as in the mean pregnancy.

    What of the gain is neither fat nor blood (fetus, placenta, fluid, uterus, water) joins `rest`, as does the blood
    flow of placenta and uterus: what the other organs leave of the cardiac output.
    **Assumptions**: brain, heart and other organs weigh and are perfused as they were; a mean pregnancy with one child;
    a drug is not followed into the fetus.
    **Raises** `ValueError` for a week outside 0 to 42.
    """
    now, then = pregnancy(week), pregnancy(0.0)
    total = before.cardiac_output * now.output / then.output
    more = {n: _share(now, n) / _share(then, n) for n in ("gut", "artery", "fat_flow")}
    kidney = before.flows["kidney"] * now.kidney / then.kidney
    factor = {**dict.fromkeys(PORTAL, more["gut"]), "liver": more["artery"], "adipose": more["fat_flow"]}
    scale = total / before.cardiac_output
    flows = {n: before.flows[n] * f * scale for n, f in factor.items()} | {"kidney": kidney}
    kept = {n: q for n, q in before.flows.items() if n not in flows and n != "rest"}
    flows |= kept
    flows["rest"] = total - sum(flows.values())
    blood = before.blood * (now.plasma / (1.0 - now.haematocrit)) / (then.plasma / (1.0 - then.haematocrit))
    rest = now.gain - now.fat - DENSITY["blood"] * (blood - before.blood)
    masses = {
        **before.masses, "adipose": before.masses["adipose"] + now.fat, "rest": before.masses["rest"] + rest,
    }  # fmt: skip
    return dataclasses.replace(
        before, masses=masses, flows={n: flows[n] for n in before.flows}, blood=blood,
        haematocrit=before.haematocrit * now.haematocrit / then.haematocrit,
    )  # fmt: skip


def _share(of: Pregnancy, name: str) -> Any:
    return of.liver - of.gut if name == "artery" else getattr(of, name)
