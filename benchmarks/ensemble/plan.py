"""What is measured: which engine on which ensemble, with how many patients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import Task
from problems import ATOL, CASES, FLOAT32_ATOL, FLOAT32_RTOL, RTOL

SECTIONS = ("P1", "P2", "P3", "closed", "gradient", "lorenz", "compile", "ptx")
PEERS = ("vmap(diffrax)", "mrgsolve", "numbalsoda", "libRoadRunner", "scipy", "gradsolve", "nvqsp")
TOOLS = ("mrgsolve", "numbalsoda", "libRoadRunner")
"""The peers that are compiled tools of the field; the best of them is the second mark."""

MATCHED = "twinjax.Fused matched"
"""`Fused` at a looser tolerance, at which it errs about as much as the peers do at theirs, and no more."""
_LOOSER = {("P1", "forward"): 4.0, ("P2", "forward"): 10.0, ("P3", "forward"): 9.0, ("P3", "gradient"): 30.0}
_PATIENTS = {
    "twinjax.Fused": {"P1": 32768, "P2": 8192, "P3": 16384, "closed": 65536, "lorenz": 262144, "gradient": 8192},
    "twinjax.Diffrax": {"P1": 4096, "P2": 512, "P3": 1024, "gradient": 1024},
    "twinjax.Exact": {"closed": 16384},
    "vmap(diffrax)": {"P1": 1024, "P2": 256, "P3": 256, "lorenz": 8192, "gradient": 512},
    "mrgsolve": {"P1": 4000, "P2": 500, "P3": 4000, "closed": 20000},
    "numbalsoda": {"P1": 4000, "P2": 500, "P3": 4000, "lorenz": 20000},
    "libRoadRunner": {"P1": 1000, "P2": 200, "P3": 200},
    "scipy": {"P1": 40, "P2": 8, "P3": 16},
    "gradsolve": {"lorenz": 8192},
}
"""As many as each engine does best with on one core: `vmap` slows down beyond a thousand or so, kernels do not."""


@dataclass(frozen=True)
class Choice:
    """What the command line asks for."""

    sections: Sequence[str]
    peers: Sequence[str]
    cores: tuple[int, ...]
    quick: bool
    sweep: Sequence[int]
    seconds: float
    folder: Path

    def tasks(self) -> Iterator[Task]:
        """Everything to measure, in order."""
        for section in self.sections:
            yield from self._swept(section) if self.sweep else self._section(section)

    def _section(self, section: str) -> Iterator[Task]:
        if section == "compile":
            for bodies in (1,) if self.quick else (1, 2, 4):
                yield self._task("P2", "forward", "twinjax.Fused", 8, 1, bodies=bodies, repeats=0)
            return
        if section == "ptx":
            for case in CASES:
                for precision in ("float64", "float32"):
                    yield self._task(case, "ptx", "twinjax.Fused", 64, 1, precision=precision)
            return
        gradient = section == "gradient"
        for case in ("P1", "P3") if gradient else ("P1",) if section == "closed" else (section,):
            what = section if section in ("gradient", "closed") else "forward"
            precision = "float32" if section == "lorenz" else "float64"
            for engine, size in self._engines(section):
                if engine == MATCHED and (case, what) not in _LOOSER:
                    continue
                for cores in (1, 2) if engine in ("twinjax.Fused", "twinjax.Exact") else (1,):
                    if cores <= len(self.cores):
                        yield self._task(case, what, engine, size, cores, precision=precision)

    def _engines(self, section: str) -> Iterator[tuple[str, int]]:
        for engine, sizes in _PATIENTS.items():
            if section in sizes and (engine.startswith("twinjax") or engine in self.peers):
                size = max(2, min(sizes[section] // 64, 256)) if self.quick else sizes[section]
                yield engine, size
                if engine == "twinjax.Fused":
                    yield MATCHED, size
                if section == "gradient" and engine == "vmap(diffrax)":
                    yield f"{engine} forward mode", size

    def _swept(self, section: str) -> Iterator[Task]:
        """A device's plan: every size, in both precisions."""
        if section == "compile":
            return
        if section == "ptx":
            yield from self._section(section)
            return
        theirs = {
            "lorenz": ("vmap(diffrax)", "gradsolve"),
            "P1": ("vmap(diffrax)", "nvqsp"),
            "P3": ("vmap(diffrax)", "nvqsp"),
        }
        peers = theirs.get(section, () if section == "closed" else ("vmap(diffrax)",))
        what = section if section in ("gradient", "closed") else "forward"
        for case in ("P1", "P3") if section == "gradient" else ("P1",) if section == "closed" else (section,):
            for precision in ("float32",) if section == "lorenz" else ("float64", "float32"):
                for size in self.sweep:
                    for engine in ("twinjax.Fused", *(e for e in peers if e in self.peers)):
                        if engine != "nvqsp" or precision == "float64":
                            yield self._task(case, what, engine, size, 0, precision=precision)

    def _task(self, case: str, what: str, engine: str, patients: int, cores: int, **more: object) -> Task:
        single = more.get("precision") == "float32"
        rtol, atol = (FLOAT32_RTOL, FLOAT32_ATOL) if single else (RTOL, ATOL)
        if engine == MATCHED:
            looser = _LOOSER[case, what]
            rtol, atol = looser * rtol, looser * atol
        if case == "lorenz":  # as the paper asks, of single precision too
            rtol = atol = 1e-8
        settings = {
            "cores": self.cores[:cores], "rtol": rtol, "atol": atol, "reference": str(self.reference(case)),
            "seconds": 0.2 if self.quick else self.seconds, "repeats": 2 if self.quick else 5,
        }  # fmt: skip
        return Task(case, what, engine, patients, **settings | more)

    def reference(self, case: str) -> Path:
        """The file of a case's reference."""
        return self.folder / f"{case}{'-quick' if self.quick else ''}.npz"
