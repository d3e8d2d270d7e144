"""Typed access to `app.state`: the long-lived objects of one API process, one per class.

`main` provides every object in one place; `infra` and the modules look up what they need by its class. Neither side has
to know the other's classes, and the type checker knows what a look-up returns.
"""

from typing import Any, TypeVar, cast

from starlette.applications import Starlette
from starlette.datastructures import State

T = TypeVar("T")


class AppState(State):
    """A registry of objects by their exact class."""

    _objects: dict[type[Any], object]

    def __init__(self, *objects: object) -> None:
        super().__init__()
        self._objects = {}
        self.provide(*objects)

    def provide(self, *objects: object) -> None:
        """Add objects. An object replaces an earlier one of the same class."""
        self._objects.update({type(each): each for each in objects})

    def get(self, kind: type[T]) -> T:
        """Return the object of this class. Raises LookupError when none was provided."""
        if (found := self.find(kind)) is None:
            raise LookupError(f"app.state has no {kind.__name__}")
        return found

    def find(self, kind: type[T]) -> T | None:
        """Return the object of this class; None when the process runs without one."""
        return cast("T | None", self._objects.get(kind))


def of(app: Starlette) -> AppState:
    """Return the application's state, typed."""
    assert isinstance(app.state, AppState)  # `create_app` sets it
    return app.state
