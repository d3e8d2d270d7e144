"""A scanner's clock is believed within bounds: an impossible time is replaced by the time of arrival, and marked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select

from tests.modules.tickets.ticket_sale import TicketSale, date_back, sell_tickets
from tests.support.world import World, data, refusal
from ticketing.modules.tickets import CheckIn
from ticketing.modules.tickets.checkin.scan_times import CLOCK_AHEAD_MAX, bound_scan_time
from ticketing.modules.tickets.messages import TicketCheckedIn

NOW = datetime(2030, 6, 1, 18, 30, tzinfo=UTC)
ISSUED = NOW - timedelta(days=30)
INSTANT = timedelta(microseconds=1)


@pytest.mark.parametrize("claimed", [ISSUED, NOW - timedelta(hours=5), NOW, NOW + CLOCK_AHEAD_MAX])
def test_a_possible_time_is_kept(claimed: datetime) -> None:
    assert bound_scan_time(claimed, ISSUED, NOW) == (claimed, None)


@pytest.mark.parametrize(
    "claimed", [datetime(1970, 1, 1, tzinfo=UTC), ISSUED - INSTANT, NOW + CLOCK_AHEAD_MAX + INSTANT]
)
def test_an_impossible_time_is_replaced_by_the_arrival(claimed: datetime) -> None:
    assert bound_scan_time(claimed, ISSUED, NOW) == (NOW, claimed)


def test_a_scan_without_a_time_is_made_when_it_arrives() -> None:
    assert bound_scan_time(None, NOW + INSTANT, NOW) == (NOW, None)


@pytest.fixture
async def sale(app: FastAPI, world: World) -> TicketSale:
    """Three tickets, issued three hours ago."""
    sale = await sell_tickets(app, world, standing=3)
    await date_back(app, datetime.now(UTC) - timedelta(hours=3))
    return sale


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


#: Hours before now: before the tickets were issued, and after the scan has arrived.
IMPOSSIBLE = [24 * 365 * 50, -0.1]


async def sync(sale: TicketSale, *scans: dict[str, str]) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = data(await sale.admin.post(sale.door("/sync"), {"scans": list(scans)}))["results"]
    return answer


async def recorded(app: FastAPI, nonce: str) -> CheckIn:
    async with app.state.worker_database.transaction() as session:
        return (await session.scalars(select(CheckIn).where(CheckIn.nonce == nonce))).one()


@pytest.mark.parametrize("hours", IMPOSSIBLE)
async def test_an_impossible_time_does_not_replace_an_admission(app: FastAPI, sale: TicketSale, hours: float) -> None:
    wrong = ago(hours=hours)
    true = {"code": sale.code, "gate": "North", "scanned_at": ago(hours=1), "nonce": "true"}
    assert (await sync(sale, true))[0]["result"] == "admitted"
    (late,) = await sync(sale, {**true, "gate": "South", "scanned_at": wrong, "nonce": "wrong"})
    assert (late["result"], late["gate"], late["is_time_corrected"]) == ("already_checked_in", "North", True)
    scan = await recorded(app, "wrong")
    assert scan.claimed_at == datetime.fromisoformat(wrong)
    assert abs(scan.scanned_at - scan.created_at) < timedelta(seconds=1)
    stats = await sale.stats()
    assert (stats["by_gate"], stats["corrected_times"]) == ([{"gate": "North", "checked_in": 1}], 1)


@pytest.mark.parametrize("hours", IMPOSSIBLE)
async def test_the_true_scan_wins_within_a_batch_and_after_it(sale: TicketSale, hours: float) -> None:
    wrong = ago(hours=hours)
    for n, is_together in enumerate((True, False)):
        code = sale.tickets[n]["code"]
        bad = {"code": code, "gate": "South", "scanned_at": wrong, "nonce": f"wrong-{n}"}
        good = {"code": code, "gate": "North", "scanned_at": ago(hours=1), "nonce": f"true-{n}"}
        if not is_together:
            assert (await sync(sale, bad))[0]["result"] == "admitted"
        results = await sync(sale, bad, good)
        assert [(r["result"], r["gate"], r["is_time_corrected"]) for r in results] == [
            ("already_checked_in", "North", True),
            ("admitted", "North", False),
        ]


async def test_an_arrival_does_not_replace_an_admission_by_a_clock_that_is_ahead(sale: TicketSale) -> None:
    ahead = {"code": sale.code, "gate": "North", "scanned_at": ago(minutes=-1.5), "nonce": "ahead"}
    assert data(await sale.admin.post(sale.door(), ahead))["is_time_corrected"] is False
    wrong = {**ahead, "gate": "South", "scanned_at": "1970-01-01T00:00:00Z", "nonce": "wrong"}
    assert (await sync(sale, wrong))[0]["result"] == "already_checked_in"


@pytest.mark.parametrize("hours", IMPOSSIBLE)
async def test_a_single_scan_says_that_its_time_was_corrected(app: FastAPI, sale: TicketSale, hours: float) -> None:
    wrong = ago(hours=hours)
    body = {"code": sale.code, "scanned_at": wrong, "nonce": "one"}
    first = data(await sale.admin.post(sale.door(), body))
    assert first["is_time_corrected"] is True
    admitted_at = datetime.fromisoformat(first["ticket"]["checked_in_at"])
    assert abs(admitted_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert data(await sale.admin.post(sale.door(), body)) == first, "the same scan, sent again"
    refused = refusal(await sale.admin.post(sale.door(), {**body, "nonce": "two"}), 409)
    assert (refused["first_scanned_at"], refused["is_time_corrected"]) == (first["ticket"]["checked_in_at"], True)
    assert refusal(await sale.admin.post(sale.door(), {"code": sale.code}), 409)["is_time_corrected"] is False
    feed = data(await sale.admin.get(sale.show.tenant.path(f"/feed?types={TicketCheckedIn.topic}")))
    assert [(m["data"]["is_time_corrected"], m["data"]["is_correction"]) for m in feed] == [(True, False)]


async def test_the_holders_export_has_both_times(sale: TicketSale) -> None:
    wrong = "1970-01-01T00:00:00Z"
    data(await sale.admin.post(sale.door(), {"code": sale.code, "scanned_at": wrong}))
    [scan] = (await sale.buyer.get("/me/export")).json()["check_ins"]
    assert datetime.fromisoformat(scan["claimed_at"]) == datetime.fromisoformat(wrong)
    assert scan["scanned_at"] > scan["claimed_at"]
