"""What organ and drug models may be asked, and why to believe them: contexts of use, as ASME V&V 40 has them."""

from __future__ import annotations

import math

from twinjax.context.use import ContextOfUse

BRAIN = ContextOfUse(
    question=(
        "How much of a small molecule, given once, reaches the extracellular and the spinal fluid of an adult's brain?"
    ),
    use=(
        "Exposure (Cmax, AUC, Kp,uu) in five spaces of `PermeabilityLimitedBrain`, driven by plasma, from "
        "binding and the permeability-surface product of the blood-brain barrier."
    ),
    risk=(
        "A wrong answer misguides the choice of a dose or a candidate before trials; one of several lines of evidence."
    ),
    verification=(
        "Every exposure metric of paracetamol, ibuprofen and mannitol that another program lists, within "
        "2e-5; mass balance; Kp,uu in closed form, with active transport."
    ),
    validation=(
        "Spinal fluid of patients: geometric mean fold error 1.21 (paracetamol, 33 samples of three "
        "studies), 1.12 (ibuprofen, 3) and 1.47 (mannitol, 6), each with a permeability that was "
        "optimised on those data; 1.23 with paracetamol's in vitro permeability, 6.6 with that of an "
        "artificial membrane."
    ),
    applicability=(
        "Adults with whole barriers; lumbar fluid stands for the spine; no drug compared had active transport."
    ),
    ranges={"ps_bbb": (0.0238, 1242.0), "hours": (0.0, 25.0)},
)
"""`ps_bbb` in L/h: that of the drugs compared with cerebrospinal fluid; `hours` after a dose."""

ACETAMINOPHEN_CELL = ContextOfUse(
    question=(
        "From which dose on does acetaminophen use up the glutathione of liver cells, and how many "
        "proteins does it bind?"
    ),
    use="`AcetaminophenToxicity`: order of events and the critical dose, not a patient's outcome.",
    risk=("Not for the care of a poisoned patient: no kinetics of absorption, no cell death, no acetylcysteine."),
    verification="Five states at seven doses beside libRoadRunner, within 5e-6 of each peak.",
    validation="None with clinical data here; the publication compares its critical dose with the literature's.",
    applicability="Cells that get the dose at once.",
    ranges={"dose": (33.0, 2112.0)},
)
"""`dose` in umol for 1e9 cells: the trajectories compared."""

DEXTROMETHORPHAN = ContextOfUse(
    question="How do exposure and the urinary metabolic ratio of dextromethorphan go with CYP2D6 activity?",
    use="Phenotype from genotype, by `dextromethorphan(activity=...)`.",
    risk=("A wrong phenotype misguides the dose of a CYP2D6 substrate; genotype and measured ratio stand beside it."),
    verification=(
        "Cmax, Tmax, AUC and urinary ratio at seven activity scores beside libRoadRunner, within 5e-6; "
        "molecules conserved with `leak=0`."
    ),
    validation=(
        "The publication's; none here. The archived file, which `leak=1` follows, loses drug in the "
        "forearm: with the balance kept AUC is 4 to 8 % higher and the urinary ratio a third lower, so "
        "its parameters were found with the leak."
    ),
    applicability="Adults, one oral dose, no inhibitor.",
    ranges={"activity": (0.0, 3.0), "dose": (30.0, 30.0)},
)
"""`activity` score; `dose` in mg."""

GLIMEPIRIDE = ContextOfUse(
    question="How does glimepiride's exposure change with CYP2C9 activity, kidney function and cirrhosis?",
    use="Ratios of exposure by `glimepiride(f_cyp2c9=..., f_renal=..., cirrhosis=...)`.",
    risk="Hypoglycaemia from a dose too high; labelled recommendations and glucose stand beside it.",
    verification=(
        "Drug and two metabolites in five conditions beside libRoadRunner, within 1e-6 of each peak; "
        "molecules conserved."
    ),
    validation=(
        "Serum of six groups of healthy people: fold error 1.44 (`benchmarks/glimepiride.py`); renal and hepatic "
        "impairment were not compared with data here."
    ),
    applicability="Adults, one dose.",
    ranges={"dose": (1.0, 8.0), "f_cyp2c9": (0.3, 1.0), "f_renal": (0.3, 1.0), "cirrhosis": (0.0, 0.4)},
)
"""`dose` in mg; shares of normal function."""

