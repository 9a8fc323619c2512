"""Virtual patients with type 1 diabetes from a table in the form that the public simulators share."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from twinjax.models.glucose.uvapadova import UVAPadova


def read_virtual_patients(source: str | Path) -> dict[str, UVAPadova]:
    """Name to patient. The columns are those of simglucose's `vpatient_params.csv`: ``Name`` and the published names,
    in min, dL and pmol; those that follow from the others (basal masses, Vm0, kp1, u2ss) are not read.

    **Raises** `ValueError` naming the file, the patient and the columns for a missing or unusable value.
    """
    table = pd.read_csv(source)
    if "Name" not in table:
        raise ValueError(f"{source}: there is no column Name; it says which row is whom")
    found = {}
    for row, record in enumerate(table.to_dict("records"), 2):
        values = {str(n): v for n, v in record.items() if isinstance(v, int | float)}
        where = f"{source}, row {row} ({record['Name']})"
        bad = sorted(n for n, v in values.items() if n in UVAPadova.published and not v >= 0.0)
        if bad:
            raise ValueError(f"{where}: {', '.join(bad)} must be a number that is not negative")
        try:
            found[str(record["Name"])] = UVAPadova.per_minute(**values)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
    return found
