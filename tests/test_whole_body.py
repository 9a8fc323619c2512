"""The whole body: nothing leaks, closed forms hold, enzymes respond as published, and bad bodies are refused in words."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from test_models import ALLOWED, primitives

from twinjax import Exact, Fused, Regimen, people, person, simulate
from twinjax.bodies import DRUGS, Substance, body, library, segmented, with_bile, zoned
from twinjax.bodies.library import itraconazole, midazolam, rifampicin
from twinjax.drugs import Compound, Schmitt
from twinjax.models import check_units
from twinjax.models.base import input_names, no_input, state_names
from twinjax.models.pbpk import (
    ZONES,
    Enzymes,
    Inactivation,
    Induction,
    LinearKinetics,
    MichaelisMenten,
    PermeableLiver,
    PermeableTissue,
    Solute,
    Tissue,
    WholeBody,
)
from twinjax.naming import bind, get, leaves, names
from twinjax.physiology import anatomy, maturity
from twinjax.solve.flat import field, ravel
from twinjax.solve.fused import Rodas5P
from twinjax.solve.simulate import choose, pose

DOSE = "portal.gut.stomach.drug"


def interacting():
    """A victim, a perpetrator that does everything to its enzyme, in liver and gut, and an uptake transporter."""
    plain = WholeBody.typical()
    solutes = {
        "drug": Solute(0.1, 0.7, {"CYP3A4": MichaelisMenten(300.0, 4.0)}),
        "metabolite": Solute(
            0.4, 0.6, {"OATP": LinearKinetics(30.0)}, {"CYP3A4": 0.5},
            {"CYP3A4": Inactivation(2.0, 3.0)}, {"CYP3A4": Induction(5.0, 0.3)},
        ),
    }  # fmt: skip
    both = ("drug", "metabolite")
    liver = PermeableLiver(
        0.8, 1.5, dict.fromkeys(both, 2.0), dict.fromkeys(both, 90.0), dict.fromkeys(both, 3.0),
        Enzymes({"CYP3A4": 6.8}, {"CYP3A4": 0.02}), Enzymes({"OATP": 1.5}),
    )  # fmt: skip
    gut = dataclasses.replace(
        plain.portal["gut"], soluble={"drug": jnp.asarray(0.5)}, enzymes=Enzymes({"CYP3A4": 0.02}, {"CYP3A4": 0.03})
    )
    return dataclasses.replace(plain, solutes=solutes, liver=liver, portal={"gut": gut})


def refined():
    """Seven segments, three zones of unequal share, bile with a meal and a conjugate that bacteria turn back."""
    plain = WholeBody.typical()
    gut = dataclasses.replace(plain.portal["gut"], soluble={"drug": jnp.asarray(0.5)})
    shares = {"cyp3a4": dict(zip(ZONES, (0.2, 0.3, 0.5), strict=True))}
    fine = zoned(segmented(dataclasses.replace(plain, portal={"gut": gut})), shares)
    bile = {"secretion": {"metabolite": 10.0}, "becomes": {"metabolite": "drug"}, "ejection": {"lunch": 3.0}}
    return with_bile(fine, **bile, emptying=0.5)


BODIES = {
    "linear": WholeBody.typical,
    "interacting": interacting,
    "built": lambda: body(person(31.0, "female"), {"midazolam": midazolam(), "rifampicin": rifampicin()}),
    "refined": refined,
    "chain": lambda: body(person(40.0), itraconazole("capsule fed")),
}
every_body = pytest.mark.parametrize("name", [n for n in BODIES if n != "linear"])  # which the registry holds


@pytest.fixture(scope="module")
def made():
    return {n: f() for n, f in BODIES.items()}


def at_random(model, seed=0):
    rng = np.random.default_rng(seed)

    def draw(tree):
        return jax.tree.map(lambda _: jnp.asarray(rng.uniform(0.1, 2.0)), tree)

    return draw(model.initial()), draw(no_input(model))


@every_body
def test_units_close(made, name):
    assert "?" not in check_units(made[name]).values()


@every_body
def test_only_elementwise_arithmetic(made, name):
    y, u = at_random(made[name])
    assert set(primitives(jax.make_jaxpr(made[name].derivative)(0.0, y, u).jaxpr)) <= ALLOWED


@every_body
def test_nothing_leaks(made, name):
    """All that enters a family of drugs is in the body, in urine, in faeces or metabolised: to rounding."""
    model = made[name]
    y, u = at_random(model, 3)
    rates, given = leaves(model.derivative(0.0, y, u)), leaves(u)
    balances = model.balances(0.0, y, u)
    assert sum(len(b.states) for b in balances.values()) == sum(
        "enzymes" not in n and "meals" not in n for n in state_names(model)
    )
    for balance in balances.values():
        changes = [rates[n] for n in balance.weights()]
        entered = [given[n] for n in balance.weights()]
        assert abs(sum(changes) - sum(entered)) <= 1e-12 * max(abs(x) for x in changes)


@every_body
def test_doses_reach_every_state(made, name):
    """Rates with inputs less rates without are the inputs themselves, so that no infusion is lost; but what is eaten
    also empties the gallbladder, and is eaten in both.
    """
    model = made[name]
    assert input_names(model) == state_names(model)
    y, u = at_random(model)
    nothing = bind(u, {n: x if "meals" in n else 0.0 * x for n, x in leaves(u).items()})
    given, quiet = ravel(model.derivative(0.0, y, u)), ravel(model.derivative(0.0, y, nothing))
    np.testing.assert_allclose(given - quiet, ravel(u) - ravel(nothing), atol=1e-12 * float(jnp.abs(given).max()))


def test_no_state_goes_below_zero(made):
    """At zero a state does not fall, whatever the others are."""
    model = made["interacting"]
    flat = ravel(at_random(model)[0])
    rates = jax.jit(lambda v: field(model, 0.0, v, jnp.zeros_like(v)))
    for i in range(len(flat)):
        assert float(rates(flat.at[i].set(0.0))[i]) >= 0.0


def test_gradient_equals_finite_difference(made):
    """In random directions of all parameters of the interacting body, of a smooth scalar of all rates and outputs."""
    model = made["interacting"]
    y, u = at_random(model)
    flat, known = jnp.stack(jax.tree.leaves(model)), names(model)

    @jax.jit
    def scalar(values):
        m = bind(model, dict(zip(known, values, strict=True)))
        return sum(jnp.sin(0.01 * x) for x in jax.tree.leaves((m.derivative(0.0, y, u), m.output(0.0, y, u))))

    gradient = jax.jit(jax.grad(scalar))(flat)
    rng = np.random.default_rng(4)
    for _ in range(5):
        step = 1e-5 * flat * jnp.asarray(rng.normal(size=flat.shape))
        difference = (scalar(flat + step) - scalar(flat - step)) / 2.0
        # central differences of 1e-5 in float64, of a scalar of size 50 (rounding 1e-14)
        np.testing.assert_allclose(gradient @ step, difference, rtol=1e-6, atol=1e-13)


# -------------------------------------------------------------------------------------------------------- closed forms


@pytest.fixture(scope="module")
def single():
    """A drug without metabolite or other loss than the liver's: everything about it is known in closed form."""
    model = WholeBody.typical()
    solutes = {"drug": Solute(0.1, 0.7, {"cyp3a4": LinearKinetics(20.0)}), "metabolite": model.solutes["metabolite"]}
    none, one = jnp.asarray(0.0), jnp.asarray(1.0)
    quiet = dataclasses.replace(
        model.tissues["kidney"], passed={"drug": none, "metabolite": one}, secretion={"drug": none, "metabolite": one}
    )
    liver = dataclasses.replace(model.liver, clint={"drug": none, "metabolite": one})
    return dataclasses.replace(model, solutes=solutes, liver=liver, tissues={**model.tissues, "kidney": quiet})


