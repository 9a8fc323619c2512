"""Myeloma bone disease: osteoclasts, osteoblasts, the bone between them, and a tumour that sets them against it."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

import equinox as eqx
import jax.numpy as jnp

from twinjax.models.base import AbstractModel
from twinjax.units import Bounds, Concentration, Number, Rate, Scalar, Unit

Power = Annotated[Scalar, Unit("1"), Bounds(-math.inf, math.inf)]
PerExposure = Annotated[Scalar, Unit("L/mg/h")]


class MyelomaBone(AbstractModel):
    """Cells of bone remodelling, bone mass, and myeloma that disturbs their talk; a drug against the tumour.

    .. code-block:: text

        clasts' = make_c clasts^(g11 (1 + r11 x)) blasts^(g21 (1 + r21 x)) - loss_c clasts
        blasts' = make_b clasts^(g12 / (1 + r12 x)) blasts^(g22 - r22 x) - (loss_b - spare drug) blasts
        bone'   = form max(blasts - blasts*, 0) - resorb max(clasts - clasts*, 0)
        tumour' = (growth - kill drug) tumour ln(limit / tumour)                  x = tumour / limit

    clasts* and blasts* are the steady state at x = 1.

    **Parameters** (scalars): `clasts0`, `blasts0`, `bone0` (per cent), `tumour0` at the start; rates of making, and of
    loss (1/h); powers `g`, of an autocrine or paracrine signal (first index: whose; second: upon whom; 1 osteoclasts, 2
    osteoblasts), and `r`, by which the tumour changes them; `form`, `resorb` of bone by a cell in excess (1/h);
    `growth` and `limit` of a Gompertz tumour; for each mg/L of drug, `kill` of the tumour and `spare` of osteoblasts
    (L/mg/h).
    **Assumptions**: numbers of cells in one basic multicellular unit, tumour and bone in per cent; a drug acts at once,
    and more of it than growth / kill makes the tumour shrink.
    **Reference**: Ayati et al. 2010, Biol Direct 5:28, doi:10.1186/1745-6150-5-28; BioModels BIOMD0000000402 and 403
    (CC0), which correct three misprints with the authors' consent. Typical values are those, per day over 24, and 1
    mg/L stands for the treatment studied there (a proteasome inhibitor).
    """

    clasts0: Number
    blasts0: Number
    bone0: Number
    tumour0: Number
    make_c: Rate
    loss_c: Rate
    make_b: Rate
    loss_b: Rate
    g11: Power
    g21: Power
    g12: Power
    g22: Power
    r11: Number
    r21: Number
    r12: Number
    r22: Number
    form: Rate
    resorb: Rate
    growth: Rate
    limit: Number
    kill: PerExposure
    spare: PerExposure

    quiescent: ClassVar[bool] = False
    signed: ClassVar[tuple[str, ...]] = ("bone",)

    class State(eqx.Module):
        """Osteoclasts, osteoblasts, bone and tumour."""

        clasts: Number
        blasts: Number
        bone: Number
        tumour: Number

    class Input(eqx.Module):
        """The concentration that drives the effect."""

        concentration: Concentration = 0.0

    class Output(eqx.Module):
        """All of it."""

        clasts: Number
        blasts: Number
        bone: Number
        tumour: Number

    def _set_points(self):
        """Osteoclasts and osteoblasts beyond which bone is resorbed and formed."""
        own, back = self.g11 * (1.0 + self.r11), 1.0 - self.g22 + self.r22
        on_clasts, on_blasts = self.g21 * (1.0 + self.r21), self.g12 / (1.0 + self.r12)
        gamma = on_blasts * on_clasts - (1.0 - own) * back
        c, b = jnp.log(self.loss_c / self.make_c), jnp.log(self.loss_b / self.make_b)
        return jnp.exp((c * back + b * on_clasts) / gamma), jnp.exp((c * on_blasts + b * (1.0 - own)) / gamma)

    def derivative(self, t, y, u):
        """Power laws of signals; powers of numbers of cells that may be zero."""
        x = y.tumour / self.limit
        c, b = jnp.log(jnp.maximum(y.clasts, 1e-30)), jnp.log(jnp.maximum(y.blasts, 1e-30))
        made_c = self.make_c * jnp.exp(self.g11 * (1.0 + self.r11 * x) * c + self.g21 * (1.0 + self.r21 * x) * b)
        made_b = self.make_b * jnp.exp(self.g12 / (1.0 + self.r12 * x) * c + (self.g22 - self.r22 * x) * b)
        clasts, blasts = self._set_points()
        formed = self.form * jnp.maximum(y.blasts - blasts, 0.0)
        some = y.tumour > 0.0
        room = jnp.log(self.limit / jnp.where(some, y.tumour, self.limit))
        return self.State(
            clasts=made_c - self.loss_c * y.clasts,
            blasts=made_b - (self.loss_b - self.spare * u.concentration) * y.blasts,
            bone=formed - self.resorb * jnp.maximum(y.clasts - clasts, 0.0),
            tumour=jnp.where(some, (self.growth - self.kill * u.concentration) * y.tumour * room, 0.0),
        )

    def output(self, t, y, u):
        """As they are."""
        return self.Output(y.clasts, y.blasts, y.bone, y.tumour)

    def initial(self):
        """As given."""
        return self.State(self.clasts0, self.blasts0, self.bone0, self.tumour0)

    @classmethod
    def typical(cls):
        """The archived numbers."""
        d = 24.0
        return cls(
            clasts0=13.0, blasts0=300.0, bone0=100.0, tumour0=1.0, make_c=3.0 / d, loss_c=0.2 / d, make_b=4.0 / d,
            loss_b=0.02 / d, g11=1.1, g21=-0.5, g12=1.0, g22=0.0, r11=0.005, r21=0.0, r12=0.0, r22=0.2,
            form=6.395e-4 / d, resorb=0.0748 / d, growth=0.005 / d, limit=100.0, kill=0.008 / d, spare=0.001 / d,
        )  # fmt: skip
