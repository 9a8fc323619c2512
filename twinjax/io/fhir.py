"""HL7 FHIR R4: bundles of a patient's observations and medication in, forecasts as observations out.

Read are Patient (known, not needed), Observation (LOINC codes, UCUM units, comparators) and MedicationAdministration;
each becomes a message as `twinjax.io.messages` reads them. What a code means here is said by the ward: `Codes`.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from twinjax.naming import suggestion

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
_UCUM = {"h": "h", "min": "min", "d": "day", "wk": "week", "s": "s"}


@dataclasses.dataclass(frozen=True)
class Codes:
    """What codes mean.

    **Parameters**: `outputs`, LOINC code -> output of the model; `covariates`, LOINC code -> (covariate, its unit);
    `drugs`, code of a medication (of any system) -> state that it enters.
    """

    outputs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    covariates: Mapping[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    drugs: Mapping[str, str] = dataclasses.field(default_factory=dict)


class NotUnderstood(ValueError):
    """A resource that cannot become a message; `id` and `patient`, as far as they could be read."""

    def __init__(self, why: str, id: str | None = None, patient: str | None = None):
        super().__init__(why)
        self.id, self.patient = id, patient


def bundled(bundle: Any, codes: Codes) -> Iterator[dict[str, Any] | NotUnderstood]:
    """The messages in a bundle (or of one resource), and why the others are none.

    A resource's message has the id ``Type/id``, with its version where it has one: a resource sent again is a
    duplicate, and one whose content changed under the same version a conflict.
    """
    if not isinstance(bundle, Mapping) or "resourceType" not in bundle:
        yield NotUnderstood("this is no FHIR resource: it has no resourceType")
        return
    if bundle["resourceType"] != "Bundle":
        yield from _one(bundle, codes)
        return
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        yield NotUnderstood("the bundle's entry is not a list")
        return
    for i, entry in enumerate(entries, 1):
        resource = entry.get("resource") if isinstance(entry, Mapping) else None
        if not isinstance(resource, Mapping) or "resourceType" not in resource:
            yield NotUnderstood(f"entry {i} of the bundle has no resource with a resourceType")
            continue
        yield from _one(resource, codes)


def _one(resource: Mapping[str, Any], codes: Codes) -> Iterator[dict[str, Any] | NotUnderstood]:
    kind, id, patient = str(resource["resourceType"]), None, None
    if kind == "Patient":
        return
    try:
        readers = {"Observation": _observation, "MedicationAdministration": _administration}
        if kind not in readers:
            raise ValueError(f"{kind} is not read here; send {', '.join(readers)}")
        if not isinstance(resource.get("id"), str):
            raise ValueError(f"the {kind} has no id, by which it could be known again")
        version = (resource.get("meta") or {}).get("versionId")
        id = f"{kind}/{resource['id']}" + (f"/{version}" if version else "")
        patient = _patient(resource)
        yield {"id": id, "patient": patient, **readers[kind](resource, codes)}
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        yield NotUnderstood(str(error) if isinstance(error, ValueError) else f"it is malformed: {error!r}", id, patient)


def _observation(resource: Mapping[str, Any], codes: Codes) -> dict[str, Any]:
    status = resource.get("status")
    if status in ("amended", "corrected"):
        raise ValueError(f"the observation is {status}: what was learnt from it is not taken back; begin the twin anew "
                         "from corrected data")  # fmt: skip
    if status not in ("final", "preliminary"):
        raise ValueError(f"the observation's status is {status!r}; only final and preliminary ones are learnt")
    known = [*codes.outputs, *codes.covariates]
    code = _code(resource.get("code"), known, LOINC)
    quantity = resource.get("valueQuantity")
    if not isinstance(quantity, Mapping) or "value" not in quantity:
        raise ValueError("the observation has no valueQuantity with a value")
    unit = _unit(quantity)
    at = {"at": _effective(resource)}
    if code in codes.covariates:
        from twinjax.io.messages import factor

        name, wanted = codes.covariates[code]
        return {**at, "covariates": {name: quantity["value"] * factor(unit, wanted, name)}}
    comparator = quantity.get("comparator")
    if comparator not in (None, "<", "<=", ">", ">="):
        raise ValueError(f"the comparator {comparator!r} is none of <, <=, >, >=")
    censored = {} if comparator is None else {"below" if comparator in ("<", "<=") else "above": True}
    return {
        **at,
        "measurements": [{"output": codes.outputs[code], "value": quantity["value"], "unit": unit, **censored}],
    }


def _administration(resource: Mapping[str, Any], codes: Codes) -> dict[str, Any]:
    status = resource.get("status")
    if status != "completed":
        raise ValueError(f"the administration's status is {status!r}; only completed ones are doses that were given")
    into = codes.drugs[_code(resource.get("medicationCodeableConcept"), codes.drugs, None)]
    dose = (resource.get("dosage") or {}).get("dose")
    if not isinstance(dose, Mapping) or "value" not in dose:
        raise ValueError("the administration has no dosage.dose with a value")
    given: dict[str, Any] = {"amount": dose["value"], "unit": _unit(dose), "into": into}
    period = resource.get("effectivePeriod")
    if isinstance(period, Mapping) and period.get("start") and period.get("end"):
        begin, end = (datetime.datetime.fromisoformat(period[n]) for n in ("start", "end"))
        if not end > begin:
            raise ValueError("the administration's period ends before it begins")
        given["duration"] = (end - begin).total_seconds() / 3600.0
    return {"at": _effective(resource), "doses": [given]}


def _patient(resource: Mapping[str, Any]) -> str:
    reference = (resource.get("subject") or {}).get("reference")
    if not isinstance(reference, str) or "/" not in reference:
        raise ValueError("the resource has no subject.reference such as Patient/123")
    return reference.rsplit("/", 1)[1]


def _code(concept: Any, known: Any, system: str | None) -> str:
    codings = (concept or {}).get("coding") or []
    found = [str(c.get("code")) for c in codings if system is None or c.get("system") in (None, system)]
    for code in found:
        if code in known:
            return code
    said = ", ".join(found) or "none"
    raise ValueError(f"its code ({said}) means nothing here{suggestion(said, list(known))}")


def _unit(quantity: Mapping[str, Any]) -> str:
    if quantity.get("system") not in (None, UCUM):
        raise ValueError(f"the unit's system is {quantity['system']!r}; send UCUM ({UCUM})")
    unit = quantity.get("code") or quantity.get("unit")
    if not isinstance(unit, str):
        raise ValueError("the quantity has no unit (a UCUM code)")
    return _UCUM.get(unit, unit)


def _effective(resource: Mapping[str, Any]) -> str:
    found = resource.get("effectiveDateTime") or (resource.get("effectivePeriod") or {}).get("start")
    if not isinstance(found, str):
        raise ValueError("the resource has no effectiveDateTime")
    return found


def forecast_bundle(
    table: pd.DataFrame, codes: Codes, units: Mapping[str, str], *, patient: str, epoch: datetime.datetime, made: str
) -> dict[str, Any]:
    """A forecast as a bundle of preliminary Observations: the median, and the ends of the band as components.

    **Parameters**: `table`, of a `Forecast`; `units`, of outputs; `made`, what identifies the twin that made it.
    Outputs without a code are left out.
    """
    code = {output: c for c, output in codes.outputs.items()}
    entries = []
    for row in table.to_dict("records"):
        if row["output"] not in code:
            continue
        when = epoch + datetime.timedelta(hours=float(row["time"]))
        unit = units.get(row["output"], "1").replace("cells/L", "10*9/L")

        def quantity(name: str, row: Any = row, unit: str = unit) -> dict[str, Any]:
            return {"value": float(row[name]), "unit": unit, "system": UCUM, "code": unit}

        entries.append({"resource": {
            "resourceType": "Observation", "status": "preliminary",
            "id": f"{made[:16]}-{row['output'].replace('.', '-')}-{row['time']:g}".replace(".", "-"),
            "code": {"coding": [{"system": LOINC, "code": code[row["output"]]}]},
            "subject": {"reference": f"Patient/{patient}"}, "effectiveDateTime": when.isoformat(),
            "valueQuantity": quantity("median"),
            "component": [
                {"code": {"text": f"{end} end of the credible band"}, "valueQuantity": quantity(end)}
                for end in ("lower", "upper")
            ],
            "note": [{"text": f"Foreseen by a model, not measured. Twin {made}."}],
        }})  # fmt: skip
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}
