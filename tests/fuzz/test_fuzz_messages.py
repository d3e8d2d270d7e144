"""Any bytes as a Kafka record become a delivery or a dead letter, and never anything else."""

import asyncio

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.fuzz.size import SEED, SIZE, count
from tests.infra.bus.bad_messages import good_headers, good_value
from ticketing.infra import log
from ticketing.infra.bus import Poison, raw_messages
from ticketing.infra.bus.dead_letters import DeadLetter, store
from ticketing.infra.bus.raw_messages import Headers, RawMessage, stable_id
from ticketing.infra.db import Database

#: Bytes, text, and JSON that is nearly the platform's own.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)
VALUES = st.one_of(
    st.just(good_value("A", 1)),
    st.none(),
    st.binary(),
    JSON.map(lambda value: repr(value).replace("'", '"').encode(errors="surrogatepass")),
    st.integers(1, 3000).map(lambda levels: b'{"seat":' + b"[" * levels + b"]" * levels + b"}"),
    st.binary(max_size=8).map(lambda some: good_value("A", 1).replace(b"A", some)),
)
TEXTS = st.one_of(st.none(), st.binary(), st.text().map(str.encode), st.integers().map(lambda n: b"%d" % n))
#: Some headers of a good message are replaced, and others are added.
HEADERS = st.tuples(
    st.just({}) | st.dictionaries(st.sampled_from([*good_headers()]), TEXTS, max_size=3),
    st.lists(st.tuples(st.text(), TEXTS), max_size=3),
)


def message(key: bytes | None, value: bytes | None, headers: Headers) -> RawMessage:
    try:
        delivery = raw_messages.read("seat.painted", key, value, headers)
    except ValueError:
        delivery = None
    return RawMessage(
        "seat.painted", key, value, headers, "seat.painted/0/1", stable_id(repr(headers), value), delivery
    )


async def test_any_bytes_become_a_delivery_or_a_dead_letter(database: Database) -> None:
    log.configure("json", "critical", "test")
    loop, seen = asyncio.get_running_loop(), {"readable": 0, "unreadable": 0}

    async def keep(raw: RawMessage) -> None:
        await store(database, "fuzz", raw, Poison(ValueError(repr(raw.value)), 1))
        async with database.transaction() as session:
            query = select(DeadLetter).where(DeadLetter.message_id == raw.message_id)
            assert (await session.scalars(query)).one().consumer == "fuzz"

    @seed(SEED)
    @settings(
        max_examples=SIZE.messages, deadline=None, database=None, suppress_health_check=[*HealthCheck], print_blob=False
    )
    @given(st.just(b"A") | TEXTS, VALUES, HEADERS)
    def check(
        key: bytes | None, value: bytes | None, changes: tuple[dict[str, bytes], list[tuple[str, bytes]]]
    ) -> None:
        replaced, added = changes
        # A lone surrogate can't come from the client library, which decodes the names.
        names = [(name.encode(errors="replace").decode(), content) for name, content in added]
        raw = message(key, value, [*(good_headers() | replaced).items(), *names])
        seen["readable" if raw.delivery else "unreadable"] += 1
        asyncio.run_coroutine_threadsafe(keep(raw), loop).result(60)

    await asyncio.to_thread(check)
    assert min(seen.values()) > 0, seen
    count("random messages, each with a dead letter", sum(seen.values()))
