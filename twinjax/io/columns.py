"""Which column of a data file plays which part: NONMEM's reserved names in any case, and their common aliases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twinjax.io.problems import Findings
from twinjax.naming import suggestion

ROLES = {
    "ID": ("SUBJECT", "SUBJ", "SUBJID", "USUBJID", "PATID"),
    "TIME": (),
    "AMT": ("AMOUNT",),
    "DV": ("CONC", "Y"),
    "EVID": (),
    "MDV": (),
    "CMT": ("COMPARTMENT",),
    "RATE": (),
    "II": (),
    "ADDL": (),
    "SS": (),
    "CENS": (),
    "LIMIT": (),
    "BLQ": ("BLOQ",),
    "LLOQ": ("LOQ",),
    "DVID": ("YTYPE",),
}
"""Every part a column can play, and its aliases, which count only where the name itself is absent."""

REQUIRED = ("ID", "TIME")


def wanted(columns: Mapping[str, str | None] | None) -> dict[str, str | None]:
    """The user's renames, ``{"ID": "subject"}``, with the parts in capitals.

    **Raises** `ValueError` for a part that is none of NONMEM's.
    """
    renamed = {role.upper(): column for role, column in (columns or {}).items()}
    for role in renamed:
        if role not in ROLES:
            raise ValueError(
                f"columns: there is no part {role!r} for a column to play{suggestion(role, ROLES)}. "
                f"A covariate is renamed by covariates={{{role!r}: {renamed[role]!r}}}"
            )
    return renamed


def header_words(columns: Mapping[str, str | None] | None) -> set[str]:
    """Every name (folded) that marks a line as the header."""
    named = {c.casefold() for c in wanted(columns).values() if c}
    return named | {n.casefold() for role, aliases in ROLES.items() for n in (role, *aliases)}


def find(names: Sequence[str], columns: Mapping[str, str | None] | None, findings: Findings) -> dict[str, str]:
    """Part -> column of the file. Adds a problem for a required or renamed column that is not there."""
    folded = {n.casefold(): n for n in reversed(names) if n}
    renamed = wanted(columns)
    found: dict[str, str] = {}
    for role, aliases in ROLES.items():
        if role in renamed:
            column = renamed[role]
            if column is None:
                continue
            if column.casefold() in folded:
                found[role] = folded[column.casefold()]
            else:
                missing(
                    role, names, findings, f"there is no column {column!r}, which `columns` names for {role}", column
                )
            continue
        for name in (role, *aliases):
            if name.casefold() in folded:
                found[role] = folded[name.casefold()]
                break
        else:
            if role in REQUIRED:
                missing(role, names, findings, f"the required column {role} is missing")
    return found


def missing(role: str, names: Sequence[str], findings: Findings, said: str, near: str | None = None) -> None:
    """Add the problem that a column is missing, with the nearest names and how to rename it."""
    free = [n for n in names if n and (near or n.upper() not in ROLES)]
    hint = suggestion(near or role, free)
    findings.add(f'{said}{hint}. Say which it is with columns={{"{role}": ...}}', column=role)
