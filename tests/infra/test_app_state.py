"""The typed registry behind `app.state`."""

import pytest
from fastapi import FastAPI

from ticketing.infra import app_state
from ticketing.infra.app_state import AppState


class Clock: ...


class FastClock(Clock): ...


def test_an_object_is_found_by_its_exact_class() -> None:
    clock, fast = Clock(), FastClock()
    state = AppState(clock, fast)
    assert (state.get(Clock), state.get(FastClock)) == (clock, fast)


def test_an_object_replaces_an_earlier_one_of_its_class() -> None:
    app = FastAPI()
    first, second = Clock(), Clock()
    app.state = AppState(first)
    app_state.of(app).provide(second)
    assert app_state.of(app).get(Clock) is second


def test_a_missing_object_is_named() -> None:
    assert AppState().find(Clock) is None
    with pytest.raises(LookupError, match="Clock"):
        AppState().get(Clock)
