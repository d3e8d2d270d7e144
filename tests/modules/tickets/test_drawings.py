"""PDFs are drawn in turns between people, kept for repeated downloads, and abandoned when the client has gone."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from starlette.requests import ClientDisconnect

from tests.modules.realtime.live import serve, until
from tests.modules.tickets.test_pdf import SEAT
from tests.modules.tickets.ticket_sale import TicketSale, sell_tickets
from tests.support.world import World
from ticketing.infra.errors import Overloaded
from ticketing.modules.tickets.documents import drawings, files, pdf
from ticketing.modules.tickets.documents.drawings import Drawings
from ticketing.modules.tickets.documents.passes import Pass


@pytest.fixture
async def sale(app: FastAPI, world: World) -> TicketSale:
    return await sell_tickets(app, world, "Stalls-A-1")


async def still_wanted() -> bool:
    return True


def passes(count: int) -> list[Pass]:
    return [replace(SEAT, reference=f"{n:08d}") for n in range(count)]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of pages of each document, once per step that was drawn."""
    taken: list[int] = []

    class Counted(pdf.Drawing):
        def __init__(self, passes: Any) -> None:
            super().__init__(passes)
            self.pages = len(passes)

        def step(self) -> bool:
            taken.append(self.pages)
            return super().step()

    monkeypatch.setattr(pdf, "Drawing", Counted)
    monkeypatch.setattr(pdf, "STEP_PAGES", 1)
    return taken


async def test_a_large_order_does_not_delay_one_ticket_by_more_than_a_turn(steps: list[int]) -> None:
    drawing = Drawings()
    large = [asyncio.ensure_future(drawing.draw(passes(n), "large", still_wanted)) for n in (40, 41)]
    await until(lambda: len(steps) >= 2)
    await drawing.draw(passes(1), "small", still_wanted)
    assert len(steps) < 40, "the large orders are still being drawn"
    await asyncio.gather(*large)


async def test_one_person_has_a_bounded_number_of_documents_in_progress(steps: list[int]) -> None:
    drawing = Drawings()
    calls = [drawing.draw(passes(n + 1), "greedy", still_wanted) for n in range(20)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert 4 <= sum(isinstance(result, bytes) for result in results) < 20
    assert {type(result) for result in results} == {bytes, Overloaded}
    assert await drawing.draw(passes(1), "modest", still_wanted)


async def test_a_document_is_kept_for_a_while_and_within_a_size(
    steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = Drawings()
    first = await drawing.draw(passes(2), "ada", still_wanted)
    assert await drawing.draw(passes(2), "ada", still_wanted) == first
    assert steps == [2, 2]
    await drawing.draw([replace(SEAT, holder="Charles"), *passes(1)], "ada", still_wanted)
    assert len(steps) == 4, "a ticket with another holder is another document"
    monkeypatch.setattr(drawings, "KEPT_BYTES_MAX", 0)
    await drawing.draw(passes(1), "ada", still_wanted)
    assert not drawing._kept


async def test_drawing_ends_with_its_client(steps: list[int]) -> None:
    asked = 0

    async def leaves_at_the_third_page() -> bool:
        nonlocal asked
        asked += 1
        return asked < 3

    with pytest.raises(ClientDisconnect):
        await Drawings().draw(passes(30), "ada", leaves_at_the_third_page)
    assert len(steps) == 3


async def test_a_closed_connection_ends_the_drawing(
    app: FastAPI, sale: TicketSale, steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a real socket, with an order that is longer than the client waits."""
    monkeypatch.setattr(files, "list_passes", many_passes)
    async with serve(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        path, token = f"/api/v1/orders/{sale.order['id']}/tickets.pdf", sale.buyer.token
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        await until(lambda: len(steps) >= 2)
        writer.close()
        await until(lambda: not files._drawings._threads._queues)
    assert len(steps) < 5_000


async def many_passes(*_: object) -> list[Pass]:
    return passes(5_000)


async def test_downloads_beyond_the_bound_are_refused_with_503(
    sale: TicketSale, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = Drawings()
    busy._threads._of_source_max = 0
    monkeypatch.setattr(files, "_drawings", busy)
    answer: httpx2.Response = await sale.buyer.get(f"/tickets/{sale.tickets[0]['id']}/pdf")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
