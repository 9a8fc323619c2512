"""Tables of drugs are read or refused in words; classes of risk are the FDA's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from twinjax.electrophysiology.drugs import Drug, Hill
from twinjax.electrophysiology.risk import MANUAL, OrdinalLogistic, fit_ordinal
from twinjax.io.drugs import read_binding_samples, read_block, read_drugs, read_hill_samples
from twinjax.io.problems import DataError
from twinjax.models.heart.herg import Binding

CMAX = "drug,Cmax_free_nM,CiPA\na,10,2\nb,3,\n"
HILL = "drug,hERG_IC50,hERG_h,ICaL_IC50,ICaL_h\na,50,0.9,NA,NA\nb,70,1.1,500,0.7\n"
BINDING = "drug,Kmax,Ku,n,halfmax,Vhalf\na,35.1,1.816e-05,1.08,216.6,-1\nb,10,1e-3,1,100,-80\n"


@pytest.fixture
def tables(tmp_path):
    def write(cmax=CMAX, hill=HILL, binding=BINDING):
        paths = [tmp_path / n for n in ("cmax.csv", "hill.csv", "binding.csv")]
        for path, text in zip(paths, (cmax, hill, binding), strict=True):
            path.write_text(text)
        return paths

    return write


def test_the_28_drugs_are_read(shared_data):
    folder = shared_data / "physiology/heart_cipa"
    drugs = read_drugs(
        folder / "cmax_28drugs_class_of_training12.csv",
        folder / "hill_IC50_28drugs_manual_chantest_2020.csv",
        folder / "herg_dynamic_pars_28drugs_2020.csv",
    )
    assert len(drugs) == 28
    assert sum(d.risk is not None for d in drugs.values()) == 12
    dofetilide = drugs["dofetilide"]
    assert (dofetilide.cmax, dofetilide.risk) == (2.0, 2)
    assert (dofetilide.blocks["hERG"].ic50, dofetilide.blocks["hERG"].h) == (13.63, 1.283)
    assert dofetilide.binding.ec50 == pytest.approx(1e-6 * 216.6 ** (1 / 1.08))
    # 2017's table writes NA
    early = read_drugs(
        folder / "cmax_28drugs_class_of_training12.csv",
        folder / "hill_IC50_12training_v1_2017.csv",
        folder / "herg_dynamic_pars_12training_v1_2017.csv",
        only=["dofetilide"],
    )
    assert "IKs" not in early["dofetilide"].blocks
    assert early["dofetilide"].blocks["IK1"].ic50 == 394.4


def test_samples_and_block_are_read(shared_data):
    folder = shared_data / "physiology/heart_cipa"
    hill = read_hill_samples(folder / "hill_block_training12/dofetilide_IC50_samples.csv.gz")
    binding = read_binding_samples(folder / "herg_bootstrap_training12/dofetilide_boot_pars.csv.gz")
    assert hill["hERG"].shape == (2000, 2)
    assert "IKs" not in hill  # NA throughout
    assert binding.ku.shape == (2000,)
    block = read_block(folder / "hill_block_training12/drug_block.csv")
    assert len(block["quinidine", "hERG"][0]) == 17
    drug = Drug("dofetilide", 2.0, {"hERG": Hill(6.125, 1.079), "ICaL": Hill(260.3, 1.163)}, Binding())
    drawn = drug.sampled({"hERG": hill["hERG"]}, binding, 5)
    assert drawn.draws == 5
    assert np.all(drawn.blocks["ICaL"].ic50 == 260.3)
    assert len(set(np.asarray(drawn.binding.ku))) > 1


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("hill", HILL.replace("ICaL_", "ICa_"), r"column ICa_IC50: there is no current 'ICa'; did you mean 'ICaL'"),
        ("hill", HILL.replace("50,0.9", "0,0.9"), r"row 2, column hERG_IC50: is not above zero"),
        ("hill", HILL.replace("50,0.9", "-3,0.9"), r"row 2, column hERG_IC50: is not above zero"),
        ("hill", HILL.replace("50,0.9", "fifty,0.9"), r"row 2, column hERG_IC50: is not a number"),
        ("hill", HILL.replace("50,0.9", "50,NA"), r"needs both hERG_IC50 and hERG_h"),
        ("hill", HILL.replace(",ICaL_h", "").replace(",NA\n", "\n").replace(",0.7", ""), "without ICaL_h"),
        ("hill", HILL.replace("hERG_h", "hERG_slope"), "column hERG_slope: is neither"),
        ("hill", HILL + "b,1,1,1,1\n", "row 4, subject b: this drug has a row already"),
        ("cmax", CMAX.replace("b,3", "bb,3"), "subject b: .* has no free concentration of it; did you mean 'bb'"),
        ("cmax", CMAX.replace("a,10", "a,0"), "row 2, column Cmax_free_nM: is not above zero"),
        ("cmax", CMAX.replace("Cmax_free_nM", "dose"), "no column of free concentrations"),
        ("cmax", CMAX.replace("10,2", "10,7"), "column CiPA: is not 0, 1, 2 or missing"),
        ("binding", BINDING.replace("b,10", "c,10"), "subject b: .* has no binding of it"),
        ("binding", BINDING.replace("Vhalf", "V"), "there is no column 'Vhalf'"),
        ("binding", BINDING.replace("drug,", "name,"), "there is no column 'drug'"),
    ],
)
def test_a_bad_table_is_refused_in_words(tables, table, text, message):
    with pytest.raises(DataError, match=message):
        read_drugs(*tables(**{table: text}))


def test_an_unknown_drug_is_named(tables):
    with pytest.raises(DataError, match="there is no drug 'aa'"):
        read_drugs(*tables(), only=["aa"])


@pytest.mark.parametrize("cmax", ["10000", "1e7", "0.0001"])
def test_a_concentration_off_by_a_thousand_warns(tables, cmax):
    with pytest.warns(UserWarning, match="a: a free concentration of .* is it in nM"):
        read_drugs(*tables(cmax=CMAX.replace("a,10", f"a,{cmax}")))


def test_a_drug_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="x: there is no current 'herg'; did you mean 'hERG'"):
        Drug("x", 1.0, {"herg": Hill(3.0)})
    with pytest.raises(ValueError, match="x: the IC50 of hERG is 0"):
        Drug("x", 1.0, {"hERG": Hill(0.0)})
    with pytest.raises(ValueError, match="x: cmax is -1"):
        Drug("x", -1.0, {})


def test_no_drug_blocks_nothing_and_has_finite_slopes():
    value, slopes = jax.value_and_grad(lambda h: h.left(0.0))(Hill(jnp.asarray(3.0), jnp.asarray(0.5)))
    assert float(value) == 1.0
    assert all(jnp.isfinite(x) for x in jax.tree.leaves(slopes))
    assert float(Hill(3.0, 2.0).left(3.0)) == 0.5


def test_thresholds_are_the_fdas():
    """0.05364 and 0.06832, as the FDA prints them."""
    high, low = MANUAL.thresholds
    assert (round(high, 5), round(low, 5)) == (0.05364, 0.06832)
    for score, classes in ((high, (1, 2)), (low, (0, 1))):
        p = MANUAL.probabilities(score)
        assert float(p[classes[0]]) == pytest.approx(float(p[classes[1]]), rel=1e-10)
        assert float(p.sum()) == pytest.approx(1.0)
    assert [int(MANUAL.classify(s)) for s in (0.05, 0.06, 0.07)] == [2, 1, 0]
    assert all(np.isnan(OrdinalLogistic(1.0, 0.9, -3.0).thresholds))


def test_ordinal_regression_is_that_of_r():
    """MASS::polr 7.3-58 of R 4.2.2 on the same rows."""
    score = [0.0434, 0.0655, 0.0604, 0.0723, 0.0512, 0.0930, 0.0631, 0.0518, 0.0768, 0.0557, 0.0614, 0.0716, 0.060, 0.072,
             0.058, 0.066]  # fmt: skip
    risk = [2, 1, 1, 0, 2, 0, 1, 2, 0, 2, 1, 0, 2, 1, 1, 0]
    found = fit_ordinal(score, risk)
    # polr stops at a relative change of the deviance of 1e-8
    assert float(found.a1) == pytest.approx(32.0627752825, rel=1e-4)
    assert float(found.a2) == pytest.approx(27.0541055749, rel=1e-4)
    assert float(found.slope) == pytest.approx(-466.531667119, rel=1e-4)


def test_ordinal_regression_says_what_it_cannot_fit():
    with pytest.raises(ValueError, match="no drug of high risk"):
        fit_ordinal([0.05, 0.06, 0.07], [1, 1, 0])
    with pytest.raises(ValueError, match="separate the classes"):
        fit_ordinal([0.03, 0.04, 0.05, 0.06, 0.07, 0.08], [2, 2, 1, 1, 0, 0])