def test_clearance_and_availability_are_the_well_stirred_ones(single):
    """By vein, by mouth and by infusion: CL = Q fu CLint / (Q + fu CLint), F = Fa Fg Fh with Yang's Qgut."""
    posed = pose(single, Regimen.dose(1.0, into=DOSE), [1.0])
    assert Exact().refusal(posed) is None
    assert choose(posed).method == Rodas5P()  # whose steps cost a fraction of matrix exponentials of this size
    unbound, clint, q = 0.1 / 0.7, 6.8 * 20.0, 74.0 + 25.0
    hepatic = q * unbound * clint / (q + unbound * clint)
    qgut, gut_clint = 18.0, 0.07 * 20.0
    fa, fg, fh = 3.0 / (3.0 + 0.48), qgut / (qgut + gut_clint), 1.0 - hepatic / q
    # Arterial blood too loses unbound drug to enterocytes, of which what it lost never sees the liver.
    by_gut = unbound * qgut * gut_clint / (qgut + gut_clint)
    total = hepatic + by_gut * fh
    regimens = [
        Regimen.dose(10.0, into="venous.drug"),
        Regimen.dose(10.0, into=DOSE),
        Regimen.infusion(3000.0, over=600.0, into="venous.drug"),
    ]
    iv, po, infused = (simulate(single, r, [599.0], backend=Exact(), throw=True) for r in regimens)
    lost = float(iv.state.portal["gut"].metabolised["drug"][0, 0]) / 10.0
    np.testing.assert_allclose(po.state.portal["gut"].faeces["drug"][0, 0] / 10.0, 1.0 - fa, rtol=1e-9)
    np.testing.assert_allclose(lost, by_gut / total, rtol=1e-9)
    orally = float(po.state.portal["gut"].metabolised["drug"][0, 0]) / 10.0
    np.testing.assert_allclose(orally, fa * (1.0 - fg + fg * fh * lost), rtol=1e-9)
    np.testing.assert_allclose(infused.output.plasma["drug"][0, 0] * 0.7, 5.0 / total, rtol=1e-9)


