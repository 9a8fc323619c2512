"""Does a twin dose better? Simulated patients under (a) the label's dose, (b) the dose of covariates and genotype, both
adjusted by the usual rule, (c) a twin's, and (d) twins whose model is wrong. One JSON line each.

    python benchmarks/dosing DRUG [--patients 1000] [--only label "twin, biased"]

``tacrolimus``: troughs of 10 to 15 ug/L on day 14 after a kidney transplantation (the target of the source's hospital), overdose
above 20; capsules of 0.5 mg twice a day, troughs on days 3, 5, 8, 11 and 14. Label: 0.1 mg/kg twice a day; genotype: the source's
starting dose; the rule: in proportion to the last trough.
``warfarin``: INR of 2 to 3, overdose above 4; half milligrams a day, INR on days 3, 5, 8, 11, 15, 22 and 29. Label: 5 mg; genotype:
the typical dose of CYP2C9, VKORC1 and age; the rule: a nomogram. ``all`` counts from day 8 on; ``held`` is what the last dose
comes to hold.
``propofol``: bispectral index of 40 to 60 from minute 10 to 60, overdose below 40. Label: a bolus and mg/kg/h by age; TCI: an infusion
planned by Eleveld's covariates; the rule: a fifth more or less where the index of the last minutes is out of range.

A twin knows covariates, doses and measurements; its prior is the published population and never its patient; it gives the dose of
the greatest P(target) - P(overdose) / 4 over draws of what it believes (propofol: the least expected square of the distance from
an index of 50). It learns by `tj.MAP`; ``twin, importance`` by `tj.LaplaceImportance`. Wrong twins: ``no covariates`` (everyone
typical), ``biased`` (clearance 1.5 times too high and all standard deviations halved), ``structure`` (tacrolimus: one
compartment; warfarin: the chain six times as slow and no variability of turnover; propofol: Schnider's kinetics and their narrow
variability). Evidence beside each twin: see `course.evidence`.

**Reference**: Andrews et al. 2019, doi:10.1111/bcp.13838 (38.6, 49.2, 78.7 and 53.0 % of CL, V1, Q and V2; residual 24.5 %);
Hamberg et al. 2007, doi:10.1038/sj.clpt.6100084 (31.0, 26.2, 99.1, 14.1, 102 and 40.9 % of CL, V1, V2, MTT1, MTT2 and EC50;
residual of log INR 0.0325; correlations are not printed and left out); Eleveld et al. 2018, doi:10.1016/j.bja.2018.01.018
(variances 0.610, 0.565, 0.597, 0.265, 0.346, 0.209 of V1, V2, V3, CL, Q2, Q3, 0.242 of Ce50, 0.702 of ke0, and 0.230 of the
residual of 8.03, which varies between patients); Schnider et al. 1998, doi:10.1097/00000542-199805000-00006. Genotypes: 20 %
CYP3A5 expressers; CYP2C9 and VKORC1 of Europeans, rounded.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


def main() -> None:
    """Ask."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drug", choices=["tacrolimus", "warfarin", "propofol"])
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--only", nargs="*", help="arms")
    asked = parser.parse_args()
    drug = importlib.import_module(asked.drug)
    drug.run(asked.patients, asked.only or drug.ARMS)


if __name__ == "__main__":
    main()
