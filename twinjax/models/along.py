"""A model displaced along a direction in its parameters, so that one derivative serves every direction."""

from __future__ import annotations

import functools
import types
from typing import Any, TypeVar

import jax

from twinjax.models.base import AbstractModel
from twinjax.units import Real

M = TypeVar("M", bound=AbstractModel)


def along(model: M, direction: M) -> Any:
    """The model with parameters ``model + s direction``; its derivative by ``s``, at 0, is that along the direction.

    A kernel that carries derivatives is compiled for each parameter that they are by. This one is compiled once, and
    carries as many directions as there are patients.

    **Parameters**: `model`; `direction`, of the same form: what each parameter moves by.
    """
    return _along_class(type(model))(model, direction, 0.0)


@functools.cache
def _along_class(cls: type[AbstractModel]) -> type[Any]:
    def here(self: Any) -> Any:
        return jax.tree.map(lambda x, d: x + self.s * d, self.model, self.direction)

    def derivative(self: Any, t: Any, y: Any, u: Any) -> Any:
        return here(self).derivative(t, y, u)

    def output(self: Any, t: Any, y: Any, u: Any) -> Any:
        return here(self).output(t, y, u)

    def initial(self: Any) -> Any:
        return here(self).initial()

    def typical(own: Any) -> Any:
        model = cls.typical()
        return own(model, jax.tree.map(lambda x: 0.0 * x, model), 0.0)

    namespace = {
        "__module__": __name__,
        "__doc__": f"{cls.__name__}, displaced along a direction.",
        "__annotations__": {"model": cls, "direction": cls, "s": Real},
        "State": cls.State, "Input": cls.Input, "Output": cls.Output, "time_unit": cls.time_unit,
        "nonnegative": cls.nonnegative, "signed": cls.signed, "quiescent": cls.quiescent, "stiff": cls.stiff,
        "derivative": derivative, "output": output, "initial": initial, "typical": classmethod(typical),
    }  # fmt: skip
    made: Any = types.new_class(f"Along{cls.__name__}", (AbstractModel,), exec_body=lambda b: b.update(namespace))
    return made