def test_a_permeable_tissue_is_perfused_where_its_membrane_is_no_barrier(made):
    model = made["linear"]
    kp = {"drug": 0.6, "metabolite": 0.1}
    tight = {**model.tissues, "brain": Tissue(jnp.asarray(1.4), jax.tree.map(jnp.asarray, kp))}
    open_ = {
        **model.tissues,
        "brain": PermeableTissue(jnp.asarray(1.4), jax.tree.map(jnp.asarray, kp), dict.fromkeys(kp, jnp.asarray(1e12))),
    }
    y, u = at_random(model)
    a, b = (dataclasses.replace(model, tissues=t).derivative(0.0, y, u) for t in (tight, open_))
    for x, z in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, z, rtol=1e-9, atol=1e-9)  # the membrane still holds 1e-10 of the flow


def test_enzymes_settle_where_the_static_equations_say():
    """E = (1 + sum Emax C / (EC50 + C)) / (1 + sum kinact C / (KI + C) / kdeg); Km (1 + sum C / Ki)."""
    enzymes = Enzymes({"CYP3A4": 2.0}, {"CYP3A4": 0.02})
    solutes = {
        "victim": Solute(0.1, 1.0, {"CYP3A4": MichaelisMenten(100.0, 4.0)}),
        "a": Solute(0.1, 1.0, inhibits={"CYP3A4": 0.5}, induces={"CYP3A4": Induction(9.0, 0.34)}),
        "b": Solute(0.1, 1.0, inhibits={"CYP3A4": 2.0}, inactivates={"CYP3A4": Inactivation(1.5, 3.0)}),
        "c": Solute(0.1, 1.0, induces={"CYP3A4": Induction(2.0, 1.0)}, inactivates={"CYP3A4": Inactivation(0.1, 0.2)}),
    }
    unbound = {"victim": 1.0, "a": 0.8, "b": 0.3, "c": 2.0}
    made_ = 1.0 + 9.0 * 0.8 / 1.14 + 2.0 * 2.0 / 3.0
    lost = 1.0 + (1.5 * 0.3 / 3.3 + 0.1 * 2.0 / 2.2) / 0.02
    settled = made_ / lost
    met = enzymes.rates({"CYP3A4": settled}, unbound, solutes)
    assert abs(float(met.enzymes["CYP3A4"])) < 1e-15
    expected = 2.0 * settled * 100.0 * 1.0 / (4.0 * (1.0 + 0.8 / 0.5 + 0.3 / 2.0) + 1.0)
    np.testing.assert_allclose(met.lost["victim"], expected, rtol=1e-14)
    solutes["b"] = Solute(0.1, 1.0, inhibits={"CYP3A4": 2.0}, noncompetitive={"CYP3A4": 0.6})
    slower = enzymes.rates({"CYP3A4": settled}, unbound, solutes).lost["victim"]
    np.testing.assert_allclose(slower, expected / (1.0 + 0.3 / 0.6), rtol=1e-14)
    np.testing.assert_allclose(met.gone["victim"], expected, rtol=1e-14)


