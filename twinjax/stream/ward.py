"""Patients' twins in one file, fed by messages."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twinjax.assimilation.assimilate import assimilate
from twinjax.assimilation.fingerprint import fingerprint
from twinjax.assimilation.history import News
from twinjax.assimilation.methods.base import AbstractAssimilation
from twinjax.assimilation.storage import from_dict, to_dict
from twinjax.assimilation.twin import Twin
from twinjax.dosing import Regimen
from twinjax.io.fhir import Codes, NotUnderstood, bundled
from twinjax.io.messages import Clock, addressed, instant, read_message
from twinjax.population.population import Population
from twinjax.solve.problem import AbstractBackend
from twinjax.stream.ledger import Ledger, Outcome


class Ward:
    """Twins of one population, in a SQLite file.

    Every message is learnt in one transaction: a kill at any moment loses nothing that was said to be applied, and what
    was not can be sent again. Messages are known by their ids: one that comes twice is learnt once.

    **Parameters** of the constructor: `file`; `population`; `codes`, what FHIR's codes mean, by default those that the
    file has; `method` and `backend`, as of `Twin.of`.
    **Raises** `ValueError` for a file of another population.
    """

    def __init__(
        self,
        file: str | Path,
        population: Population,
        *,
        codes: Codes | None = None,
        method: AbstractAssimilation | None = None,
        backend: AbstractBackend | None = None,
    ):
        self.ledger, self.population, self.method, self.backend = Ledger(file), population, method, backend
        known, own = self.ledger.fact("population"), fingerprint(population)
        if known is not None and known != own:
            self.ledger.close()
            raise ValueError(f"{file} has twins of another population; its model or its numbers have changed since")
        if known is None:
            self.ledger.state_fact("population", own)
        if codes is not None:
            self.ledger.state_fact("codes", [codes.outputs, codes.covariates, codes.drugs])
        saved = self.ledger.fact("codes") or [{}, {}, {}]
        self.codes = Codes(saved[0], {n: (v[0], v[1]) for n, v in saved[1].items()}, saved[2])
        self._cache: dict[str, Twin] = {}

    def close(self) -> None:
        """Let the file go."""
        self.ledger.close()

    def admit(
        self,
        patient: str,
        *,
        covariates: Mapping[str, float] | None = None,
        doses: Regimen | None = None,
        epoch: datetime.datetime | None = None,
        now: datetime.datetime | None = None,
    ) -> Twin:
        """A patient's twin, who has none yet. `epoch` is their time 0; it has a zone. `now`, the clock of the trail."""
        if epoch is not None and epoch.tzinfo is None:
            raise ValueError("the epoch has no zone; give one, such as UTC")
        twin = Twin.of(self.population, id=patient, covariates=covariates, doses=doses, method=self.method,
                       backend=self.backend, when=now)  # fmt: skip
        self.ledger.begin(patient, {"twin": to_dict(twin), "epoch": None if epoch is None else epoch.isoformat()})
        return twin

    def twin(self, patient: str) -> Twin:
        """A patient's twin as the file has it. **Raises** `KeyError` with the patients that there are."""
        return self._twin(self.ledger.state(patient)["twin"])

    def epoch(self, patient: str) -> datetime.datetime | None:
        """A patient's time 0."""
        said = self.ledger.state(patient)["epoch"]
        return None if said is None else instant(said, "the epoch")

    def _twin(self, saved: dict[str, Any]) -> Twin:
        known = self._cache.get(saved["history"]["id"])
        if known is not None and known.hash == saved["trail"][-1]["hash"]:
            return known
        return from_dict(saved, self.population, method=self.method, backend=self.backend)

    def receive(self, text: str, *, now: datetime.datetime | None = None) -> list[Outcome]:
        """What becomes of a line or a file: a message, or a FHIR resource or bundle, as JSON.

        **Parameters**: `now`, the clock by which a time is in the future (default: this computer's).
        **Returns** an outcome for every message in it; none is ever raised for what it says.
        """
        try:
            plain = json.loads(text)
        except json.JSONDecodeError as error:
            return [self.ledger.refuse(text[:10_000], f"this is no JSON: {error}")]
        if isinstance(plain, dict) and "resourceType" in plain:
            found = []
            for message in bundled(plain, self.codes):
                if isinstance(message, NotUnderstood):
                    found.append(
                        self.ledger.refuse(text[:10_000], str(message), id=message.id, patient=message.patient)
                    )
                else:
                    found.append(self._message(message, now))
            return found
        return [self._message(plain, now)]

    def _message(self, plain: Any, now: datetime.datetime | None) -> Outcome:
        try:
            id, patient = addressed(plain)
        except ValueError as error:
            return self.ledger.refuse(json.dumps(plain)[:10_000], str(error))
        made: list[Twin] = []

        def change(state: dict[str, Any]) -> dict[str, Any]:
            twin = self._twin(state["twin"])
            epoch = None if state["epoch"] is None else instant(state["epoch"], "the epoch")
            m = read_message(plain, self.population.model, Clock(epoch, now))
            made.append(assimilate(twin, News(m.measurements, m.doses, m.covariates, m.at, source=id), when=now))
            return {**state, "twin": to_dict(made[0])}

        outcome = self.ledger.apply(id, patient, plain, change)
        if made and outcome.status == "applied":
            self._cache[patient] = made[0]
            left = made[0].trail[-1].get("left", ())
            said = [f"{m['value']:g} at {m['time']:g} is on record and not in the belief: {m['why']}" for m in left]
            outcome = dataclasses.replace(outcome, why="; ".join(said))
        return outcome
