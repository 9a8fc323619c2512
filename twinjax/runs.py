"""A run's folder: what was asked, what was found, and what it was found with. Nothing in it is ever half written."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from twinjax.estimation.result import Fit
    from twinjax.io.study import Study

MANIFEST, STUDY, RESULTS, PARTIAL, LOG = "manifest.json", "study.toml", "results.json", "partial.json", "log.txt"
_PACKAGES = (
    "twinjax", "jax", "jaxlib", "diffrax", "equinox", "optax", "optimistix", "llvmlite", "numpy", "scipy", "pandas",
    "pyarrow",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Run:
    """A folder with the record of one computation.

    It holds ``manifest.json`` (status, command, versions, device, seed, hashes of the inputs), ``study.toml`` (the
    study as run, which can be run again), ``log.txt``, and what was found: ``results.json`` and tables (of a fit:
    ``estimates``, ``etas``, ``predictions``, a posterior's ``draws``) as Parquet and CSV, and ``plots/``. A search that
    did not end leaves ``partial.json``, the best point so far. Files are written under another name and renamed when
    complete.
    """

    folder: Path

    # ------------------------------------------------------------------------------------------------ making, opening

    @staticmethod
    def create(
        kind: str, study: Study | None = None, *, out: str | Path | None = None, command: Sequence[str] = (),
        seed: int | None = None, inputs: Sequence[Path] = (),
    ) -> Run:  # fmt: skip
        """A new run of a study, or of what a program put together: ``runs/<name>-<timestamp>``, or the folder `out`,
        which must be empty or new.

        **Raises** `FileExistsError` where `out` holds something.
        """
        now = datetime.datetime.now().astimezone()
        called = kind if study is None else study.name
        name = called if study is None or kind == "fit" else f"{called}-{kind}"
        folder = _fresh(Path("runs"), f"{name}-{now:%Y%m%d-%H%M%S}") if out is None else Path(out)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FileExistsError(f"{folder} is there already and not empty; choose another --out, or remove it")
        folder.mkdir(parents=True, exist_ok=True)
        run = Run(folder.resolve())
        if study is not None:
            run._write_text(STUDY, study.to_toml())
        files = {str(f): sha256(f) for f in dict.fromkeys((*(study.files if study is not None else ()), *inputs))}
        run._write_manifest({
            "kind": kind, "name": called, "status": "running", "why": None, "command": list(command),
            "started": now.isoformat(timespec="seconds"), "ended": None, "seed": seed, "inputs": files,
            "python": platform.python_version(), "platform": platform.platform(), **made_with(),
        })  # fmt: skip
        run.log(f"twinjax {made_with()['versions']['twinjax']}: {kind} of {called}")
        return run

    @staticmethod
    def open(folder: str | Path) -> Run:
        """A run that is there.

        **Raises** `FileNotFoundError` where the folder is none, naming the runs beside it.
        """
        folder = Path(folder)
        if not (folder / MANIFEST).is_file():
            beside = (
                sorted(f.parent.name for f in folder.parent.glob(f"*/{MANIFEST}")) if folder.parent.is_dir() else []
            )
            hint = f"; there are {', '.join(beside[-5:])}" if beside else ""
            raise FileNotFoundError(f"{folder} is not a run: it has no {MANIFEST}{hint}")
        return Run(folder.resolve())

    @contextlib.contextmanager
    def recording(self) -> Iterator[Run]:
        """While inside, the run is under way; then it is finished, or interrupted or failed, and says why."""
        try:
            yield self
        except KeyboardInterrupt:
            self.close("interrupted", "stopped by the user")
            raise
        except BaseException as error:
            self.close("failed", f"{type(error).__name__}: {error}")
            raise
        else:
            self.close("finished")

    def note(self, **more: Any) -> None:
        """Say more of the run in its manifest."""
        self._write_manifest({**self.manifest, **more})

    def close(self, status: str, why: str | None = None) -> None:
        """Say how the run ended."""
        ended = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        self._write_manifest({**self.manifest, "status": status, "why": why, "ended": ended})
        self.log(status if why is None else f"{status}: {why}")

    # -------------------------------------------------------------------------------------------------------- reading

    @property
    def manifest(self) -> dict[str, Any]:
        """What is known of the run itself."""
        return self._read(MANIFEST) or {}

    @property
    def status(self) -> str:
        """``finished``, ``interrupted``, ``failed``, or ``unfinished``: still running, or killed."""
        status = self.manifest["status"]
        return "unfinished" if status == "running" else status

    @property
    def results(self) -> dict[str, Any] | None:
        """What was found; None where the run did not get there."""
        return self._read(RESULTS)

    @property
    def partial(self) -> dict[str, Any] | None:
        """The best point of a search that did not end."""
        return self._read(PARTIAL)

    def study(self) -> Study:
        """The study as run."""
        from twinjax.io.study import read_study

        return dataclasses.replace(read_study(self.folder / STUDY), name=self.manifest["name"])

    def theta(self) -> dict[str, float]:
        """Every named value at the estimates.

        **Raises** `ValueError` for a run that is no fit, or has found nothing.
        """
        found = self.results or self.partial
        if not found or "theta" not in found:
            raise ValueError(f"{self.folder} holds no estimates (its {self.manifest['kind']} is {self.status})")
        return found["theta"]

    def changed_inputs(self) -> list[str]:
        """What no longer is as it was when the run was made, in words; empty if nothing."""
        found = []
        for name, hash in self.manifest["inputs"].items():
            file = Path(name)
            if not file.is_file():
                found.append(f"{name} is gone")
            elif sha256(file) != hash:
                found.append(f"{name} has changed since")
        return found

    # -------------------------------------------------------------------------------------------------------- writing

    def store(self, fit: Fit) -> None:
        """A fit's results, estimates, etas and predictions."""
        from twinjax.estimation.diagnosis.residuals import diagnose, etas

        name = type(fit.population.model).__name__
        told = {"model": name, "trial": {"name": fit.trial.name, **fit.trial.summary()}, "converged": fit.converged,
                "doubts": list(fit.doubts), "remarks": getattr(fit.evidence, "remarks", ""),
                "minus_two_log_likelihood": fit.minus_two_log_likelihood}  # fmt: skip
        self.write_json(RESULTS, {**told, **fit.to_dict()})
        self.write_frame("estimates", fit.table.reset_index())
        self.write_frame("etas", etas(fit))
        self.write_frame("predictions", diagnose(fit))
        for own, frame in getattr(fit.evidence, "frames", {}).items():
            self.write_frame(own, frame)
        (self.folder / PARTIAL).unlink(missing_ok=True)
        self.log(f"objective {fit.objective:.3f}. {fit.verdict}")

    def write_json(self, name: str, value: Any) -> Path:
        """A JSON file; numbers that are not finite become null, so that every reader can read it."""
        return self._write_text(name, json.dumps(plain(value), indent=1) + "\n")

    def write_frame(self, name: str, frame: pd.DataFrame) -> None:
        """A table, as Parquet and as CSV."""
        with atomic(self.folder / f"{name}.parquet") as part:
            frame.to_parquet(part, index=False)
        with atomic(self.folder / f"{name}.csv") as part:
            frame.to_csv(part, index=False)

    def save_plot(self, name: str, figure: Any) -> Path:
        """A matplotlib figure as ``plots/<name>.png``."""
        (self.folder / "plots").mkdir(exist_ok=True)
        file = self.folder / "plots" / f"{name}.png"
        with atomic(file) as part:
            figure.savefig(part, format="png", dpi=150)
        return file

    def log(self, line: str) -> None:
        """A line in the log, with the time."""
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(f"{now}  {line}\n")

    def _write_manifest(self, manifest: Mapping[str, Any]) -> None:
        self.write_json(MANIFEST, manifest)

    def _write_text(self, name: str, text: str) -> Path:
        with atomic(self.folder / name) as part:
            part.write_text(text, encoding="utf-8")
        return self.folder / name

    def _read(self, name: str) -> dict[str, Any] | None:
        file = self.folder / name
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else None


@contextlib.contextmanager
def atomic(file: Path) -> Iterator[Path]:
    """A path to write to, renamed to `file` when the block ends well and removed when it does not."""
    part = file.with_name(f".{file.name}.{os.getpid()}-{secrets.token_hex(4)}.part")  # also between machines
    try:
        yield part
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)


