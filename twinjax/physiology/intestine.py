"""The small intestine as drugs meet it: surfaces, fluid and how long it takes."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from twinjax.physiology.person import Person
from twinjax.units import Clearance, Rate, Scalar, Volume


class Gut(eqx.Module):
    """A fasted small intestine.

    **Parameters**: `surface` of its lumen with folds, villi and microvilli (dm2), `fluid` in it (L), `emptying` of
    the stomach, `passing` of what is solid there, and `transit` (1/h), `villous`, blood flow through villi (L/h).
    """

    surface: Scalar
    fluid: Volume
    emptying: Rate
    passing: Rate
    transit: Rate
    villous: Clearance


def gut(who: Person) -> Gut:
    """The small intestine of a person: a man's of 176 cm, lengths and radii in proportion to height.

    **Assumptions**: fasted; five segments' surfaces and fluid added up; times are a man's (15 min in the stomach, 60
    undissolved, 199 min in the small intestine, the mean of some 400 measured).
    **Reference**: transit Yu, Crison and Amidon 1996, Int J Pharm 140:111, doi:10.1016/0378-5173(96)04592-9; the rest
    Thelen et al. 2011, J Pharm Sci 100:5324, doi:10.1002/jps.22726, as PK-Sim 6 exports it (in its public test
    simulation): geometric surfaces of 2.4 to 6.4 dm2 a segment, times 147 to 448 for folds, villi and microvilli; a
    fluid of 6.5 % of a volume of 1.66 L; villous flow Yang et al. 2007, Curr Drug Metab 8:676,
    doi:10.2174/138920007782109733.
    """
    size = who.height / 176.0
    one: Any = jnp.ones_like(jnp.asarray(who.height, jnp.result_type(float)))
    return Gut(7209.0 * size**2, 0.107 * size**3, 4.0 * one, one, 60.0 / 199.0 * one, 18.0 * size**2)
