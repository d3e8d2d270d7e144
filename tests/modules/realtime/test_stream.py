"""The live map over real sockets: what a viewer receives, and that a closed stream leaks nothing."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from tests.modules.realtime.live import Viewer, Watch, serve, show_changes, until
from tests.support.time_limits import PATIENCE_SECONDS
from tests.support.world import Show, World, refusal
from ticketing.infra.config import Settings
from ticketing.modules.realtime import Hub, hub, metrics, queries, stream
from ticketing.modules.realtime.queries import Position
from ticketing.modules.realtime.streams_by_address import StreamsByAddress


def path_of(show: Show) -> str:
    return f"/api/v1/events/{show.id}/stream"


async def add_seats(app: FastAPI, show: Show, count: int) -> None:
    """Insert more seats than the API could create within the time of a test."""
    async with app.state.worker_database.transaction() as session:
        seats = {"event": show.id, "organization": show.tenant.id, "count": count}
        await session.execute(text(SEATS), seats)


SEATS = """
insert into event_seats (organization_id, event_id, number, label, category)
select :organization, :event, n, 'Field-' || n, 'Field' from generate_series(1, :count) n"""


async def change(app: FastAPI, world: World, show: Show, *seats: str) -> None:
    """Hold these seats and publish the frames."""
    await world.hold(await world.person(), show, *seats)
    await show_changes(app)


async def test_a_viewer_gets_the_map_and_then_what_changes(app: FastAPI, world: World, watch: Watch) -> None:
    show = await world.show(rows=1, seats=5)
    await show_changes(app)
    viewer = await watch(path_of(show))
    assert viewer.status == 200
    assert "content-type: text/event-stream" in viewer.headers
    first = await viewer.next()
    assert (first.name, first.data["seats"], first.data["areas"]) == ("snapshot", "aaaaa", {})
    await change(app, world, show, "Stalls-A-2", "Stalls-A-3")
    second = await viewer.next()
    assert second.name == "seats.updated"
    assert second.data["changes"] == [[1, "h"], [2, "h"]]
    assert second.data["version"] == first.data["version"] + 1
    assert second.data["since"] == first.data["version"]
    epoch, version = second.id.split(":")
    assert first.id == f"{epoch}:{first.data['version']}"
    assert version == str(second.data["version"])


async def test_streams_of_one_address_are_bounded_and_counted_until_they_end(
    app: FastAPI, world: World, watch: Watch
) -> None:
    show, addresses = await world.show(rows=1, seats=1), StreamsByAddress(2)
    app.state.get(Hub).addresses = addresses
    first, _ = [await watch(path_of(show)) for _ in range(2)]
    third = await watch(path_of(show))
    assert third.status == 429
    assert "retry-after: 5" in third.headers
    assert (await watch(f"/api/v1/events/{uuid4()}/stream")).status == 429, "refused before any look-up"
    with addresses.counted("another address"):
        first.leave()
        await until(lambda: addresses._open["127.0.0.1"] == 1)
    assert (await watch(path_of(show))).status == 200
    addresses._max = 3
    assert (await watch(f"/api/v1/events/{uuid4()}/stream")).status == 404
    assert addresses._open["127.0.0.1"] == 2, "a refused stream is not counted"


async def test_a_viewer_receives_changes_of_places(app: FastAPI, world: World, watch: Watch) -> None:
    show = await world.show(seats=0, capacity=10)
    viewer = await watch(path_of(show))
    first = await viewer.next()
    assert first.data["areas"] == {show.area_type_id: {"capacity": 10, "available": 10}}
    await show_changes(app)
    items = [{"ticket_type_id": show.area_type_id, "quantity": 3}]
    await world.hold(await world.person(), show, items=items)
    await show_changes(app)
    areas: Any = first.data["areas"]
    while areas[show.area_type_id]["available"] != 7:
        areas = (await viewer.next()).data["areas"]


async def test_a_viewer_that_reconnects_gets_exactly_the_missed_changes(
    app: FastAPI, world: World, watch: Watch
) -> None:
    show = await world.show(rows=1, seats=5)
    await show_changes(app)
    viewer = await watch(path_of(show))
    first = await viewer.next()
    viewer.leave()
    await until(lambda: app.state.get(Hub).streams == 0)
    await change(app, world, show, "Stalls-A-1")
    await change(app, world, show, "Stalls-A-5")
    await asyncio.sleep(0.4)
    again = await watch(path_of(show), Last_Event_ID=first.id)
    missed = await again.next()
    assert missed.name == "seats.updated"
    assert missed.data["changes"] == [[0, "h"], [4, "h"]]
    up_to_date = await watch(path_of(show), Last_Event_ID=missed.id)
    beat = await up_to_date.next(skip="")
    assert (beat.name, beat.id) == ("heartbeat", missed.id)


@pytest.mark.parametrize("last", ["0:0", "feedbeef:1", "nonsense", "a:b:c", "feedbeef:999999999999999999", "é:1"])
async def test_a_viewer_with_an_unknown_position_gets_a_snapshot(
    app: FastAPI, world: World, watch: Watch, last: str
) -> None:
    show = await world.show(rows=1, seats=2)
    await show_changes(app)
    viewer = await watch(path_of(show), Last_Event_ID=last)
    assert (await viewer.next()).name == "snapshot"


async def test_a_viewer_from_the_future_gets_a_snapshot(app: FastAPI, world: World, watch: Watch) -> None:
    show = await world.show(rows=1, seats=2)
    await show_changes(app)
    first = await (await watch(path_of(show))).next()
    epoch, version = first.id.split(":")
    viewer = await watch(path_of(show), Last_Event_ID=f"{epoch}:{int(version) + 50}")
    assert (await viewer.next()).name == "snapshot"


async def test_after_a_gap_comes_a_snapshot(app: FastAPI, world: World, watch: Watch) -> None:
    show = await world.show(rows=1, seats=3)
    await show_changes(app)
    viewer = await watch(path_of(show))
    first = await viewer.next()
    await world.hold(await world.person(), show, "Stalls-A-1")
    # A lost frame: its version is in the database, but it was never published.
    async with app.state.worker_database.transaction() as session:
        await queries.increment_versions(session, [(UUID(show.tenant.id), UUID(show.id))], "unused")
    await change(app, world, show, "Stalls-A-2")
    second = await viewer.next()
    assert second.name == "snapshot"
    assert second.data["seats"] == "hha"
    assert second.data["version"] > first.data["version"] + 1


async def test_a_lost_frame_is_detected_without_another_one(
    app: FastAPI, world: World, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "CHECK_SECONDS", 0.1)
    monkeypatch.setattr(hub, "POLL_SECONDS", 0.1)
    show = await world.show(rows=1, seats=1)
    await show_changes(app)
    viewer = await watch(path_of(show))
    await viewer.next()
    async with app.state.worker_database.transaction() as session:
        await queries.increment_versions(session, [(UUID(show.tenant.id), UUID(show.id))], "unused")
    assert (await viewer.next()).name == "snapshot"


async def test_new_seats_bring_a_snapshot(app: FastAPI, world: World, watch: Watch) -> None:
    show = await world.show(rows=1, seats=2)
    viewer = await watch(path_of(show))
    assert (await viewer.next()).id == "0:0"
    await show_changes(app)
    again = await viewer.next()
    assert (again.name, again.data["seats"]) == ("snapshot", "aa")
    assert again.id != "0:0"


async def test_one_viewer_leaving_does_not_disturb_the_other(app: FastAPI, world: World, watch: Watch) -> None:
    show = await world.show(rows=1, seats=3)
    await show_changes(app)
    stays, leaves = [await watch(path_of(show)) for _ in range(2)]
    await stays.next()
    await leaves.next()
    leaves.leave()
    await until(lambda: app.state.get(Hub).streams == 1)
    await change(app, world, show, "Stalls-A-3")
    assert (await stays.next()).data["changes"] == [[2, "h"]]


async def test_two_hundred_viewers_connect_and_disconnect_without_leaks(
    app: FastAPI, world: World, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "LINGER_SECONDS", 0)
    show = await world.show(rows=1, seats=3)
    await show_changes(app)
    before, open_before = asyncio.all_tasks(), metrics.STREAMS._value.get()
    viewers = await asyncio.gather(*(watch(path_of(show)) for _ in range(200)))
    await asyncio.gather(*(viewer.next() for viewer in viewers[:100]))
    assert app.state.get(Hub).streams == 200
    assert metrics.STREAMS._value.get() == open_before + 200
    for viewer in viewers:
        viewer.leave()
    await until(lambda: app.state.get(Hub).streams == 0 and app.state.get(Hub).channels == 0)
    assert metrics.STREAMS._value.get() == open_before
    await until(lambda: len(asyncio.all_tasks() - before) <= 1)


async def test_a_rush_is_sent_in_a_few_frames_per_second_without_loss(app: FastAPI, world: World, watch: Watch) -> None:
    show = await world.show(rows=2, seats=20)
    await show_changes(app)
    viewer = await watch(path_of(show))
    await viewer.next()
    buyer = await world.person()
    clock = asyncio.get_running_loop().time
    started = clock()
    for label in show.labels[:30]:
        await world.hold(buyer, show, label)
        await show_changes(app)
    took = clock() - started
    seen: dict[int, str] = {}
    events, version = 0, None
    while len(seen) < 30:
        event = await viewer.next()
        assert version is None or event.data["since"] == version
        version, events = event.data["version"], events + 1
        seen.update(event.data["changes"])
    assert seen == dict.fromkeys(range(30), "h")
    assert events <= took * app.state.get(Settings).stream_frames_per_second + 2


async def test_heartbeats_are_sent_without_changes(
    app: FastAPI, world: World, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.2)
    show = await world.show(rows=1, seats=1)
    viewer = await watch(path_of(show))
    first = await viewer.next()
    for _ in range(3):
        beat = await viewer.next(1, skip="")
        assert (beat.name, beat.id) == ("heartbeat", first.id)
        assert beat.data == {"version": first.data["version"]}


async def test_a_stream_ends_after_its_maximal_time_with_a_retry_interval(
    app: FastAPI, world: World, watch: Watch
) -> None:
    app.state.get(Hub).stream_seconds_max = 0.5
    show = await world.show(rows=1, seats=1)
    viewer = await watch(path_of(show))
    assert [event.name for event in await viewer.rest()] == ["snapshot", "heartbeat"]
    assert len(viewer.retries) == 2
    assert all(1000 <= retry <= 5000 for retry in viewer.retries)


async def test_every_block_of_a_stream_is_an_event_with_data(app: FastAPI, world: World) -> None:
    """Some client libraries dispatch an empty event for a block that has only `retry`."""
    app.state.get(Hub).stream_seconds_max = 0.5
    show = await world.show(rows=1, seats=1)
    async with serve(app) as port, httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        text = (await client.get(path_of(show))).text
    blocks = text.removesuffix("\n\n").split("\n\n")
    for block in blocks:
        fields = [line.partition(":")[0] for line in block.split("\n")]
        assert sorted(set(fields) - {"retry"}) == ["data", "event", "id"]
    assert blocks[0].startswith("retry: ")
    assert blocks[-1].startswith("retry: ")


async def test_a_closing_process_ends_its_streams_at_once(app: FastAPI, world: World, watch: Watch) -> None:
    show = await world.show(rows=1, seats=1)
    viewer = await watch(path_of(show))
    await viewer.next()
    app.state.get(Hub).closing.set()
    assert [event.name for event in await viewer.rest(1)] == ["heartbeat"]
    assert len(viewer.retries) == 2, "the last event has the interval after which to reconnect"
    refused = await world.client.get(path_of(show))
    assert refusal(refused, 503)["code"] == "overloaded"


async def test_drafts_and_unknown_events_are_not_found_before_the_first_byte(
    app: FastAPI, world: World, watch: Watch
) -> None:
    draft = await world.show(rows=1, seats=1, publish=False)
    stranger = await world.person()
    for path, headers in (
        (path_of(draft), {}),
        (path_of(draft), {"Authorization": f"Bearer {stranger.token}"}),
        (f"/api/v1/events/{uuid4()}/stream", {}),
    ):
        viewer = await watch(path, **headers)
        assert viewer.status == 404
        assert "content-type: application/json" in viewer.headers
    staff = await watch(path_of(draft), Authorization=f"Bearer {draft.tenant.admin.token}")
    assert (await staff.next()).name == "snapshot"
    # A viewing member does not make the draft visible to others.
    assert (await watch(path_of(draft))).status == 404
    assert (await watch("/api/v1/events/nonsense/stream")).status == 422


async def test_a_viewer_that_does_not_read_is_disconnected(
    app: FastAPI, world: World, watch: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stream, "SEND_SECONDS_MAX", 0.5)
    show = await world.show(rows=1, seats=1)
    await add_seats(app, show, 100_000)
    await show_changes(app)
    hub: Hub = app.state.get(Hub)
    fast = await watch(path_of(show))
    await fast.next()
    dropped = metrics.SLOW_VIEWERS._value.get()
    async with serve(app, send_buffer_bytes=4096) as port:
        slow = await Viewer.open(port, path_of(show))
        slow.writer.transport.pause_reading()
        await until(lambda: hub.streams == 2)
        channel = hub.find(UUID(show.id))
        assert channel is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            while hub.streams == 2:
                # Each jump sends a snapshot to every viewer, until the slow viewer's buffers are full.
                channel.jump(Position("another", channel.position.version + 1))
                await fast.next()
        assert metrics.SLOW_VIEWERS._value.get() == dropped + 1
        # The connection is cut, because an ordinary close would wait forever; and the server logs no error.
        slow.writer.transport.resume_reading()
        await slow.rest()
        assert slow.is_cut
        assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []
        slow.leave()
