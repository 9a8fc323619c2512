"""`run`: a plan becomes files, however long it takes and however often it is killed on the way."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from twinjax.cohorts.found import Found
from twinjax.cohorts.pace import Pace
from twinjax.cohorts.plan import Plan, differences
from twinjax.cohorts.programs import Programs
from twinjax.cohorts.shard import Shard
from twinjax.cohorts.workers import AbstractWorkers, Threads
from twinjax.runs import RESULTS, Run, atomic, decisive, made_with
from twinjax.solve.problem import RESULTS as MEANINGS

JOURNAL = "shards.jsonl"
"""A line for each shard that is done, until the run ends and its manifest has them all."""


def run(
    plan: Plan,
    out: str | Path | None = None,
    *,
    workers: AbstractWorkers | None = None,
    resume: bool = False,
    progress: Callable[[Pace], None] | None = None,
) -> Found:
    """Simulate a cohort into a folder, shard by shard; memory does not grow with the number of patients.

    **Parameters**: `out`, a new folder (default ``runs/cohort-<time>``), or with `resume` that of a run that was
    killed or stopped, which goes on to the very bytes it would have had; `workers`, default `Threads()`; `progress`,
    called as patients are solved, by any thread.
    **Raises** `ValueError` for a plan that no backend serves, and with `resume` for one that is not the run's, in
    words; `KeyboardInterrupt` once what was done is recorded.
    """
    programs = Programs(plan)
    if resume:
        if out is None:
            raise ValueError("out says which run to resume: its folder")
        opened = Run.open(out)
    else:
        opened = Run.create("cohort", out=out, command=sys.argv, seed=plan.seed)
    return stream(programs, opened, workers=workers, progress=progress)


def stream(
    programs: Programs,
    run: Run,
    *,
    workers: AbstractWorkers | None = None,
    progress: Callable[[Pace], None] | None = None,
) -> Found:
    """As `run`, with a plan already compiled and a run already made; one that has shards goes on."""
    plan = programs.plan
    ended = run.status == "finished"
    kept = _begun(run, programs)
    shards = {s.number: s for s in kept}
    missing = [k for k in range(plan.shards) if k not in shards]
    if ended and not missing:
        return Found.open(run.folder)
    run.note(status="running", why=None, ended=None)
    for part in run.folder.glob("*/.*.part"):
        part.unlink(missing_ok=True)
    with atomic(run.folder / JOURNAL) as file:
        file.write_text("".join(map(_line, kept)), encoding="utf-8")
    pace = Pace(plan.patients, sum(s.patients for s in kept))

    def done(shard: Shard) -> None:
        shards[shard.number] = shard
        with (run.folder / JOURNAL).open("a", encoding="utf-8") as file:
            file.write(_line(shard))

    def solved(patients: int) -> None:
        pace.note(patients)
        if progress is not None:
            progress(pace)

    with run.recording():
        try:
            if missing:
                (workers or Threads()).work(programs, missing, run.folder, done=done, solved=solved)
        finally:
            if shards:
                _ended(run, programs, sorted(shards.values(), key=lambda s: s.number), pace)
    (run.folder / JOURNAL).unlink(missing_ok=True)
    return Found.open(run.folder)


def _begun(run: Run, programs: Programs) -> list[Shard]:
    """Write down what is asked; of a run that goes on, check that it is the same and say which shards are done.

    **Raises** `ValueError` in words where it is not.
    """
    asked = {"plan": programs.plan.told(), "program": programs.fingerprint}
    before, made = run.manifest, decisive(made_with())
    if before["kind"] != "cohort":
        raise ValueError(f"{run.folder} is a {before['kind']}, not a cohort that could go on")
    if "plan" not in before:
        run.note(**asked)
        return []
    both = (before["plan"], asked["plan"]), (before["program"], asked["program"]), (decisive(before), made)
    other = [line for then, now in both for line in differences(then, now)] + run.changed_inputs()
    if other:
        raise ValueError(f"{run.folder} cannot go on, it would not be one cohort: {'; '.join(other)}")
    done = [s for s in _recorded(run) if s.kept(run.folder)]
    run.log(f"goes on with {len(done)} of {programs.plan.shards} shards done")
    return done


def _recorded(run: Run) -> list[Shard]:
    """Shards that an earlier session finished; the last line of a journal may be torn."""
    journal, found = run.folder / JOURNAL, {}
    said: Iterable[Any] = run.manifest.get("shards") or ()
    if journal.is_file():
        said = [*said, *(_read(text) for text in journal.read_text(encoding="utf-8").splitlines())]
    for one in said:
        if one is not None:
            found[one["number"]] = Shard.of(one)
    return [found[number] for number in sorted(found)]


def _line(shard: Shard) -> str:
    return json.dumps(shard.to_dict()) + "\n"


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return None


def _ended(run: Run, programs: Programs, shards: list[Shard], pace: Pace) -> None:
    """Record the shards, and what they show together."""
    plan = programs.plan
    run.note(shards=[s.to_dict() for s in shards])
    found = Found.open(run.folder)
    told: dict[str, Any] = {}
    if plan.bands:
        frame = found.quantiles(plan.levels)
        run.write_frame("quantiles", frame)
        told |= {"quantiles": frame.to_dict("records"), "quantile_error": found.error}
    if plan.responders:
        frame = found.responders(plan.responders)
        run.write_frame("responders", frame)
        told["responders"] = frame.to_dict("records")
    done = sum(s.patients for s in shards)
    results = [{"code": c, "patients": n, "meaning": MEANINGS[c]} for c, n in found.codes.items()]
    run.write_json(RESULTS, {
        "patients": done, "asked": plan.patients, "seed": plan.seed, "backend": type(programs.backend).__name__,
        "seconds": pace.seconds, "rate": pace.rate, "results": results,
        "theta": {n: float(v) for n, v in plan.population.theta.items()}, **told,
    })  # fmt: skip
    run.log(
        f"{done} patients, {pace.done} of them in {pace.seconds:.2f} s ({pace.rate:.0f} a second); "
        + ", ".join(f"{r['patients']} {r['meaning']}" for r in results)
    )
