"""Drugs from the tables of a safety panel, as the FDA writes them: one row a drug, concentrations in nM."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from twinjax.electrophysiology.drugs import CURRENTS, Drug, Hill
from twinjax.io.problems import Findings
from twinjax.io.table import Table, read_table
from twinjax.models.heart.herg import Binding
from twinjax.naming import suggestion

Path = str | os.PathLike[str]

_CMAX = ("cmax_free_nm", "cmax", "therapeutic")
_RISK = ("tdp_class_0low_1int_2high", "cipa", "risk")
_BINDING = ("Kmax", "Ku", "n", "halfmax", "Vhalf")
_PLAUSIBLE = (1e-2, 5e5)
"""Free concentrations in nM that drugs have: those of the 28 CiPA drugs lie between 0.26 and 14,690."""
_SATURATING = 100.0
"""How many times its lowest IC50 a therapeutic concentration may be: of the 28 drugs, at most 50."""


def read_drugs(
    cmax: Path, hill: Path, binding: Path | None = None, *, only: Sequence[str] | None = None
) -> dict[str, Drug]:
    """Drugs by name: those of the Hill table.

    **Parameters**: `cmax`, columns ``drug`` and ``Cmax_free_nM`` (or ``therapeutic``), and the risk where it is known
    (``CiPA``: 0, 1, 2); `hill`, columns ``drug`` and, for each current, ``hERG_IC50`` and ``hERG_h``, empty or NA for
    no block; `binding`, columns ``drug, Kmax, Ku, n, halfmax, Vhalf``, halfmax in nM^n; `only`, the drugs wanted.
    **Warns** of a free concentration that no drug has, or that far exceeds the drug's lowest IC50: is it in nM?
    **Raises** `DataError` with every row, column and drug to correct: an unknown current, an IC50 of zero or less, a
    drug without a free concentration or without binding.
    """
    levels, risks = _levels(cmax)
    blocks = _blocks(hill)
    bindings = None if binding is None else _bindings(binding)
    findings = Findings(os.fspath(hill))
    for name in only or ():
        if name not in blocks:
            findings.add(f"there is no drug {name!r}{suggestion(name, blocks)}")
    wanted = [n for n in blocks if only is None or n in only]
    for name in wanted:
        if name not in levels:
            findings.add(f"{os.fspath(cmax)} has no free concentration of it{suggestion(name, levels)}", subject=name)
        if bindings is not None and name not in bindings:
            findings.add(f"{os.fspath(binding or '')} has no binding of it{suggestion(name, bindings)}", subject=name)
    findings.raise_errors()
    found = {n: Drug(n, levels[n], blocks[n], bindings[n] if bindings else None, risks.get(n)) for n in wanted}
    for drug in found.values():
        _in_nanomolar(drug)
    return found


def read_hill_samples(path: Path) -> dict[str, np.ndarray]:
    """Draws of IC50 (nM) and Hill coefficient by current, `(draws, 2)`, from a table with a row a draw."""
    table, columns, findings = _panel(path, "")
    found: dict[str, np.ndarray] = {}
    for current, (ic50, h) in columns.items():
        values = np.stack([_numbers(table, c, findings) for c in (ic50, h)], axis=1)
        known = np.isfinite(values).all(axis=1)
        if known.any():
            findings.where(known & (values <= 0.0).any(axis=1), ic50, "is not above zero")
            found[current] = values[known]
    findings.raise_errors()
    return found


def read_binding_samples(path: Path) -> Binding:
    """Draws of the binding to hERG, leaves `(draws,)`, from a table ``Kmax, Ku, n, halfmax, Vhalf``."""
    findings = Findings(os.fspath(path))
    table = _table(path, findings)
    return Binding.tabled(*(_column(table, c, findings) for c in _BINDING))


def read_block(path: Path) -> dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]:
    """Patch-clamp block by drug and current: concentrations (nM) and percent of block; missing ones left out.

    **Parameters**: `path`, columns ``drug, conc, channel, block``, and ``units`` where they are not nM.
    **Raises** `DataError` for an unknown current and for other units.
    """
    findings = Findings(os.fspath(path))
    table = _table(path, findings)
    for name in ("drug", "conc", "channel", "block"):
        if name not in table.names:
            findings.add(f"there is no column {name!r}{suggestion(name, table.names)}")
    findings.raise_errors()
    drug, current = table.text("drug"), table.text("channel")
    for i, c in enumerate(current):
        if c not in CURRENTS:
            findings.add(
                f"there is no current {c!r}{suggestion(c, CURRENTS)}", row=int(table.rows[i]), column="channel"
            )
    if "units" in table.names:
        findings.where(table.text("units") != "nM", "units", "is not nM; convert the concentrations")
    conc, block = (_numbers(table, c, findings) for c in ("conc", "block"))
    findings.raise_errors()
    known = np.isfinite(conc) & np.isfinite(block)
    pairs = dict.fromkeys(zip(drug[known], current[known], strict=True))
    found = {}
    for d, c in pairs:
        own = known & (drug == d) & (current == c)
        found[str(d), str(c)] = conc[own], block[own]
    return found


def _table(path: Path, findings: Findings) -> Table:
    words = {"drug", "conc", "channel", *_CMAX, *(b.lower() for b in _BINDING)}
    words |= {f"{c}_{x}".lower() for c in CURRENTS for x in ("ic50", "h")}
    table = read_table(path, words, findings)
    findings.raise_errors()
    assert table is not None
    findings.rows = table.rows
    return table


def _numbers(table: Table, name: str, findings: Findings) -> np.ndarray:
    values, bad = table.number(name)
    findings.where(bad, name, "is not a number; write NA where there is none")
    return values


def _column(table: Table, name: str, findings: Findings) -> np.ndarray:
    """A column that has to be there, and whole."""
    if name not in table.names:
        findings.add(f"there is no column {name!r}{suggestion(name, table.names)}")
        findings.raise_errors()
    values = _numbers(table, name, findings)
    findings.where(~np.isfinite(values), name, "is missing; give a number")
    findings.raise_errors()
    return values


def _drugs(table: Table, findings: Findings) -> list[str]:
    name = next((n for n in table.names if n.lower() == "drug"), None)
    if name is None:
        findings.add("there is no column 'drug'; name the drug of each row")
        findings.raise_errors()
    names = [str(t) for t in table.text(str(name))]
    for i, n in enumerate(names):
        if n in names[:i]:
            findings.add("this drug has a row already", row=int(table.rows[i]), subject=n)
    return names


def _levels(path: Path) -> tuple[dict[str, float], dict[str, int]]:
    findings = Findings(os.fspath(path))
    table = _table(path, findings)
    names = _drugs(table, findings)
    folded = {n.lower(): n for n in table.names}
    column = next((folded[c] for c in _CMAX if c in folded), None)
    if column is None:
        findings.add(f"there is no column of free concentrations: name it {' or '.join(_CMAX)} (nM)")
        findings.raise_errors()
    values = _column(table, str(column), findings)
    findings.where(values <= 0.0, column, "is not above zero; give the free concentration in nM")
    findings.raise_errors()
    risks: dict[str, int] = {}
    known = next((folded[c] for c in _RISK if c in folded), None)
    if known is not None:
        classes = _numbers(table, known, findings)
        findings.where(np.isfinite(classes) & ~np.isin(classes, (0, 1, 2)), known, "is not 0, 1, 2 or missing")
        findings.raise_errors()
        risks = {n: int(c) for n, c in zip(names, classes, strict=True) if np.isfinite(c)}
    return dict(zip(names, values.tolist(), strict=True)), risks


def _panel(path: Path, key: str) -> tuple[Table, dict[str, tuple[str, str]], Findings]:
    """A table of IC50 and Hill coefficients, and its two columns for each current."""
    findings = Findings(os.fspath(path))
    table = _table(path, findings)
    found: dict[str, dict[str, str]] = {}
    for name in table.names:
        match = re.fullmatch(r"(.+)_(IC50|h)", name)
        if match is None:
            if name.lower() != key:
                findings.add(f"is neither CURRENT_IC50 nor CURRENT_h{suggestion(name, _PANEL)}", column=name)
        elif match[1] not in CURRENTS:
            findings.add(f"there is no current {match[1]!r}{suggestion(match[1], CURRENTS)}", column=name)
        else:
            found.setdefault(match[1], {})[match[2]] = name
    for current, pair in found.items():
        if len(pair) == 1:
            have, lack = ("IC50", "h") if "IC50" in pair else ("h", "IC50")
            findings.add(f"{current}_{have} is there without {current}_{lack}", column=pair[have])
    findings.raise_errors()
    return table, {c: (p["IC50"], p["h"]) for c, p in found.items()}, findings


_PANEL = tuple(f"{c}_{x}" for c in CURRENTS for x in ("IC50", "h"))


def _blocks(path: Path) -> dict[str, dict[str, Hill]]:
    table, columns, findings = _panel(path, "drug")
    names = _drugs(table, findings)
    found: dict[str, dict[str, Hill]] = {n: {} for n in names}
    for current, (first, second) in columns.items():
        ic50, h = _numbers(table, first, findings), _numbers(table, second, findings)
        for values, column in ((ic50, first), (h, second)):
            findings.where(values <= 0.0, column, "is not above zero; leave it empty where the drug does not block")
        findings.where(np.isfinite(ic50) != np.isfinite(h), first, f"needs both {first} and {second}, or neither")
        for n, a, b in zip(names, ic50, h, strict=True):
            if np.isfinite(a) and np.isfinite(b) and a > 0.0 and b > 0.0:
                found[n][current] = Hill(float(a), float(b))
    findings.raise_errors()
    return found


def _bindings(path: Path) -> dict[str, Binding]:
    findings = Findings(os.fspath(path))
    table = _table(path, findings)
    names = _drugs(table, findings)
    columns: dict[str, Any] = {c: _column(table, c, findings) for c in _BINDING}
    for c in ("Kmax", "Ku", "n", "halfmax"):
        findings.where(columns[c] <= 0.0, c, "is not above zero")
    findings.raise_errors()
    rows = zip(*(columns[c].tolist() for c in _BINDING), strict=True)
    return {n: Binding.tabled(*row) for n, row in zip(names, rows, strict=True)}


def _in_nanomolar(drug: Drug) -> None:
    low, high = _PLAUSIBLE
    lowest = min((float(h.ic50) for h in drug.blocks.values()), default=np.inf)
    cmax = float(drug.cmax)
    why = ""
    if not low <= cmax <= high:
        why = f"free concentrations of drugs lie between {low:g} and {high:g} nM"
    elif cmax > _SATURATING * lowest:
        why = f"that is {cmax / lowest:.0f} times its lowest IC50, {lowest:g} nM"
    if why:
        warnings.warn(f"{drug.name}: a free concentration of {cmax:g} nM; {why}: is it in nM, and free?", stacklevel=3)
