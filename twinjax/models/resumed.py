"""A model that begins in a state that it is given: what goes on from where something else left."""

from __future__ import annotations

import functools
import types
from typing import Any

from twinjax.models.base import AbstractModel


def resumed(model: AbstractModel, state: Any) -> AbstractModel:
    """The same equations, in whose beginning `state` (the model's `State`) holds.

    A reset (EVID 3, 4) returns to it too, so that resets do not go with it.
    """
    return _resumed_class(type(model))(model, state)


@functools.cache
def _resumed_class(cls: type[AbstractModel]) -> type[Any]:
    def derivative(self: Any, t: Any, y: Any, u: Any) -> Any:
        return self.model.derivative(t, y, u)

    def output(self: Any, t: Any, y: Any, u: Any) -> Any:
        return self.model.output(t, y, u)

    def initial(self: Any) -> Any:
        return self.began

    def routes(self: Any) -> Any:
        return self.model.routes()

    def balances(self: Any, t: Any, y: Any, u: Any) -> Any:
        return self.model.balances(t, y, u)

    def companions(self: Any) -> Any:
        return self.model.companions()

    def typical(own: Any) -> Any:
        model = cls.typical()
        return own(model, model.initial())

    namespace = {
        "__module__": __name__,
        "__doc__": f"{cls.__name__}, begun in a given state.",
        "__annotations__": {"model": cls, "began": cls.State},
        "State": cls.State, "Input": cls.Input, "Output": cls.Output, "time_unit": cls.time_unit,
        "nonnegative": cls.nonnegative, "signed": cls.signed, "quiescent": False, "stiff": cls.stiff,
        "derivative": derivative, "output": output, "initial": initial, "routes": routes, "balances": balances,
        "companions": companions, "typical": classmethod(typical),
    }  # fmt: skip
    made: Any = types.new_class(f"Resumed{cls.__name__}", (AbstractModel,), exec_body=lambda b: b.update(namespace))
    return made
