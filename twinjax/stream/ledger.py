"""States that messages change, each exactly once, in a SQLite file that a kill at any moment leaves whole.

It knows nothing of twins, and imports nothing but Python: what a message does to a state is a function that is given.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import json
import sqlite3
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

APPLIED, DUPLICATE, REFUSED = "applied", "duplicate", "refused"

_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS states (patient TEXT PRIMARY KEY, state TEXT NOT NULL, version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS messages (
    id TEXT PRIMARY KEY, patient TEXT NOT NULL, content TEXT NOT NULL, digest TEXT NOT NULL, received TEXT NOT NULL,
    version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS refusals (
    number INTEGER PRIMARY KEY, id TEXT, patient TEXT, content TEXT NOT NULL, received TEXT NOT NULL,
    why TEXT NOT NULL);
"""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a message.

    **Parameters**: `status`, `APPLIED`, `DUPLICATE` (it had been applied before, with the same content) or `REFUSED`;
    `id` and `patient`, as far as they could be read; `why`, in words, where it was not applied, or where what is on
    record could not all be learnt.
    """

    status: str
    id: str | None
    patient: str | None
    why: str = ""


class Ledger:
    """One file of states by patient, and of every message that changed them.

    A message is applied in one transaction with the state that it leads to: both are there, or neither is. A message
    whose id was applied before is not applied again.
    """

    def __init__(self, file: str | Path):
        self.file = Path(file)
        self._connection = sqlite3.connect(self.file, isolation_level=None, timeout=60.0)
        weakref.finalize(self, _forgotten, self._connection).atexit = False
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk before it is said
        self._connection.executescript(_TABLES)

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")  # one writer at a time, also among processes
        try:
            yield self._connection
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    # -------------------------------------------------------------------------------------------------- what is kept

    def fact(self, name: str) -> Any:
        """What was said of the whole file under a name; None if nothing was."""
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def state_fact(self, name: str, value: Any) -> None:
        """Say something of the whole file."""
        with self._transaction() as c:
            c.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))

    @property
    def patients(self) -> tuple[str, ...]:
        """Who has a state."""
        return tuple(r[0] for r in self._connection.execute("SELECT patient FROM states ORDER BY patient"))

    def state(self, patient: str) -> Any:
        """A patient's state. **Raises** `KeyError` with the patients that there are."""
        row = self._connection.execute("SELECT state FROM states WHERE patient = ?", (patient,)).fetchone()
        if row is None:
            raise KeyError(f"there is no patient {patient!r}; there are {', '.join(self.patients[:20]) or 'none'}")
        return json.loads(row[0])

    def messages(self, patient: str | None = None) -> list[dict[str, Any]]:
        """Every message applied, in the order in which they were; of one patient if named."""
        asked = "SELECT id, patient, content, received, version FROM messages"
        rows = self._connection.execute(asked + " ORDER BY rowid").fetchall()
        names = ("id", "patient", "content", "received", "version")
        return [dict(zip(names, r, strict=True)) for r in rows if patient in (None, r[1])]

    def refusals(self) -> list[dict[str, Any]]:
        """Every message refused, and why."""
        rows = self._connection.execute("SELECT id, patient, content, received, why FROM refusals ORDER BY number")
        return [dict(zip(("id", "patient", "content", "received", "why"), r, strict=True)) for r in rows]

    # ---------------------------------------------------------------------------------------------------- what changes

    def begin(self, patient: str, state: Any) -> None:
        """A patient's first state. **Raises** `ValueError` for one who has a state already."""
        with self._transaction() as c:
            if c.execute("SELECT 1 FROM states WHERE patient = ?", (patient,)).fetchone():
                raise ValueError(f"patient {patient!r} has a twin already; update it, or take another name")
            c.execute("INSERT INTO states VALUES (?, ?, 0)", (patient, json.dumps(state)))

    def apply(self, id: str, patient: str, content: Mapping[str, Any], change: Callable[[Any], Any]) -> Outcome:
        """The state changed by a message, or why it is not. `change` makes the new state of the old one.

        A `ValueError` of `change` refuses the message, which leaves a note and no other trace; any other error is
        raised, and the message can be sent again. A refused message may be corrected and sent with the same id.
        """
        text, now = json.dumps(content, sort_keys=True), _now()
        digest = hashlib.sha256(text.encode()).hexdigest()
        with self._transaction() as c:
            row = c.execute("SELECT digest, received FROM messages WHERE id = ?", (id,)).fetchone()
            if row is not None and row[0] == digest:
                return Outcome(DUPLICATE, id, patient, f"it was applied on {row[1]}; nothing was done")
            if row is not None:
                return self._refused(c, id, patient, text, (
                    f"another message with the id {id!r} was applied on {row[1]}, and its content differs; if this one "
                    "is a correction or is new, send it with an id of its own"
                ))  # fmt: skip
            state = c.execute("SELECT state, version FROM states WHERE patient = ?", (patient,)).fetchone()
            if state is None:
                return self._refused(
                    c, id, patient, text, f"there is no twin of patient {patient!r}; begin one, or correct the patient"
                )
            try:
                new = json.dumps(change(json.loads(state[0])))
            except ValueError as error:
                return self._refused(c, id, patient, text, str(error))
            version = state[1] + 1
            c.execute("UPDATE states SET state = ?, version = ? WHERE patient = ?", (new, version, patient))
            c.execute("INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?)", (id, patient, text, digest, now, version))
        return Outcome(APPLIED, id, patient)

    def refuse(self, content: str, why: str, *, id: str | None = None, patient: str | None = None) -> Outcome:
        """Keep a note of something that could not even be read as a message."""
        with self._transaction() as c:
            return self._refused(c, id, patient, content, why)

    def _refused(self, c: sqlite3.Connection, id: str | None, patient: str | None, content: str, why: str) -> Outcome:
        c.execute(
            "INSERT INTO refusals (id, patient, content, received, why) VALUES (?, ?, ?, ?, ?)",
            (id, patient, content, _now(), why),
        )
        return Outcome(REFUSED, id, patient, why)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _forgotten(connection: sqlite3.Connection) -> None:
    """A ledger that is forgotten lets its file go, if that is in the thread that opened it."""
    with contextlib.suppress(sqlite3.ProgrammingError):
        connection.close()