def test_one_enzyme_may_make_two_things_of_a_drug():
    """Michaelis-Menten of each, one of them followed; a body conserves the family of both."""
    paths = (MichaelisMenten(100.0, 4.0, metabolite="n"), MichaelisMenten(50.0, 9.0))
    solutes = {"p": Solute(0.1, 1.0, {"CYP3A4": paths}), "n": Solute(0.2, 1.0)}
    met = Enzymes({"CYP3A4": 2.0}).rates({}, {"p": 3.0, "n": 1.0}, solutes)
    formed, gone = 2.0 * 100.0 * 3.0 / 7.0, 2.0 * 50.0 * 3.0 / 12.0
    np.testing.assert_allclose([met.gained["n"], met.gone["p"]], [formed, gone], rtol=1e-14)
    np.testing.assert_allclose(met.lost["p"], formed + gone, rtol=1e-14)
    both = body(person(30.0), library.verapamil())
    assert {frozenset(f) for f in both.families()} == {frozenset((f"{x}_verapamil", f"{x}_norverapamil")) for x in "rs"}
    kcat = "solutes.r_verapamil.kinetics.CYP3A4.1.kcat"
    np.testing.assert_allclose(leaves(both)[kcat], 43.98123 * 60.0, rtol=1e-12)


def test_tight_enterocytes_hold_drugs_back(single):
    """Fg = Q / (Q + CLint) with Yang's Qgut, Q = villous P / (villous + P), and Fa of what returns to the lumen.

    What reaches the blood is shared out as a dose by vein is: 0.2 % of it ends in enterocytes, 5e-5 in faeces.
    """
    gut = dataclasses.replace(single.portal["gut"], fluid=jnp.asarray(0.1))
    model = dataclasses.replace(single, portal={"gut": gut})
    p, clint = 3.0 * 0.1, 0.07 * 20.0
    q = 18.0 * p / (18.0 + p)
    ka = 3.0 * (1.0 - p / (p + q + clint))  # what is absorbed and stays absorbed
    given = [Regimen.dose(10.0, into=into) for into in (DOSE, "venous.drug")]
    gut = simulate(model, given, [599.0], backend=Exact(), throw=True).state.portal["gut"]
    (faeces, faeces_iv), (lost, lost_iv) = gut.faeces["drug"][:, 0] / 10.0, gut.metabolised["drug"][:, 0] / 10.0
    fa, fg, fh = ka / (ka + 0.48), q / (q + clint), 99.0 / (99.0 + 0.1 / 0.7 * 6.8 * 20.0)
    np.testing.assert_allclose(lost - fa * fg * fh * lost_iv, fa * (1.0 - fg), rtol=1e-9)
    np.testing.assert_allclose(faeces - fa * fg * fh * faeces_iv, 1.0 - fa, rtol=1e-9)
    assert 0.001 < lost_iv < 0.003


def test_charge_keeps_a_base_out_of_cells():
    """PK-Sim's charge-dependent permeability: of pKa 8.88 at pH 7.4 3.2 % are neutral, the rest a thousandth as fast."""
    free = library.erythromycin()
    slow, fast = free.cell_permeability, dataclasses.replace(free, charged=1.0).cell_permeability
    neutral = 1.0 / (1.0 + 10.0 ** (8.88 - 7.4))
    np.testing.assert_allclose(slow / fast, neutral + 1e-3 * (1.0 - neutral), rtol=1e-12)
    made = body(person(30.0), {"erythromycin": free}).liver
    assert isinstance(made, PermeableLiver)
    np.testing.assert_allclose(made.uptake.amount["OATP1B1"], made.cells * 1.0, rtol=1e-12)


def test_the_interacting_body_against_scipy(made):
    model = made["interacting"]
    times = np.array([0.5, 2.0, 6.0, 24.0, 100.0])
    regimen = Regimen.dose(20.0, into=DOSE) + Regimen.dose(30.0, into="venous.metabolite")
    found = simulate(model, regimen, times, backend=Fused(rtol=1e-9, atol=1e-10), throw=True)
    start = model.initial()
    start = bind(start, {DOSE: 20.0, "venous.metabolite": 30.0})
    rhs = jax.jit(lambda v: field(model, 0.0, v, jnp.zeros_like(v)))
    jacobian = jax.jit(jax.jacfwd(rhs))
    y0 = np.asarray(ravel(start))
    solved = solve_ivp(
        lambda t, v: np.asarray(rhs(v)), (0.0, 100.0), y0, "LSODA", times, jac=lambda t, v: np.asarray(jacobian(v)),
        rtol=1e-10, atol=1e-11,
    )  # fmt: skip
    ours = np.stack([np.asarray(x[0]) for x in jax.tree.leaves(found.state)])
    np.testing.assert_allclose(ours, solved.y, rtol=1e-6, atol=1e-7)  # two solvers, at 1e-9 and 1e-10
    enzyme = np.asarray(found.state.liver.enzymes["CYP3A4"][0])
    assert enzyme[2] < 0.6 < 0.8 < enzyme[-1]  # inactivated, and made again


