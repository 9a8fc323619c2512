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
    "1.75 by mouth. With itraconazole or rifampicin in 37 studies: 1.60 (PK-Sim with the same drug "
    "parameters 1.70), 26 within two-fold (25), 21 within Guest's limits (21). With clarithromycin or "
    "fluconazole in 9: 1.40 (1.23), 8 within both (9). Predictions from in vitro data alone miss by 1.1 (AUC) to "
    "1.4 (Cmax) decimal logarithms, root mean square.",
    applicability="Drugs that CYP3A4 clears, taken fasted. Weak where solubility limits a slowly dissolving capsule: "
    "after itraconazole capsules inhibition comes out too small. Not compared with data: children, the "
    "old, pregnancy, liver and kidney disease, meals, efflux transporters, bile.",
    ranges={
        "age_years": (18.0, 65.0),
        "kidney_function": (1.0, 1.0),
        "liver_function": (1.0, 1.0),
        "week_of_pregnancy": (0.0, 0.0),
    },
)
"""Of `body`. Figures are those of ``benchmarks/interactions.py`` and ``benchmarks/screening.py``."""
