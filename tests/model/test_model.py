"""The database and a small model agree after any sequence of actions, lapses and crashes."""

import asyncio
import os

from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.application import Application
from tests.model.machine import OnSale
from tests.support.world import World

#: "full" runs many examples; "first" stops at the first failure without shrinking it.
FUZZ = os.environ.get("FUZZ")
IS_FULL = FUZZ == "full"
#: The same examples in every run, unless FUZZ is "full".
SETTINGS = settings(
    max_examples=1000 if IS_FULL else 15,
    stateful_step_count=80 if IS_FULL else 25,
    derandomize=not IS_FULL,
    database=None,
    deadline=None,
    print_blob=False,
    phases=[Phase.generate] if FUZZ == "first" else list(Phase),
    suppress_health_check=list(HealthCheck),
)


#: Outcomes that must have occurred: a model that is never exercised agrees with everything.
REQUIRED = {
    "held",
    "seat_unavailable",
    "sold_out",
    "extended",
    "succeeded when active",
    "succeeded when lapsed",
    "refunded when lapsed",
    "voided",
    "crashed",
    "survived",
}


async def test_the_database_and_the_model_agree(app: FastAPI, world: World) -> None:
    tenant = await world.tenant()
    buyers = [await world.person() for _ in range(3)]
    application = Application(app, world, tenant, buyers, asyncio.get_running_loop())
    await asyncio.to_thread(run_state_machine_as_test, lambda: OnSale(application), settings=SETTINGS)
    assert application.counts.keys() >= REQUIRED