# ------------------------------------------------------------------------------------------------------------- building


def test_a_built_body_has_the_persons_organs_and_flows(made):
    who = person(31.0, "female")
    own, model = anatomy(who), made["built"]
    np.testing.assert_allclose(model.cardiac_output, own.cardiac_output, rtol=1e-12)
    np.testing.assert_allclose(get(model, "tissues.muscle.volume"), own.volumes["muscle"], rtol=1e-12)
    # rifampicin is taken up: the liver has a membrane, and its enzymes turn over in both tissues
    assert {"CYP3A4", "AADAC", "OATP1B1"} <= set(model.liver.initial().enzymes)
    assert "AADAC" in model.portal["small_intestine"].initial().enzymes
    alone = body(who, {"midazolam": midazolam()})
    assert alone.liver.initial().enzymes == {}


def test_people_are_bodies_of_their_own():
    """The body of many is that of each: every leaf, and blood that adds up in all."""
    drug = Substance(Compound(log_p=1.5, fu=0.3), 300.0, clint=40.0, ka=1.0)
    group = people(3, seed=2)
    together = body(group, {"drug": drug})
    second = body(jax.tree.map(lambda x: x[1] if jnp.ndim(x) else x, group), {"drug": drug})
    for name, many in leaves(together).items():
        np.testing.assert_allclose(many[1] if jnp.ndim(many) else many, get(second, name), rtol=1e-13, err_msg=name)
    np.testing.assert_allclose(together.cardiac_output, group.body.cardiac_output, rtol=1e-13)


def test_failing_kidneys_filter_in_proportion():
    drug = Substance(Compound(log_p=-1.0, fu=0.9), 300.0, ka=1.0)
    well = body(person(40.0), {"drug": drug})
    with pytest.warns(UserWarning, match=r"outside the context of use: kidney function of 0\.225"):
        ill = body(person(40.0, kidney=0.225), {"drug": drug})
    y, u = at_random(well)
    rates = [float(get(m.derivative(0.0, y, u), "urine.drug") - get(u, "urine.drug")) for m in (well, ill)]
    np.testing.assert_allclose(rates[1], 0.225 * rates[0], rtol=1e-12)


def test_children_have_immature_enzymes_and_a_warning():
    with pytest.warns(UserWarning, match="age years of 1: compared with data at 18 to 65 only"):
        child = body(person(1.0), {"midazolam": midazolam()})
    adult = body(person(30.0), {"midazolam": midazolam()})
    per_mass = [get(b, "liver.enzymes.amount.CYP3A4") / get(b, "liver.volume") for b in (child, adult)]
    np.testing.assert_allclose(per_mass[0] / per_mass[1], maturity("CYP3A4", person(1.0)), rtol=1e-12)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda b: dataclasses.replace(b, perfusion={**b.perfusion, "spleen": jnp.asarray(3.0)}), "leads to no organ"),
        (lambda b: dataclasses.replace(b, perfusion={n: q for n, q in b.perfusion.items() if n != "brain"}), "brain has no flow"),
        (lambda b: dataclasses.replace(b, perfusion={**b.perfusion, "gut": jnp.asarray(-3.0)}), "gut is -3; volumes and flows"),
        (lambda b: dataclasses.replace(b, venous_volume=jnp.asarray(0.0)), "is 0; volumes and flows are above zero"),
        (
            lambda b: dataclasses.replace(b, lung=Tissue(jnp.asarray(-1.0), b.lung.kp)),
            "volume is -1; volumes and flows are above zero",
        ),
        (lambda b: dataclasses.replace(b, lung=Tissue(jnp.asarray(1.0), {"drug": jnp.asarray(1.0)})), "lung does not know the drug 'metabolite'"),
        (
            lambda b: dataclasses.replace(b, solutes={**b.solutes, "drug": Solute(0.1, 0.7, {"x": LinearKinetics(1.0, metabolite="m3")})}),
            "forms 'm3' by x, which is no drug of this body",
        ),
    ],
)  # fmt: skip
def test_bad_bodies_are_refused_in_words(made, wrong, says):
    with pytest.raises(ValueError, match=says):
        wrong(made["linear"])


