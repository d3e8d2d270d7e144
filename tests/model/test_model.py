"""Whatever buyers, staff, time and accidents do to a show, the database and a small model tell the same story."""

import asyncio
import os

from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.house import House
from tests.model.machine import OnSale
from tests.support.world import World

#: "full" tries many stories; "first" is content with the first that fails, however long it is.
FUZZ = os.environ.get("FUZZ")
IS_FULL = FUZZ == "full"
#: Always the same stories, unless all are wanted.
STORIES = settings(
    max_examples=1000 if IS_FULL else 15,
    stateful_step_count=80 if IS_FULL else 25,
    derandomize=not IS_FULL,
    database=None,
    deadline=None,
    print_blob=False,
    phases=[Phase.generate] if FUZZ == "first" else list(Phase),
    suppress_health_check=list(HealthCheck),
)


#: What has to have happened in them; a model that is never tried agrees with everything.
HAPPENED = {
    "held",
    "seat_unavailable",
    "sold_out",
    "extended",
    "succeeded when running",
    "succeeded when over",
    "refunded when over",
    "voided",
    "died",
    "outlived an accident",
}


async def test_the_database_and_the_model_tell_the_same_story(app: FastAPI, world: World) -> None:
    tenant = await world.tenant()
    buyers = [await world.person() for _ in range(3)]
    house = House(app, world, tenant, buyers, asyncio.get_running_loop())
    await asyncio.to_thread(run_state_machine_as_test, lambda: OnSale(house), settings=STORIES)
    assert house.seen.keys() >= HAPPENED
