"""What a built body may be asked, and why to believe it."""

from __future__ import annotations

from twinjax.context import ContextOfUse

WHOLE_BODY = ContextOfUse(
    question="How do plasma concentrations of a small molecule in healthy adults change with dose, route, build "
    "and a second drug that inhibits, inactivates or induces CYP3A4 in gut and liver?",
    use="A body of 14 organs built from age, sex, height and weight and from in vitro and physicochemical "
    "numbers of each drug; ratios of AUC and Cmax with and without the second drug. It supports the "
    "choice of what to study in people, not the waiving of a study.",
    risk="A ratio that is too small may let an interaction through, one that is too large may burden a "
    "study. Clinical studies decide in the end: influence low to medium, consequence of a wrong "
    "decision medium.",
    verification="Units close; nothing leaks, to rounding; clearance, availability, steady states of blood and of "
    "enzymes equal closed forms; the nonlinear body agrees with scipy's LSODA to 1e-6; httk's body of "
    "five organs to its four printed digits.",
    validation="Midazolam alone in 68 mean profiles: geometric mean fold error of concentrations 1.32 by vein, "
    "2.00 by mouth (where 45 % of a dose are available). With itraconazole or "
    "rifampicin in 37 studies: 1.42 (PK-Sim with the same drug parameters 1.70), 31 within two-fold (25), "
    "25 within Guest's limits (21); how enterocytes are cleared and how solubility limits a solution was "
    "chosen after ratios of an earlier version had been seen, no number was fitted. With cimetidine, "
    "clarithromycin, efavirenz, erythromycin, fluconazole, fluvoxamine or verapamil in 29: 1.29 (1.22), 28 within "
    "two-fold (28), 23 within Guest's limits (24); of all 66 1.36 (1.47), 59 (53), 48 (45). With carbamazepine in 5: "
    "1.12. Perpetrators' own areas over those observed, by vein and by mouth: rifampicin 1.36 and 1.10, erythromycin "
    "1.16 and 2.06, verapamil 1.07 and 1.96 (repeated doses 3.07), norverapamil by mouth 2.41, carbamazepine by mouth "
    "0.85; itraconazole 1.26 and, by mouth, 1.32 (solution), 1.16 (capsules), 1.12 (capsules after a meal), 0.43 "
    "(solution after a meal); hydroxyitraconazole 0.81 and 0.65, 0.56, 0.57, 0.21. "
    "Enterocytes let too much through: with tight ones midazolam by mouth comes to 1.58, areas of erythromycin "
    "and verapamil to 1.1 of those observed, but of itraconazole's capsules after a meal to a third, of its solution "
    "there to a seventh, and the 37 ratios to "
    "1.64, 25 within two-fold, 20 within Guest's limits. Predictions from in vitro data alone miss "
    "by 1.1 (AUC) to 1.4 (Cmax) decimal logarithms, root mean square.",
    applicability="Drugs that CYP3A4 clears, taken fasted. Weak where solubility limits a slowly dissolving capsule: "
    "after itraconazole capsules inhibition comes out too small. Meals are known to itraconazole's "
    "formulations alone, of which the solution failed. Verapamil, which P-gp excretes too, accumulates too much. "
    "Not compared with data: children, the old, pregnancy, liver and kidney disease, efflux transporters, bile.",
    ranges={
        "age_years": (18.0, 65.0),
        "kidney_function": (1.0, 1.0),
        "liver_function": (1.0, 1.0),
        "week_of_pregnancy": (0.0, 0.0),
    },
)
"""Of `body`. Figures are those of ``interactions.py``, ``exposures.py`` and ``screening.py`` in ``benchmarks``."""


def _perpetrator(acts: str, validation: str, applicability: str, doses: tuple[float, float]) -> ContextOfUse:
    """What is alike in all drugs that disturb CYP3A4."""
    return ContextOfUse(
        question=f"How does a drug that {acts} change exposure to a drug that CYP3A4 clears?",
        use="As the second drug of `body`, given by mouth.",
        risk="As of `WHOLE_BODY`: clinical studies decide in the end.",
        verification="As of `WHOLE_BODY`.",
        validation=validation,
        applicability=applicability,
        ranges={"dose_mg": doses},
    )


