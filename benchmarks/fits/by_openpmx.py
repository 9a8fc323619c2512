"""A case by OpenPMX (FOCEI by BOBYQA, in C): its control file is written, run, and its last objective read."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from cases import Case

_PATIENCE = 600
_LINEAR = {"oral1": ("onecomp_depot", ("v", "cl", "ka")), "bolus1": ("onecomp", ("v", "cl")), "infusion1": ("onecomp", ("v", "cl")),
           "bolus2": ("twocomp", ("v1", "v2", "cl", "q"))}  # fmt: skip
_OPENPMX = {"v": "V", "cl": "CL", "ka": "KA", "v1": "V1", "v2": "V2", "q": "Q2"}
_EQUATIONS = {
    "bolus1mm": (1, "DADT(1) = -VMAX * A(1) / (KM * V + A(1));", "A(1) / V"),
    "oral1mm": (2, "DADT(1) = -KA * A(1);\n\tDADT(2) = KA * A(1) - VMAX * A(2) / (KM * V + A(2));", "A(2) / V"),
    "bolus2mm": (
        2,
        "DADT(1) = -VMAX * A(1) / (KM * V1 + A(1)) - Q * (A(1) / V1 - A(2) / V2);\n\tDADT(2) = Q * (A(1) / V1 - A(2) / V2);",
        "A(1) / V1",
    ),
}


def control(case: Case, data: Path) -> str:
    """The control file of a case."""
    names = list(case.start)
    if case.structure in _LINEAR:
        advan, wanted = _LINEAR[case.structure]
        shown = {n: "V1" if (advan, n) == ("onecomp", "v") else _OPENPMX[n] for n in names}
        solver, central = (
            f"$ADVAN({advan})",
            "A(2) / V" if case.structure == "oral1" else f"A(1) / {shown.get('v1', shown.get('v'))}",
        )
        equations, listed = "", [shown[n] for n in wanted]
    else:
        states, body, central = _EQUATIONS[case.structure]
        shown = {n: n.upper() for n in names}
        solver, equations, listed = (
            f"$ADVAN(diffeqn_libgsl)\n\t.nstate = {states},",
            f"$DIFFEQN\n\t{body}\n",
            list(shown.values()),
        )
    residual = {
        "additive": "IPRED + ERR(1)",
        "proportional": "IPRED * (1 + ERR(1))",
        "combined": "IPRED * (1 + ERR(2)) + ERR(1)",
    }[case.error]
    (error,) = case.population.residuals.values()
    sigma = [float(getattr(error, n)) ** 2 for n in ("additive", "proportional") if hasattr(error, n)]
    lines = [f"\t{shown[n]} = THETA({i}) * exp(ETA({i}));" for i, n in enumerate(names, 1)]
    starts = [f"\t{{ {v / 20:g}, {v:g}, {v * 20:g}, ESTIMATE }}," for v in case.start.values()]
    omega = ", ".join(f"{float(case.population.theta[f'omega.{n}']) ** 2:g}" for n in names)
    return "\n".join([
        f'$DATA("{data}")', solver, f"$IMODEL({', '.join(listed)})", *lines, equations + "$PREDICT(IPRED)", f"\tIPRED = {central};",
        f"\tY = {residual};", "$THETA", *starts, f"$OMEGA({omega})", f"$SIGMA({', '.join(f'{s:g}' for s in sigma)})", "$MAIN", "\testimate();", "",
    ])  # fmt: skip


def fitted(case: Case, program: Path) -> dict[str, Any]:
    """Seconds (its own clock; `whole` with the compilation of the control file) and its objective."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.csv"
        case.table.to_csv(data, index=False)
        (Path(folder) / "case.gr").write_text(control(case, Path("data.csv")))
        began = time.perf_counter()
        words = ["timeout", str(_PATIENCE), str(program), "case.gr"]
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
        whole = time.perf_counter() - began
    found = re.findall(r"time ([\d.]+) neval \d+ objfn (-?[\d.]+)", done.stdout)
    if done.returncode == 124:
        return {"failed": f"not done in {_PATIENCE} s"}
    if not found:
        return {"failed": (done.stdout + done.stderr).strip().splitlines()[0][:300]}
    seconds, objective = found[-1]
    return {"seconds": float(seconds), "whole": round(whole, 2), "own_objective": round(float(objective), 3)}