def test_bad_ingredients_are_refused_in_words():
    who, drug = person(), Substance(Compound(log_p=1.5, fu=0.3), 300.0)
    own = anatomy(who)
    leaky = eqx.tree_at(lambda a: a.flows["muscle"], own, own.flows["muscle"] - 20.0)
    with pytest.raises(ValueError, match=r"add up to 370 L/h, not to the cardiac output of 390"):
        body(who, {"drug": drug}, organs=leaky, cardiac_output=own.cardiac_output)
    with pytest.raises(ValueError, match="the mass of brain is 0; it must be above zero"):
        body(who, {"drug": drug}, organs=eqx.tree_at(lambda a: a.masses["brain"], own, jnp.asarray(0.0)))
    with pytest.raises(ValueError, match="at least one drug"):
        body(who, {})
    base = Substance(Compound(log_p=1.5, fu=0.3, bases=9.0), 300.0)
    with pytest.raises(ValueError, match=r"needs blood_to_plasma of a base.*do without it"):
        body(who, {"drug": base})
    odd = Substance(Compound(log_p=1.5, fu=0.3), 300.0, kinetics={"CYP9X": LinearKinetics(1.0)})
    with pytest.raises(
        ValueError, match=r"CYP9X, whose abundance is not known; add it to abundance, or give its clearance"
    ):
        body(who, {"drug": odd})
    with pytest.raises(ValueError, match=r"molar_mass is 0\.3; give it in g/mol"):
        Substance(Compound(log_p=1.5, fu=0.3), 0.3)
    with pytest.raises(ValueError, match="clint is -1; it cannot be negative"):
        Substance(Compound(log_p=1.5, fu=0.3), 300.0, clint=-1.0)
    for several in (itraconazole, library.verapamil):
        with pytest.raises(ValueError, match=f"no formulation 'syrup' of {several.__name__}"):
            several("syrup")
    with pytest.raises(ValueError, match="segments of the gut know no membranes that hold drugs back"):
        segmented(body(who, {"drug": drug}, tight=True))
    with pytest.raises(ValueError, match=r"charged is 2; a fraction lies above 0 and is at most 1"):
        dataclasses.replace(drug, charged=2.0)


def test_a_dose_in_milligrams():
    np.testing.assert_allclose(midazolam().umol(3.2578), 10.0, rtol=1e-12)
    with pytest.warns(
        UserWarning, match="outside the context of use: dose mg of 900: compared with data at 2 to 600 only"
    ):
        rifampicin().umol(900.0)
    with pytest.warns(UserWarning, match="dose mg of nan: compared with data at 2 to 600 only"):
        rifampicin().umol(float("nan"))
    for name, context in DRUGS.items():  # whose ends are inside in single precision too, what is 1e-5 beyond is not
        low, high = context.ranges["dose_mg"]
        assert context.outside(dose_mg=np.array([low, high], np.float32)) == (), name
        for far in (low * (1.0 - 1e-5), high * (1.0 + 1e-5)):
            assert len(context.outside(dose_mg=far)) == 1, name


def test_a_context_of_use_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="there is no context of use 'midazolan'; did you mean 'midazolam'"):
        dataclasses.replace(midazolam(), context="midazolan")


def test_every_drug_of_the_library_has_a_context_of_use():
    for name in library.__all__:
        if name not in ("ITRACONAZOLE", "VERAPAMIL"):
            made = getattr(library, name)()
            drug = made if isinstance(made, Substance) else next(iter(made.values()))
            assert drug.context == name
            assert "Reference" in getattr(library, name).__doc__
            assert "dose_mg" in DRUGS[name].ranges


def test_a_solution_meets_the_fluid_of_a_segment_what_dissolves_slowly_that_of_all(made):
    fluid = {
        f: body(person(40.0), itraconazole(f"{f} fasted")).portal["small_intestine"] for f in ("solution", "capsule")
    }
    most = {f: float(g.meets["itraconazole"] * g.soluble["itraconazole"]) for f, g in fluid.items()}
    np.testing.assert_allclose(most["solution"] / 8.0 * 5.0, most["capsule"] / 0.9728, rtol=1e-12)


def test_a_drug_may_bring_its_own_method_of_partition():
    drug = Substance(Compound(log_p=2.0, fu=0.2), 300.0)
    other = dataclasses.replace(drug, method=Schmitt())
    both = body(person(30.0), {"drug": drug, "other": other})
    alone = body(person(30.0), {"other": drug}, method=Schmitt())
    kp = both.tissues["muscle"].kp
    np.testing.assert_allclose(kp["other"], alone.tissues["muscle"].kp["other"], rtol=1e-12)
    assert abs(kp["drug"] / kp["other"] - 1.0) > 0.01
