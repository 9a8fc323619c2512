"""Drugs for a permeability-limited brain, from a TOML file: kinetics, binding, permeabilities, and the dose."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from twinjax.dosing import Regimen
from twinjax.drugs.compound import check_fraction
from twinjax.drugs.ionisation import ionised_to_neutral
from twinjax.models import REGISTRY, coupled
from twinjax.models.base import AbstractModel, output_names
from twinjax.models.brain.brain import Barriers, BrainAnatomy, PermeabilityLimitedBrain
from twinjax.naming import suggestion

WEIGHT = 73.0
"""kg, of the man whose brain it is."""

_PH = (7.4, 7.3, 7.0, 7.3)
"""Blood, extracellular fluid, cells, cerebrospinal fluid."""


@dataclasses.dataclass(frozen=True)
class BrainDrug:
    """A drug in plasma and brain.

    **Parameters**: `kinetics`, the model of plasma; `binding`, numbers by name; `ps_bbb` (L/h) by source; `regimen`;
    `hours` to simulate.
    """

    name: str
    kinetics: AbstractModel
    binding: Mapping[str, Any]
    ps_bbb: Mapping[str, float]
    regimen: Regimen
    hours: float

    def model(self, source: str = "optimized") -> AbstractModel:
        """Plasma and the brain it drives, ``pk`` and ``brain``, at the permeability of one source.

        **Raises** `ValueError` for a source that is not listed.
        """
        if source not in self.ps_bbb:
            raise ValueError(f"{self.name} has no ps_bbb of {source!r}{suggestion(source, self.ps_bbb)}")
        b = self.binding
        acids, bases = tuple(b.get("acids", ())), tuple(b.get("bases", ()))
        neutral = tuple(1.0 / (1.0 + ionised_to_neutral(acids, bases, ph)) for ph in _PH)
        drug = Barriers.of(
            self.ps_bbb[source], neutral=neutral, unbound_icf=b["unbound_icf"],
            unbound_ecf=b.get("unbound_ecf", 1.0), unbound_csf=b.get("unbound_csf", 1.0),
        )  # fmt: skip
        brain = PermeabilityLimitedBrain(
            BrainAnatomy.man(), drug, perfusion=46.8, fu=b["fu"], blood_to_plasma=b["blood_to_plasma"]
        )
        return coupled({"brain.plasma": "pk.plasma"}, pk=self.kinetics, brain=brain)


def read_brain_drugs(path: str | Path | None = None) -> dict[str, BrainDrug]:
    """Every drug of a TOML file, by name; the six that ship with twinjax where no file is named.

    The shipped file, ``twinjax/datasets/brain_drugs.toml``, says what a section holds.
    **Raises** `ValueError`, naming drug and key, for what is missing, unknown, or no fraction.
    """
    text = (
        (resources.files("twinjax.datasets") / "brain_drugs.toml").read_text(encoding="utf-8")
        if path is None
        else Path(path).read_text(encoding="utf-8")
    )
    return {name: _drug(name, table) for name, table in tomllib.loads(text).items()}


_SECTIONS = {"dose", "over", "into", "hours", "kinetics", "scaling", "binding", "ps_bbb"}
_BINDING = {"fu", "blood_to_plasma", "unbound_icf", "unbound_ecf", "unbound_csf", "acids", "bases"}


def _drug(name: str, table: Mapping[str, Any]) -> BrainDrug:
    _known(name, table, _SECTIONS, {"dose", "into", "hours", "kinetics", "binding", "ps_bbb"})
    _known(f"{name}.binding", table["binding"], _BINDING, {"fu", "blood_to_plasma", "unbound_icf"})
    for key, value in table["binding"].items():
        if key not in ("blood_to_plasma", "acids", "bases"):
            check_fraction(f"{name}.binding.{key}", value)
    dose = {"over": table["over"]} if "over" in table else {}
    give = Regimen.infusion if dose else Regimen.dose
    regimen = give(table["dose"], into=f"pk.{table['into']}", **dose)
    kinetics = _kinetics(name, table["kinetics"], table.get("scaling", {}))
    return BrainDrug(name, kinetics, table["binding"], table["ps_bbb"], regimen, table["hours"])


def _kinetics(name: str, table: Mapping[str, Any], scaling: Mapping[str, float]) -> AbstractModel:
    models = {cls.__name__: cls for cls in REGISTRY}
    chosen = table.get("model")
    if chosen not in models or "plasma" not in output_names(models[chosen].typical()):
        raise ValueError(f"{name}.kinetics: no model {chosen!r} of plasma{suggestion(str(chosen), models)}")
    values = {k: v for k, v in table.items() if k != "model"}
    _known(f"{name}.scaling", scaling, {"reference", *values}, {"reference"} if scaling else set())
    ratio = WEIGHT / scaling["reference"] if scaling else 1.0
    cls = models[chosen]
    fields = {f.name: f.default is dataclasses.MISSING for f in dataclasses.fields(cls)}
    _known(f"{name}.kinetics", values, set(fields), {f for f, needed in fields.items() if needed})
    return cls(**{k: v * ratio ** scaling.get(k, 0.0) for k, v in values.items()})


def _known(where: str, table: Mapping[str, Any], known: set[str], needed: set[str]) -> None:
    for key in table:
        if key not in known:
            raise ValueError(f"{where} has no {key!r}{suggestion(key, sorted(known))}")
    missing = sorted(needed - set(table))
    if missing:
        raise ValueError(f"{where} needs {', '.join(missing)}")
