"""Where doses go and what observations are of: CMT and DVID, as numbers or names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from twinjax.io.problems import Findings

Routing = str | int | Mapping[Any, str | int] | None
"""One name for all, or a mapping of what the file says (number or text) to names or numbers; None: as the file says."""


def outputs_of(
    observed: np.ndarray, dvid: np.ndarray | None, cmt: np.ndarray | None, outputs: Routing, columns: Mapping[str, str],
    findings: Findings,
) -> np.ndarray:  # fmt: skip
    """The output of every observation: DVID (number n is output n, text is a name) through `outputs`, else 1.

    Without DVID, CMT counts only if `outputs` maps it; observations in several compartments then need that map.
    """
    found = np.full(len(observed), 1, dtype=object)
    if isinstance(outputs, str | int):
        found[:] = outputs
        return found
    mapped = _keys(outputs)
    if dvid is not None:
        column = columns["DVID"]
        for i in np.flatnonzero(observed):
            found[i] = _look(dvid[i], mapped)
        findings.where(
            observed & (dvid == ""), column, "the observation has no DVID; say which output it is of (1 is the first)"
        )
        findings.where(
            observed & np.array([isinstance(o, int) and o < 1 for o in found]), column,
            lambda i: f"DVID {dvid[i]} is no output; outputs count from 1, or map it with outputs={{{dvid[i]}: ...}}",
        )  # fmt: skip
        return found
    if cmt is None:
        return found
    column = columns["CMT"]
    if outputs is None:
        there = sorted(set(cmt[observed]) - {""})
        if len(there) > 1:
            how = ", ".join(f"{_shown(c)}: ..." for c in there[:4])
            findings.add(
                f"observations are in compartments {', '.join(there)} and there is no DVID to say what they are of: "
                f"give outputs={{{how}}}, or outputs=1 if all are of the first output",
                column=column,
            )  # fmt: skip
        return found
    for i in np.flatnonzero(observed):
        found[i] = _look(cmt[i], mapped) if _folded(cmt[i]) in mapped else 1
    findings.where(
        observed & np.array([_folded(c) not in mapped for c in cmt]), column,
        lambda i: f"the observation is in compartment {cmt[i] or '(missing)'}, which `outputs` does not map; "
        f"it maps {', '.join(mapped)}",
    )  # fmt: skip
    return found


def compartments_of(
    dosed: np.ndarray, cmt: np.ndarray, doses: Routing, column: str | None, findings: Findings
) -> np.ndarray:
    """The state every dose goes into: CMT (number n is state n, text is a name) through `doses`, else 1."""
    found = np.full(len(dosed), 1, dtype=object)
    if isinstance(doses, str | int):
        found[:] = doses
        return found
    mapped = _keys(doses)
    for i in np.flatnonzero(dosed):
        found[i] = _look("1" if cmt[i] in ("", "0") and "0" not in mapped else cmt[i], mapped)
    findings.where(
        np.array([isinstance(c, int) and c < 1 for c in found]), column,
        lambda i: f"a dose into compartment {found[i]}; compartments count from 1 (turning them off is not supported)",
    )  # fmt: skip
    return found


def _keys(routing: Any) -> dict[str, str | int]:
    return {_folded(str(k)): v for k, v in (routing or {}).items()}


def _folded(text: str) -> str:
    return text.casefold()


def _look(said: str, mapped: Mapping[str, str | int]) -> str | int:
    if _folded(said) in mapped:
        return mapped[_folded(said)]
    return int(said) if said.lstrip("-").isdigit() else said


def _shown(said: str) -> str:
    return said if said.isdigit() else repr(said)
