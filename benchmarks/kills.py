"""Is anything lost, or applied twice, when a ward's process is killed? One JSON line, as ``kills.py [--kills 1000]``.

A process that feeds a ward with messages is killed (SIGKILL) at a random moment among its updates, again and again; the
next one is told to go on a few messages before the last that was said to be done, as a sender does that does not know
what arrived. Messages are measurements and doses, plain and as FHIR bundles; between them come malformed, conflicting
and duplicated ones, wrong units and clocks ahead. In the end every twin is to be, digit for digit, that of a ward that
was never killed and got each message once.

Processes are forked from one that has imported everything and started nothing of JAX's, so that each has threads and
compiled programs of its own: these are traced anew and read from caches on the disk, which takes a process most of a
second of processor time before it can be killed among updates; the moment is even over the time in which it learns and
commits. What is to be imported is what a first process, which is not killed, had imported in the end. ``--recorded``
spares processes the programs too: twins and what `assimilate` makes of them are kept by the process that is not killed,
and those forked from it find them there, after as long as an update takes. All else is done in them as ever: messages
read, checked and converted, FHIR, twins as JSON, transactions.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import jax

import twinjax as tj
from twinjax.assimilation.storage import to_dict
from twinjax.cli.cache import keep_compiled
from twinjax.io.conversion import converted
from twinjax.io.fhir import Codes
from twinjax.models import OneCompartment
from twinjax.stream import Ledger, Ward
from twinjax.stream import ward as ward_module

EACH = 7
"""Messages with a measurement of one patient."""
EPOCH = datetime.datetime(2026, 1, 2, 8, tzinfo=datetime.UTC)
NOW = EPOCH + datetime.timedelta(days=10)
CODES = Codes({"20578-1": "plasma"}, {}, {"11124": "central"})
UCUM = "http://unitsofmeasure.org"


def population() -> tj.Population:
    return tj.Population(
        OneCompartment(cl=3.0, v=40.0), variability={"cl": 0.4}, fixed=["v"], residual=tj.Proportional(0.15)
    )


def opened(file: Path) -> Ward:
    return Ward(file, population(), codes=CODES, method=tj.ExtendedKalman())


# ------------------------------------------------------------------------------------------------------- what is sent


def text(k: int) -> str:
    """The k-th message: always the same."""
    rng, (who, n) = random.Random(k), divmod(k, EACH)
    patient, id, value = f"P{who}", f"m{k}", round(rng.uniform(2.0, 8.0), 3)
    plain: dict[str, Any] = {"id": id, "patient": patient, "time": 6.0 * n + 1.0, "measurements": [{"value": value}]}
    if n == 0:
        plain["doses"] = [{"amount": 200, "into": "central", "time": 0.0, "every": 12, "count": 4}]
    if bundle(k):
        return json.dumps({"resourceType": "Bundle", "type": "message", "entry": [
            observation(id, patient, n, value, "ug/mL"), observation(id, patient, n, value, "ug/mL"),
            observation(id, patient, n, value + 1.0, "ug/mL"), {"fullUrl": "urn:uuid:1"},
        ]})  # fmt: skip
    return json.dumps(plain)


def bundle(k: int) -> bool:
    """Whether the k-th message comes as FHIR."""
    return k % EACH > 0 and random.Random(2 * 10**9 + k).randrange(4) == 0


def observation(id: str, patient: str, n: int, value: float, unit: str) -> dict[str, Any]:
    when = EPOCH + datetime.timedelta(hours=6.0 * n + 1.0)
    return {"resource": {
        "resourceType": "Observation", "id": id, "status": "final", "subject": {"reference": f"Patient/{patient}"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "20578-1"}]}, "effectiveDateTime": when.isoformat(),
        "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit}}}  # fmt: skip


def junk(k: int) -> str | None:
    """What comes besides after the k-th message, and is to be refused; None for nothing."""
    rng = random.Random(10**9 + k)
    base: dict[str, Any] = {"id": f"x{k}", "patient": f"P{k // EACH}", "time": 1.0}
    return rng.choice([
        None, None, None, '{"id": "x', json.dumps({**base, "measurements": [{"value": 1.0, "unit": "umol/L"}]}),
        json.dumps({**base, "id": f"Observation/m{k}" if bundle(k) else f"m{k}", "measurements": [{"value": 99.0}]}),
        json.dumps({"id": f"x{k}", "patient": base["patient"], "at": (NOW + datetime.timedelta(days=1)).isoformat(),
                    "measurements": [{"value": 1.0}]}),
        json.dumps({**base, "patient": "nobody", "measurements": [{"value": 1.0}]}),
    ])  # fmt: skip


def fed(ward: Ward, k: int) -> None:
    """The k-th message sent, and what comes besides. **Raises** `RuntimeError` if anything becomes of it but what is to."""
    patient = f"P{k // EACH}"
    if k % EACH == 0 and patient not in ward.ledger.patients:
        ward.admit(patient, epoch=EPOCH, now=NOW)
    first, *rest = ward.receive(text(k), now=NOW)
    if first.status not in ("applied", "duplicate") or (rest and [o.status for o in rest][-2:] != ["refused"] * 2):
        raise RuntimeError(f"message {k}: {first}, {rest}")
    if (other := junk(k)) is not None:
        (outcome,) = ward.receive(other, now=NOW)
        if outcome.status != "refused" or not outcome.why:
            raise RuntimeError(f"what comes after message {k}: {outcome}")


# --------------------------------------------------------------------------------------------------------- processes


class Recorded:
    """Twins and what `assimilate` makes of them, kept by one process and found by those forked from it."""

    def __init__(self, seconds: float = 0.03):
        self.seconds, self.begun, self.twins, self.made = seconds, {}, {}, {}

    def record(self, ward: Ward) -> None:
        """Keep what this ward does."""
        admit = ward.admit

        def admitted(patient: str, **more: Any) -> Any:
            self.begun[patient] = twin = admit(patient, **more)
            self.twins[twin.hash] = twin
            return twin

        def assimilate(twin: Any, news: Any, **more: Any) -> Any:
            made = self.made[twin.hash, news.source] = tj.assimilate(twin, news, **more)
            self.twins[made.hash] = made
            return made

        ward.admit, ward_module.assimilate = admitted, assimilate  # type: ignore[method-assign]

    def recall(self, ward: Ward) -> None:
        """Find what was kept in place of doing it."""

        def assimilate(twin: Any, news: Any, **_: Any) -> Any:
            time.sleep(self.seconds)
            return self.made[twin.hash, news.source]

        def admit(patient: str, *, epoch: datetime.datetime, now: datetime.datetime) -> None:
            state = {"twin": to_dict(self.begun[patient]), "epoch": epoch.isoformat()}
            ward.ledger.begin(patient, state)

        ward._twin = lambda saved: self.twins[saved["trail"][-1]["hash"]]  # type: ignore[method-assign]
        ward.admit, ward_module.assimilate = admit, assimilate  # type: ignore[method-assign,assignment]


def marked(write: int) -> None:
    """From now on this process says when it begins and ends to learn."""
    learn = ward_module.assimilate

    def assimilate(*news: Any, **more: Any) -> Any:
        os.write(write, b"learning\n")
        made = learn(*news, **more)
        os.write(write, b"learnt\n")
        return made

    ward_module.assimilate = assimilate  # type: ignore[assignment]


def forked(file: Path, numbers: Any, recorded: Recorded | None) -> tuple[int, int]:
    """A process that feeds messages of these numbers to the ward, and the pipe by which it says where it is, and, in
    the end, what it had imported.
    """
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        return child, read
    try:
        os.close(read)
        ward = opened(file)
        if recorded is None:
            scratch = opened(Path(":memory:"))
            for k in (0, 1):  # what is needed is compiled
                fed(scratch, k)
        else:
            recorded.recall(ward)
        marked(write)
        os.write(write, b"ready\n")
        for k in numbers:
            os.write(write, b"begun %d\n" % k)
            began = time.monotonic()
            fed(ward, k)
            os.write(write, b"done %d %.4f\n" % (k, time.monotonic() - began))
        with os.fdopen(write, "w") as said:
            said.write(f"imported {' '.join(sys.modules)}\n")
        os._exit(0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)


def whole(file: Path, numbers: Any, recorded: Recorded | None = None) -> list[str]:
    """Messages fed by a process that is not killed; the modules that it had imported in the end."""
    child, read = forked(file, numbers, recorded)
    with os.fdopen(read) as said:
        lines = said.read().splitlines()
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("a process ended by itself; what it said is above")
    return lines[-1].split()[1:]


def acquainted(modules: list[str]) -> None:
    """Import these here, so that processes forked from this one need not."""
    for name in modules:
        with contextlib.suppress(ImportError, AttributeError):
            importlib.import_module(name)
    converted("ug/mL", "mg/L")  # pint reads its table of units


def kept(file: Path) -> tuple[list[Any], list[Any]]:
    """States and messages as the file has them."""
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as c:
        states = c.execute("SELECT patient, version, state FROM states ORDER BY patient").fetchall()
        messages = c.execute("SELECT id, patient, digest, version FROM messages ORDER BY rowid").fetchall()
    return states, messages


WHEN = {"begun": "reading", "learning": "learning", "learnt": "committing"}
"""What a process was doing, by what it said last. The first and the last of these also by what comes besides."""


class Killer:
    """Feeds a file by processes that it kills, and counts."""

    def __init__(self, file: Path, rng: random.Random, last: int, recorded: Recorded | None):
        self.file, self.rng, self.last, self.recorded = file, rng, last, recorded
        self.kills = self.done = self.again = 0
        self.when: Counter[str] = Counter()  # what the killed were doing
        self.pace = 0.2  # seconds from one message to the next, as seen so far

    def kill(self) -> None:
        """One process more. **Raises** `RuntimeError` if what was said to be done is not there, or more is."""
        known = self.done
        start = max(0, known - self.rng.randrange(3))
        child, read = forked(self.file, range(start, self.last), self.recorded)
        with os.fdopen(read) as said:
            if said.readline() != "ready\n":
                raise RuntimeError("a process ended by itself; what it said is above")
            time.sleep(self.rng.uniform(0.0, 4.0 * self.pace))
            os.kill(child, signal.SIGKILL)
            lines = said.read().splitlines()
        for _, k, seconds in (line.split() for line in lines if line.startswith("done")):
            if int(k) >= self.done:  # one that is sent again takes no time
                self.done, self.pace = int(k) + 1, 0.9 * self.pace + 0.1 * float(seconds)
        status = os.waitpid(child, 0)[1]
        if status not in (0, signal.SIGKILL):
            raise RuntimeError("a process ended by itself; what it said is above")
        if status == signal.SIGKILL:  # else it had come to the end before
            self.kills += 1
            self.again += max(0, known - start)
            last = lines[-1].split()[0] if lines else ""
            self.when[WHEN.get(last, "between_messages")] += 1
        with sqlite3.connect(f"file:{self.file}?mode=ro", uri=True) as c:
            (many,) = c.execute("SELECT count(*) FROM messages").fetchone()
        self.when["committed_and_not_said"] += many > self.done
        if many not in (self.done, self.done + 1):  # at most the one that was under way is there besides
            raise RuntimeError(f"{self.done} messages were said to be done, and {many} are there")


def differences(file: Path, other: Path) -> dict[str, int]:
    """Of a ward that was killed from one that was not."""
    (states, messages), (other_states, other_messages) = kept(file), kept(other)
    with sqlite3.connect(file) as book:
        (refused,) = book.execute("SELECT count(*) FROM refusals").fetchone()
        (silent,) = book.execute("SELECT count(*) FROM refusals WHERE why = ''").fetchone()
        (sound,) = book.execute("PRAGMA integrity_check").fetchone()
    return {
        "lost": len(set(other_messages) - set(messages)),
        "applied_twice": len(messages) - len({m[0] for m in messages}),
        "twins_that_differ": sum(a != b for a, b in zip(states, other_states, strict=True)),
        "wards_in_another_order": int(messages != other_messages), "damaged_files": int(sound != "ok"),
        "refused": refused, "refused_without_a_word": silent,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--messages", type=int, default=70, help="of a ward; when all are done, another is begun")
    parser.add_argument("--recorded", action="store_true", help="look up what updates come to")
    parser.add_argument("--minutes", type=float, default=600.0, help="stop killing after so long")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    keep_compiled()
    warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called")
    _ = tj.ExtendedKalman, tj.assimilate, tj.Twin  # names are imported when they are asked for: here, once
    folder, rng, last = Path(tempfile.mkdtemp()), random.Random(asked.seed), -(-asked.messages // EACH) * EACH
    other, recorded = folder / "whole.sqlite", None
    if asked.recorded:
        recorded, ward = Recorded(), opened(other)
        recorded.record(ward)
        for k in range(last):
            fed(ward, k)
        ward.close()
    else:
        acquainted(whole(other, range(last)))
    began, total = time.monotonic(), Counter()
    while total["kills"] < asked.kills and time.monotonic() - began < 60.0 * asked.minutes:
        file = folder / f"killed{total['wards']}.sqlite"
        Ledger(file).close()
        killer = Killer(file, rng, last, recorded)
        while (
            killer.done < last
            and total["kills"] + killer.kills < asked.kills
            and (time.monotonic() - began < 60.0 * asked.minutes)
        ):
            killer.kill()
        whole(file, range(max(0, killer.done - 3), last), recorded)
        total.update({
            "wards": 1, "kills": killer.kills, **killer.when, "messages": last, "sent_again": killer.again,
            **differences(file, other),
        })  # fmt: skip
        print(f"{total['kills']} kills, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    print(json.dumps({
        "benchmark": "kills", "updates": "recorded" if asked.recorded else "computed", **total,
        "seconds": round(time.monotonic() - began), "device": "cpu", "jax": jax.__version__,
        "load": round(os.getloadavg()[0], 1),
    }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