DRUGS = {
    "midazolam": ContextOfUse(
        question="How is midazolam cleared by gut and liver, alone and with a second drug?",
        use="The victim of interactions of CYP3A4, as the first drug of `body`.",
        risk="As of `WHOLE_BODY`: clinical studies decide in the end.",
        verification="As of `WHOLE_BODY`.",
        validation="68 mean profiles, figures at `WHOLE_BODY`.",
        applicability="Single doses, fasted. Binding to receptors of the brain is left out: concentrations a day after "
        "a dose and later come out low.",
        ranges={"dose_mg": (0.01, 30.0)},
    ),
    "itraconazole": _perpetrator(
        "inhibits CYP3A4, with three metabolites that do",
        "8 studies of interactions, fold error 1.43.",
        "Fasted, or capsules after a meal. Capsules given for days reach 0.5 to 0.8 of areas observed fasted, 0.7 to "
        "1.2 after a meal; the solution after a meal 0.4, hydroxyitraconazole there 0.2, and with capsules 0.6.",
        (50.0, 200.0),
    ),
    "rifampicin": _perpetrator(
        "induces CYP3A4 and at once inhibits it",
        "29 studies of interactions, fold error 1.42; too strong between 10 and 100 mg.",
        "Efflux by P-gp and biliary cycling are left out; concentrations come out up to a third too high.",
        (2.0, 600.0),
    ),
    "clarithromycin": _perpetrator(
        "inactivates CYP3A4", "7 studies of interactions, fold error 1.27.",
        "Tablets. Its competition for CYP3A4, which the published model has too, is left out: ratios would come out "
        "1 to 2 % higher, in one study 19 %.", (250.0, 500.0),
    ),
    "fluconazole": _perpetrator(
        "inhibits CYP3A4 noncompetitively", "2 studies of interactions, fold error 1.18.",
        "Healthy kidneys.", (200.0, 400.0),
    ),
    "erythromycin": _perpetrator(
        "inactivates CYP3A4", "6 studies of interactions, fold error 1.42: 1.20 in five of days; in one, an hour after "
        "a single gram, it failed (3.2, too weak), so that a gram lies outside the range.",
        "Film-coated tablets of the stearate; by mouth it reaches 2.1 times the areas observed, by vein 1.2. kinact "
        "and KI were identified with one of the studies, of enteric-coated tablets. Its competition for CYP3A4, which "
        "the published model has too, is left out: ratios would come out 2 to 3 % higher, after the gram 11 %.",
        (200.0, 500.0),
    ),
    "verapamil": _perpetrator(
        "inactivates CYP3A4 with its metabolites", "2 studies of interactions, fold error 1.59: too weak by 1.3 (80 mg "
        "three times a day) and 2.0 (two days after the last of seven daily 240 mg).",
        "By vein it reaches 1.1 times the areas observed; by mouth single doses 1.65 times (2.6 at 3 mg and less), "
        "repeated ones 3.1 times, from 1.4 (seventh dose of 80 mg) to 6.6 and 8.9 (120 mg twice a day, day 8 and 10); "
        "norverapamil 2.4 times. P-gp is left out: with its excretion by the liver as published a trial brought these "
        "two to 2.3 and 3.4, but the ratios of midazolam down by 10 and 17 %. Competition for CYP3A4, which the "
        "published model has too, is left out: ratios would come out 1 to 2 % higher. Doses are of each enantiomer, "
        "as base.", (0.05, 120.0),
    ),
    "carbamazepine": _perpetrator(
        "induces CYP3A4 and CYP2B6", "5 studies of interactions, fold error 1.12; 30 profiles of its own, fold "
        "error of areas 1.34 (0.85 times those observed).",
        "Tablets of immediate release.", (100.0, 600.0),
    ),
    "fluvoxamine": _perpetrator(
        "inhibits CYP3A4 competitively", "1 study of interactions, fold error 1.38, too weak.",
        "Extensive metabolisers of CYP2D6 who do not smoke; its inhibition of CYP1A2 is left out. Doses as base: 50 to "
        "100 mg of the maleate.", (36.6, 73.3),
    ),
    "cimetidine": _perpetrator(
        "inhibits CYP3A4 weakly", "4 studies of interactions, fold error 1.29.",
        "Its Ki was adjusted to interactions by its authors.", (200.0, 800.0),
    ),
    "efavirenz": _perpetrator(
        "induces CYP3A4 for weeks", "7 studies of interactions, fold error 1.15.",
        "EC50 was identified with two of the studies.", (400.0, 400.0),
    ),
}  # fmt: skip
"""Of the drugs of `twinjax.bodies.library`, by name; `Substance.umol` warns outside them."""