WARFARIN = ContextOfUse(
    question="Which maintenance dose of warfarin brings an adult of this genotype and age to the target INR?",
    use="A first estimate by `warfarin_dose(warfarin(cyp2c9, vkorc1, age))`, before INRs are known.",
    risk="Bleeding or thrombosis; INRs correct the dose within days.",
    verification="The closed form beside a simulation of a hundred days, within 1 % of the INR.",
    validation="All 36 visible cells of the published dose table, within 5 %.",
    applicability="CYP2C9 *1 to *3 and VKORC1 -1639; no interacting drug; Swedish patients.",
    ranges={"age": (50.0, 90.0), "inr": (2.5, 2.5)},
)
"""`age` in years; target `inr`."""

CHIP = ContextOfUse(
    question="How fast do the cells of a gut-liver chip conjugate a drug, and what would a liver of such cells clear?",
    use="Rates from samples of both media (`GutLiverChip`), a clearance by million cells (`drugs.from_chip`).",
    risk="A cell line has other enzymes than a liver: a first guess before hepatocytes, not a first dose.",
    verification="Nine concentrations over a day beside libRoadRunner, within 1e-6 of each peak; rates come back from "
    "samples with 3 % of error.",
    validation="Acetaminophen: 1.2 to 1.7 times the clearance of people in three studies if the chip held two million "
    "HepG2 cells; how many it held is not in the archive.",
    applicability="Acetaminophen on Caco-2 over HepG2 cells; media sampled once.",
    ranges={"hours": (0.0, 24.0)},
)
"""`hours` after the cells were given the drug."""

VIRUS = ContextOfUse(
    question="How does the virus in plasma or nasal wash go with time and with a drug that blocks a step of its cycle?",
    use="`AcuteInfection`, `ChronicInfection`: to plan sampling and doses, and to fit viral loads.",
    risk="Resistance and immunity are not in the equations: a course that looks short enough may not be.",
    verification="Published closed forms (two phases of hepatitis C, HIV's shoulder), within 1e-5; final size and "
    "growth of an outbreak, within 1e-3; LSODA under daily doses, within 1e-7.",
    validation="Influenza: R0 of 21.8 from the published rates, 22 reported; highest virus on day 2 to 3. No patient's "
    "data here.",
    applicability="First weeks of treatment; one strain; target cells alike.",
    ranges={"efficacy": (0.81, 0.96)},
)
"""`efficacy` of blocking production, that of interferon in the trial whose closed form was compared."""

ACETAMINOPHEN_BODY = ContextOfUse(
    question="How much acetaminophen is in the organs of an adult after a dose by mouth?",
    use="`AcetaminophenBody`: concentrations in blood, liver and kidneys, as the dose that liver cells meet.",
    risk="As of the cells' model: not for the care of a poisoned patient.",
    verification="Eight states beside libRoadRunner, within 1e-8 of each peak.",
    validation="The publication's; none here.",
    applicability="70 kg, one dose; metabolism is of first order, and so does not saturate in overdose.",
    ranges={"dose": (1400.0, 1400.0)},
)
"""`dose` in mg: the trajectory compared."""

TACROLIMUS = ContextOfUse(
    question="Which first dose of tacrolimus brings an adult with a new kidney of this genotype to the target trough?",
    use="A first estimate by `tacrolimus_starting_dose`, before troughs are known; `tacrolimus` as a model to follow "
    "one patient by.",
    risk="Rejection or toxicity; troughs correct the dose within days.",
    verification="Clearances, starting doses and factors as published.",
    validation="The publication's, in its own patients; none here.",
    applicability="Adults in the first three months after transplantation of a kidney; no interacting drug.",
    ranges={"trough": (10.0, 15.0), "age": (18.0, math.inf)},
)
"""Target `trough` in ug/L of whole blood, `age` in years."""

CONTEXTS = {
    "brain": BRAIN,
    "acetaminophen": ACETAMINOPHEN_CELL,
    "acetaminophen_body": ACETAMINOPHEN_BODY,
    "dextromethorphan": DEXTROMETHORPHAN,
    "glimepiride": GLIMEPIRIDE,
    "warfarin": WARFARIN,
    "tacrolimus": TACROLIMUS,
    "chip": CHIP,
    "virus": VIRUS,
}
"""By model; ``print(CONTEXTS["brain"])`` shows one, ``.warn(ps_bbb=...)`` warns outside its ranges."""
