"""kill -9 of each process under load: nothing acknowledged is lost, and the platform recovers without an operator."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.platform import Platform, eventually
from tests.support.world import API, Person, Show, World, data

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes in /proc")


def kill(platform: Platform, what: str) -> int:
    """Kill the first process of the platform whose command line contains `what`."""
    for entry in sorted(Path("/proc").glob("[0-9]*"), key=lambda p: int(p.name)):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            traces = line + str((entry / "cwd").readlink()) + (entry / "environ").read_text(errors="replace")
        except OSError:
            continue
        if what in line and str(platform.folder) in traces:
            os.kill(int(entry.name), signal.SIGKILL)
            return int(entry.name)
    raise AssertionError(f"there is no {what}")


async def buy_with_retries(world: World, buyer: Person, show: Show, seat: str, begun: asyncio.Event) -> dict[str, Any]:
    """Buy a seat, and retry each request with the same idempotency key until it succeeds. The hold sets `begun`."""
    hold = {"event_id": show.id, "seats": [seat]}
    reservation = await post_with_retries(buyer, "/reservations", hold, f"hold {seat}")
    begun.set()
    contact = {"email": buyer.email, "name": "Ada Byron"}
    body = {"reservation_id": reservation["id"], "buyer": contact}
    order = await post_with_retries(buyer, "/orders", body, f"order {seat}")
    start = {"order_id": order["id"], "provider": "mock"}
    payment = await post_with_retries(buyer, "/payments", start, f"pay {seat}")

    async def is_taken() -> bool:
        try:
            return (await world.webhook("payment.succeeded", payment, id=f"evt_{payment['id']}")).status_code == 200
        except httpx2.TransportError:
            return False

    assert await eventually(is_taken)
    return order


async def post_with_retries(buyer: Person, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
    async def post() -> dict[str, Any] | None:
        try:
            answer = await buyer.post(path, body, key=key)
        except httpx2.TransportError:  # the process that handled the request was killed
            return None
        if answer.status_code == 201:
            made: dict[str, Any] = data(answer, 201)
            return made
        code = answer.json()["errors"][0]["code"]
        assert code in {"dependency_down", "overloaded", "idempotency_in_flight"}, answer.text
        assert answer.status_code != 503 or answer.headers["Retry-After"]
        return None

    made: dict[str, Any] = await eventually(post)
    return made


@pytest.mark.parametrize("what", ["serve --fd", "--only consumers", "bin/postgres -D", "valkey-server"])
async def test_every_confirmed_order_has_its_seat_whatever_process_is_killed(
    platform: Platform, world: World, what: str
) -> None:
    show, buyer, begun = await world.show(seats=12, rows=1), await world.person(), asyncio.Event()
    buying = [asyncio.create_task(buy_with_retries(world, buyer, show, seat, begun)) for seat in show.labels]
    await begun.wait()
    kill(platform, what)
    orders = {order["id"] for order in await asyncio.gather(*buying)}

    async def has_tickets() -> bool:
        try:
            answer = await buyer.get("/me/tickets?limit=100")
        except httpx2.TransportError:
            return False
        # All purchases may have ended before the outage, so that this is the first request of it.
        return answer.status_code == 200 and {ticket["order_id"] for ticket in data(answer)} == orders

    # The lease of a killed consumer expires after six seconds, and another consumer takes over.
    assert await eventually(has_tickets, 120)
    seats = f"select count(*) from event_seats where event_id = '{show.id}' and status = 's'"
    tickets = f"select count(*), count(distinct seat_number) from tickets where event_id = '{show.id}'"
    reservations = f"select count(*) from reservations where event_id = '{show.id}'"
    assert (platform.query(seats), platform.query(tickets), platform.query(reservations)) == (
        [(12,)],
        [(12, 12)],
        [(12,)],
    )

    environment = {**os.environ, "DATA_DIR": str(platform.folder)}
    checked = await asyncio.create_subprocess_exec(sys.executable, "-m", "ticketing.cli", "check", env=environment)
    assert await checked.wait() == 0

    async def is_ready() -> bool:
        try:
            answer = await world.client.get("/health/ready")
        except httpx2.TransportError:
            return False
        return answer.status_code == 200 and all(check["status"] == "ok" for check in data(answer)["checks"].values())

    assert await eventually(is_ready)
    assert (await world.client.get(f"{API}/events/{show.id}")).status_code == 200