def sha256(file: Path) -> str:
    """Of a file's content."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def plain(value: Any) -> Any:
    """Plain JSON: arrays become lists, numbers that are not finite None."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and value - value != 0:
        return None
    return value


def _fresh(parent: Path, name: str) -> Path:
    name = re.sub(r"[^\w.-]+", "_", name)
    folder, n = parent / name, 1
    while folder.exists():
        n += 1
        folder = parent / f"{name}-{n}"
    return folder


def made_with() -> dict[str, Any]:
    """Versions, device and compiler flags."""
    return {"versions": _versions(), "device": _device(), "xla_flags": _flags()}


def decisive(made: Mapping[str, Any]) -> dict[str, Any]:
    """What the last digits of a result may depend on, of what a run was made with."""
    device = {k: made["device"].get(k) for k in ("platform", "kind", "processor")}
    return {"versions": made["versions"], "device": device, "xla_flags": made.get("xla_flags")}


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _device() -> dict[str, Any]:
    import jax

    devices = jax.devices()
    return {
        "platform": devices[0].platform,
        "kind": devices[0].device_kind,
        "count": len(devices),
        "cpus": os.cpu_count(),
        "processor": _processor(),
    }


def _flags() -> str:
    """XLA's, but for how many devices a computer pretends to have."""
    given = os.environ.get("XLA_FLAGS", "").split()
    return " ".join(f for f in given if "xla_force_host_platform_device_count" not in f)


@functools.cache
def _processor() -> str:
    """Its model, for which code is compiled."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.is_file() else ():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()
