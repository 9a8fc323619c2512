"""What reaches the brain: highest concentrations and areas in its fluids, drug by drug and source by source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from twinjax.context.statements import BRAIN
from twinjax.exposure.metrics import area
from twinjax.io.brain import BrainDrug
from twinjax.solve.simulate import simulate

STEP = 0.1
"""h between samples."""

_SITES = {"plasma": "pk.plasma", "ecf": "brain.ecf", "icf": "brain.icf", "cranial_csf": "brain.cranial_csf",
          "spinal_csf": "brain.spinal_csf"}  # fmt: skip


def brain_metrics(drugs: Mapping[str, BrainDrug], step: float = STEP) -> pd.DataFrame:
    """A row for every drug, source of its permeability, and site.

    Columns: drug, source, ps_bbb (L/h), site, cmax (mg/L), tmax (h), auc (mg h/L, by trapezoids from the dose to the
    end), and kp_uu: the area of unbound drug at the site over that in plasma (at plasma itself 1; for fluids whose
    fraction unbound is known); outside, what lies beyond the range in which the
    brain was compared with data (`CONTEXTS["brain"]`).
    **Warns** of times beyond it, as `Barriers.of` does of permeabilities.
    """
    for drug in drugs.values():
        BRAIN.warn(hours=drug.hours)
    rows = [row for drug in drugs.values() for source in drug.ps_bbb for row in _rows(drug, source, step)]
    return pd.DataFrame(rows)


def _rows(drug: BrainDrug, source: str, step: float) -> list[dict[str, Any]]:
    time = np.arange(0.0, drug.hours + 0.5 * step, step)
    model = drug.model(source)
    output = simulate(model, drug.regimen, time, throw=True).output
    unbound = {"plasma": drug.binding["fu"], "ecf": drug.binding.get("unbound_ecf", 1.0),
               "icf": drug.binding["unbound_icf"], "cranial_csf": drug.binding.get("unbound_csf", 1.0),
               "spinal_csf": drug.binding.get("unbound_csf", 1.0)}  # fmt: skip
    outside = "; ".join(BRAIN.outside(ps_bbb=drug.ps_bbb[source], hours=drug.hours))
    found, plasma = [], None
    for site, name in _SITES.items():
        part, field = name.split(".")
        curve = np.asarray(getattr(getattr(output, part), field))[0]
        auc = float(area(time, curve))
        plasma = unbound[site] * auc if plasma is None else plasma
        peak = int(curve.argmax())
        found.append(
            {"drug": drug.name, "source": source, "ps_bbb": drug.ps_bbb[source], "site": site, "cmax": curve[peak],
             "tmax": time[peak], "auc": auc, "kp_uu": unbound[site] * auc / plasma, "outside": outside}
        )  # fmt: skip
    return found
