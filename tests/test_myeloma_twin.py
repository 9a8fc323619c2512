"""From cells in a dish to the patient: clones and their drug response become the prior of a twin fed by M-protein."""

import dataclasses

import jax.numpy as jnp
import numpy as np

import twinjax as tj
from twinjax.assays import Clones
from twinjax.models import Molar, MyelomaClones, OneCompartment, coupled

DAY = 24.0


FOUND = Clones(*(jnp.asarray(x) for x in ([0.8, 0.2], [0.02, 0.015], [0.955, 0.985], [0.3, 5.0], [2.0, 3.0])))
"""What `find_clones` gives of a marrow sample: two clones, one to four, whose growth a drug slows (umol/L)."""


def test_what_the_dish_showed_is_the_patients_prior():
    """The dish said a fifth is resistant; from M-protein the twin learns this patient's three fifths, and the relapse."""
    slow = {"growth_s": 0.0175 / DAY, "growth_r": 0.03 / DAY, "induced": 0.0}  # marrow, not dish
    prior = MyelomaClones.from_clones(FOUND, cells=1000.0, **slow)
    for i, end in enumerate("sr"):
        assert all(getattr(prior, f"{n}_{end}") == getattr(FOUND, n)[i] for n in ("survival", "ec50", "hill"))
    steady = OneCompartment(cl=1e-30, v=1.0)  # an infusion that holds 0.3 umol/L
    both = coupled({"myeloma.concentration": Molar("pk.plasma", 0.5)}, pk=steady, myeloma=prior)
    population = tj.Population(
        both, variability={"myeloma.resistant": tj.LogitScale(1.5)}, fixed=["myeloma.induced"],
        residual={"myeloma.protein": tj.Proportional(0.05)},
    )  # fmt: skip
    doses = tj.Regimen.dose(0.15, into="pk.central")
    patient = dataclasses.replace(both, myeloma=dataclasses.replace(prior, resistant=0.6))
    seen, later = np.arange(0.0, 64.0, 7.0) * DAY, np.array([180.0]) * DAY
    serum = np.asarray(tj.simulate(patient, doses, np.concatenate([seen, later])).output.myeloma.protein)[0]
    measured = serum[: len(seen)] * np.random.default_rng(3).normal(1.0, 0.05, len(seen))
    twin = tj.Twin.of(population, doses=doses, method=tj.EnsembleKalman())
    learnt = tj.assimilate(twin, tj.Measurements.of(seen, measured, output="myeloma.protein"))
    own = learnt.parameters.loc["myeloma.resistant"]
    assert own["lower"] < 0.6 < own["upper"]
    assert own["upper"] - own["lower"] < 0.3  # 0.6 wide without data, for a logit's sd of 1.5
    ahead = tj.forecast(learnt, later, draws=50).predicted["myeloma.protein"][:, 0]
    low, high = np.quantile(ahead, [0.05, 0.95])
    assert low < serum[-1] < high
