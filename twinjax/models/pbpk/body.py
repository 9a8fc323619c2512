"""Several drugs in one body: only plumbing; organs plug in by name."""

from __future__ import annotations

import dataclasses
import operator
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer

from twinjax.models.base import AbstractModel, Balance
from twinjax.models.pbpk.bile import Bile
from twinjax.models.pbpk.enzymes import Enzymes
from twinjax.models.pbpk.flow import AbstractGut, AbstractOrgan, Flow, merge
from twinjax.models.pbpk.intestine import Intestine
from twinjax.models.pbpk.liver import Liver
from twinjax.models.pbpk.solute import LinearKinetics, Solute
from twinjax.models.pbpk.tissue import Kidney, PermeableTissue, Tissue
from twinjax.naming import leaves, names
from twinjax.units import Clearance, MolarAmount, MolarConcentration, Volume


class WholeBody(AbstractModel):
    """Whole-body circulation: lung in series, tissues in parallel, portal organs in series with the liver.

    .. code-block:: text

        venous -> lung -> arterial -> tissues -------------------> venous
                          arterial -> portal organs -> liver ----> venous
                          arterial ------------------> liver
        liver -> bile -> the gut's lumen                                where the liver secretes bile

    Doses into ``venous.drug`` (intravenous), ``stomach.drug`` (a solution) or ``tablet.drug``; meals as `Bile` says.
    **Parameters**: organs by name; `perfusion`, arterial flow by organ and of ``liver`` (L/h), which together are the
    cardiac output; `arterial_volume`, `venous_volume` of blood (L); `solutes`, drugs by name.
    **Assumptions**: organs are well-stirred; drug is in blood at equilibrium between plasma and cells.
    **Raises** `ValueError` for an organ without a flow or a flow without an organ, volumes and flows that are not
    positive, a drug that an organ does not know, a metabolite that is no drug of the body, and bile without a gut.
    **Reference**: typical values: a man of 73 kg (ICRP 89, doi:10.1016/S0146-6453(03)00002-2) and round numbers for a
    moderately lipophilic drug whose metabolite is filtered.
    """

    tissues: dict[str, AbstractOrgan]
    portal: dict[str, AbstractOrgan]
    liver: AbstractOrgan
    lung: AbstractOrgan
    perfusion: dict[str, Clearance]
    arterial_volume: Volume
    venous_volume: Volume
    solutes: dict[str, Solute]

    stiff = True

    class State(eqx.Module):
        """Drugs in organs and in blood."""

        tissues: dict[str, eqx.Module]
        portal: dict[str, eqx.Module]
        liver: eqx.Module
        lung: eqx.Module
        arterial: dict[str, MolarAmount]
        venous: dict[str, MolarAmount]

    class Output(eqx.Module):
        """Plasma of veins (umol/L), by drug."""

        plasma: dict[str, MolarConcentration]

    def __check_init__(self) -> None:
        """The plumbing is whole."""
        organs = {**self.tissues, **self.portal, "liver": self.liver}
        for name in set(organs) - set(self.perfusion):
            raise ValueError(f"{name} has no flow; give perfusion[{name!r}]")
        for name in set(self.perfusion) - set(organs):
            raise ValueError(f"perfusion[{name!r}] leads to no organ; its blood would leave the body")
        if set(self.tissues) & set(self.portal):
            raise ValueError(f"{sorted(set(self.tissues) & set(self.portal))[0]} is both a tissue and a portal organ")
        for name, value in leaves(
            (organs, self.lung, self.perfusion, self.arterial_volume, self.venous_volume)
        ).items():
            if name.rsplit(".", 1)[-1] in ("volume", "cells") or not name.startswith(("0.", "1.")):
                _positive(name.split(".", 1)[-1] if "." in name else "the volume of blood", value)
        for name, organ in {**organs, "lung": self.lung}.items():
            known = set(names(organ.initial()))
            for drug in self.solutes:
                if not any(n.endswith(f".{drug}") for n in known):
                    raise ValueError(f"{name} does not know the drug {drug!r}; give its kp there")
        for drug, solute in self.solutes.items():
            for enzyme, kinetics in solute.pathways():
                if kinetics.metabolite is not None and kinetics.metabolite not in self.solutes:
                    raise ValueError(
                        f"{drug} forms {kinetics.metabolite!r} by {enzyme}, which is no drug of this body; add it to "
                        "solutes, or give metabolite=None"
                    )
        bile: Bile | None = getattr(self.liver, "bile", None)
        if bile is not None:
            self._gut()
            for name in {*bile.secretion, *(n for pair in bile.becomes for n in pair)} - set(self.solutes):
                raise ValueError(f"bile holds {name!r}, which is no drug of this body")

    def _gut(self) -> str:
        """The organ into which bile flows."""
        guts = [n for n, o in self.portal.items() if isinstance(o, AbstractGut)]
        if len(guts) != 1:
            raise ValueError(f"bile flows into one portal organ with a lumen; this body has {len(guts)}")
        return guts[0]

    def initial(self):
        """Without drug, enzymes at their baseline."""
        empty: dict[str, Any] = dict.fromkeys(self.solutes, 0.0)
        return self.State(
            {n: o.initial() for n, o in self.tissues.items()},
            {n: o.initial() for n, o in self.portal.items()},
            self.liver.initial(),
            self.lung.initial(),
            empty,
            empty,
        )

    def derivative(self, t, y, u):
        """Blood goes round."""
        arterial = {n: a / self.arterial_volume for n, a in y.arterial.items()}
        venous = {n: a / self.venous_volume for n, a in y.venous.items()}

        def supply(organ: str) -> Flow:
            return Flow(self.perfusion[organ], arterial, self.solutes)

        def perfuse(organs: dict[str, AbstractOrgan], states: Any) -> tuple[dict[str, Any], list[Flow]]:
            out = {n: o.exchange(states[n], supply(n)) for n, o in organs.items()}
            return {n: rate for n, (rate, _) in out.items()}, [f for _, f in out.values()]

        d_tissues, returning = perfuse(self.tissues, y.tissues)
        d_portal, to_liver = perfuse(self.portal, y.portal)
        d_liver, hepatic = self.liver.exchange(y.liver, merge([*to_liver, supply("liver")]))
        bile: Bile | None = getattr(self.liver, "bile", None)
        if bile is not None:
            released, gut = bile.empties(u.liver.meals, y.liver.bile), self._gut()
            stays = {n: r - released[n] for n, r in d_liver.bile.items()}
            d_liver = dataclasses.replace(d_liver, bile=stays)
            d_portal[gut] = self.portal[gut].poured(d_portal[gut], bile.arrives(released))  # type: ignore[attr-defined]
        vein = merge([*returning, hepatic])
        d_lung, oxygenated = self.lung.exchange(y.lung, Flow(vein.rate, venous, self.solutes))
        back, through = vein.flux, oxygenated.flux
        rates = self.State(
            d_tissues,
            d_portal,
            d_liver,
            d_lung,
            {n: through[n] - vein.rate * c for n, c in arterial.items()},
            {n: back[n] - vein.rate * c for n, c in venous.items()},
        )
        return jax.tree.map(operator.add, rates, self.State(**{f: getattr(u, f) for f in vars(rates)}))

    def output(self, t, y, u):
        """Plasma of veins."""
        return self.Output({n: a / self.venous_volume / self.solutes[n].blood_to_plasma for n, a in y.venous.items()})

    def balances(self, t, y, u):
        """Substance is conserved within every family of a drug and what forms from it, urine and faeces included."""
        states = names(jax.eval_shape(self.initial))
        return {
            family[0]: Balance(tuple(s for s in states if s.rsplit(".", 1)[-1] in family)) for family in self.families()
        }

    def families(self) -> list[tuple[str, ...]]:
        """Drugs that are linked by metabolism, or by what bacteria make of bile."""
        formed = [(n, k.metabolite) for n, s in self.solutes.items() for _, k in s.pathways()]
        bile: Bile | None = getattr(self.liver, "bile", None)
        of = {n: {n} for n in self.solutes}
        for one, other in [*formed, *(bile.becomes if bile else ())]:
            if other is not None:
                joined = of[one] | of[other]
                of.update(dict.fromkeys(joined, joined))
        found = {tuple(n for n in self.solutes if n in family): None for family in of.values()}
        return list(found)

    @property
    def cardiac_output(self) -> Any:
        """All arterial flow (L/h)."""
        return sum(self.perfusion.values())

    @classmethod
    def typical(cls):
        """A drug and its metabolite in a few organs of a man."""
        both = ("drug", "metabolite")

        def of(drug: float, metabolite: float) -> dict[str, Any]:
            return {"drug": drug, "metabolite": metabolite}

        enzymes = Enzymes({"cyp3a4": 6.8})
        return cls(
            tissues={
                "adipose": Tissue(15.8, of(3.0, 0.2)),
                "brain": PermeableTissue(1.4, of(0.6, 0.1), of(20.0, 1.0)),
                "kidney": Kidney(0.3, of(1.1, 1.3), 7.5, of(1.0, 1.0), of(0.5, 5.0)),
                "muscle": Tissue(27.9, of(0.7, 0.3)),
            },
            portal={
                "gut": Intestine(
                    1.0, 0.076, 18.0, 4.0, 1.0, 0.48, of(0.8, 0.5), of(3.0, 0.5), of(2.0, 2.0), {},
                    Enzymes({"cyp3a4": 0.07}),
                ),
            },
            liver=Liver(1.7, of(1.2, 0.8), of(5.0, 2.0), enzymes),
            lung=Tissue(0.5, of(0.7, 0.5)),
            perfusion={"adipose": 20.0, "brain": 47.0, "kidney": 74.0, "muscle": 150.0, "gut": 74.0, "liver": 25.0},
            arterial_volume=1.6,
            venous_volume=3.7,
            solutes={
                both[0]: Solute(0.1, 0.7, {"cyp3a4": LinearKinetics(20.0, metabolite=both[1])}),
                both[1]: Solute(0.4, 0.6),
            },
        )  # fmt: skip


def _positive(name: str, value: Any) -> None:
    if isinstance(value, Tracer) or not isinstance(value, jax.Array | np.ndarray | float | int):
        return
    if np.any(~(np.asarray(value) > 0.0)):
        raise ValueError(f"{name} is {float(np.min(np.asarray(value))):g}; volumes and flows are above zero")
