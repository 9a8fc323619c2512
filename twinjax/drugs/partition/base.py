"""The verb `partition`, what a method of it is, and the volume of distribution that follows."""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping
from typing import Any

import equinox as eqx

from twinjax.drugs.compound import Compound, known
from twinjax.naming import resolve
from twinjax.units import Scalar


class AbstractPartition(eqx.Module):
    """A method that predicts tissue:plasma ratios of total concentrations at steady state."""

    tissues: eqx.AbstractVar[dict[str, Any]]

    @abc.abstractmethod
    def coefficient(self, drug: Compound, tissue: str) -> Any:
        """Tissue:plasma ratio of one tissue of `tissues`."""


def partition(drug: Compound, method: AbstractPartition, tissues: Iterable[str] | None = None) -> dict[str, Any]:
    """Tissue:plasma ratio (total concentrations, steady state) of every tissue that a method knows, or of those named.

    **Raises** `ValueError` for a tissue that the method has no composition of (with the nearest names), and for a drug
    without a parameter that the method needs.
    """
    wanted = method.tissues if tissues is None else [resolve(t, method.tissues, "tissue") for t in tissues]
    return {tissue: method.coefficient(drug, tissue) for tissue in wanted}


def steady_state_volume(
    drug: Compound, coefficients: Mapping[str, Scalar], volumes: Mapping[str, Scalar], plasma: Scalar,
    erythrocytes: Scalar, haematocrit: Scalar = 0.45,
) -> Any:  # fmt: skip
    """Volume of distribution, ``plasma + erythrocytes E:P + sum of volume x coefficient``, in the unit of the volumes.

    **Parameters**: `coefficients`, tissue:plasma ratios; `volumes` of the same tissues; `plasma` and `erythrocytes`,
    their volumes; E:P, the ratio in erythrocytes, follows from blood:plasma (`erythrocytes_to_plasma`).
    **Raises** `ValueError` for tissues without a volume, and for volumes that are not positive.
    **Reference**: Poulin and Theil 2002, J Pharm Sci 91:129, doi:10.1002/jps.10005.
    """
    missing = sorted(set(coefficients) - set(volumes))
    if missing:
        raise ValueError(f"no volume is given of {', '.join(missing)}")
    for tissue, volume in {**volumes, "plasma": plasma}.items():
        number = known(volume)
        if number is not None and not number > 0.0:
            raise ValueError(f"the volume of {tissue} is {number:g}; it must be above zero")
    total = sum(volumes[t] * k for t, k in coefficients.items())
    return plasma + erythrocytes * erythrocytes_to_plasma(drug, haematocrit) + total


def erythrocytes_to_plasma(drug: Compound, haematocrit: Scalar = 0.45) -> Any:
    """Erythrocyte:plasma ratio of total concentrations, ``(B:P - 1 + H) / H``.

    **Raises** `ValueError` where `blood_to_plasma` is missing, or so low that erythrocytes would hold less than
    nothing.
    """
    if drug.blood_to_plasma is None:
        raise ValueError("the drug's blood_to_plasma is needed for what its erythrocytes hold; give the measured ratio")
    ratio, cells = known(drug.blood_to_plasma), known(haematocrit)
    if ratio is not None and cells is not None and ratio < 1.0 - cells - 1e-12:
        raise ValueError(
            f"blood_to_plasma is {ratio:g}, below 1 - haematocrit = {1.0 - cells:g}: plasma alone would give more"
        )
    return (drug.blood_to_plasma - 1.0 + haematocrit) / haematocrit
