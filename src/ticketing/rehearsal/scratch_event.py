"""The stage: a copy of an event, its venue and its prices in a scratch organization, and people who may buy there.

Written past the services on purpose. They would publish facts about an organization that is gone in an hour, and write
to its audit log, which nobody can take back: not even the clean-up. Rows are copied whole, whatever columns they have,
so an event is rehearsed with all its settings; only what makes them another's is changed.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import security
from ticketing.infra.config import ConfigurationError
from ticketing.infra.db import Database, new_id
from ticketing.rehearsal import names
from ticketing.rehearsal.options import Choices

USERS_AT_ONCE = 5000
#: Later than the API can say (see infra/http/fields.py): no list of events shows what begins then.
STARTS_AT = "2201-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Stage:
    """What was built. `labels` by seat number, None for what the rehearsal does not sell."""

    run: str
    organization_id: UUID
    event_id: UUID
    title: str
    currency: str
    labels: list[str | None]
    places: dict[str, int]
    quantity_max: int

    @property
    def seats(self) -> int:
        return sum(label is not None for label in self.labels)

    @property
    def for_sale(self) -> int:
        """Seats and places together."""
        return self.seats + sum(self.places.values())


async def open_organization(database: Database) -> tuple[str, UUID]:
    """A run and its scratch organization: committed first, so that whatever is cut off later can be found by it.

    It has an admin, as every organization, and nobody can log in as them.
    """
    run, organization_id, admin_id = secrets.token_hex(6), new_id(), new_id()
    row = {"id": organization_id, "name": f"Rehearsal {run}", "slug": names.slug_of(run), "admin_id": admin_id}
    admin = {"ids": [admin_id], "emails": [names.admin_email(run)], "password_hash": await _hash_of_nothing()}
    async with database.transaction() as session:
        await session.execute(text(_USERS), admin)
        for statement in (_ORGANIZATION, _MEMBER):
            await session.execute(text(statement), row)
    return run, organization_id


async def build(database: Database, run: str, organization_id: UUID, choices: Choices) -> Stage:
    """Copy the event into the scratch organization, on sale from now on.

    What the original has sold or blocked is not for sale in the copy either; what is held there is.

    Raises:
        ConfigurationError: there is no such event, or nothing of it can be sold.
    """
    async with database.transaction() as session:
        original = (await session.execute(text(_EVENT), {"id": choices.event_id})).mappings().one_or_none()
        if original is None:
            raise ConfigurationError(f"--event: there is no event {choices.event_id}")
        scratch = {"organization_id": str(organization_id), "event_id": str(new_id())}
        venue_id = await _copy_venue(session, original, scratch) if original["venue_id"] else None
        await _copy_event(session, original, scratch, venue_id, choices)
        await _copy_types(session, original, scratch)
        await session.execute(text(_SEATS), {"of": original["id"], **scratch})
        await session.execute(text("select analyze_seats()"))
        return await _describe(session, run, original, scratch)


async def make_accounts(database: Database, run: str, count: int) -> list[UUID]:
    """So many people who may buy; nobody knows the password that they share."""
    password_hash = await _hash_of_nothing()
    ids = [new_id() for _ in range(count)]
    for first in range(0, count, USERS_AT_ONCE):
        part = ids[first : first + USERS_AT_ONCE]
        emails = [names.account_email(run, first + n) for n in range(len(part))]
        async with database.transaction() as session:
            await session.execute(text(_USERS), {"ids": part, "emails": emails, "password_hash": password_hash})
    return ids


async def _hash_of_nothing() -> str:
    """The hash of a password that nobody has seen. A log-in with another one is refused as usual."""
    return await security.hash_password(secrets.token_urlsafe(32))


async def _copy_venue(session: AsyncSession, original: Any, scratch: dict[str, str]) -> str:
    venue_id = str(new_id())
    of = {"of": original["venue_id"], "version": original["plan_version"]}
    await session.execute(
        text(_VENUE), {**of, "changes": _json(id=venue_id, name="Rehearsal", city=None, **_mine(scratch))}
    )
    if original["plan_version"] is not None:
        changes = _json(venue_id=venue_id, **_mine(scratch))
        for statement in (_PLAN, _PLAN_SEATS):
            await session.execute(text(statement), {**of, "changes": changes})
    return venue_id


async def _copy_event(
    session: AsyncSession, original: Any, scratch: dict[str, str], venue_id: str | None, choices: Choices
) -> None:
    now = (await session.execute(text("select now()"))).scalar_one().isoformat()
    changes = _json(
        id=scratch["event_id"],
        venue_id=venue_id,
        title=f"[Rehearsal, not for sale] {original['title']}",
        description="A rehearsal of an on-sale. It is gone in a few minutes, and so is everything bought here.",
        status="published",
        published_at=now,
        sales_start_at=None,
        sales_end_at=None,
        starts_at=STARTS_AT,
        ends_at=None,
        hold_seconds=choices.hold_seconds,
        **_mine(scratch),
    )
    await session.execute(text(_COPY_EVENT), {"of": original["id"], "changes": changes})


async def _copy_types(session: AsyncSession, original: Any, scratch: dict[str, str]) -> None:
    old = list(await session.scalars(text("select id from ticket_types where event_id = :of"), {"of": original["id"]}))
    names_of = {"of": original["id"], "old": old, "new": [new_id() for _ in old], **scratch}
    for statement in (_TYPES, _PRICES):
        await session.execute(text(statement), names_of)


async def _describe(session: AsyncSession, run: str, original: Any, scratch: dict[str, str]) -> Stage:
    seats = (await session.execute(text(_LABELS), scratch)).all()
    labels: list[str | None] = [None] * (max((seat.number for seat in seats), default=-1) + 1)
    for seat in seats:
        labels[seat.number] = seat.label
    types = (await session.execute(text(_FOR_SALE), scratch)).all()
    limits = [original["max_per_order"], original["max_per_buyer"], *(row.max_per_order for row in types)]
    stage = Stage(
        run,
        UUID(scratch["organization_id"]),
        UUID(scratch["event_id"]),
        original["title"],
        original["currency"],
        labels,
        {str(row.id): row.capacity for row in types if row.capacity is not None},
        min(limit for limit in limits if limit is not None),
    )
    if stage.for_sale == 0:
        raise ConfigurationError(
            "--event: nothing of it can be sold; give it seats (seats/sync) with prices, or places with a capacity"
        )
    return stage


def _mine(scratch: dict[str, str]) -> dict[str, str]:
    return {"organization_id": scratch["organization_id"]}


def _json(**changes: Any) -> str:
    return orjson.dumps(changes).decode()


def share(ids: Sequence[UUID], parts: int) -> list[tuple[int, list[UUID]]]:
    """These in so many parts of about the same size, each with the number of its first."""
    cuts = [len(ids) * n // parts for n in range(parts + 1)]
    return [(a, list(ids[a:b])) for a, b in pairwise(cuts) if b > a]


_ORGANIZATION = "insert into organizations (id, name, slug) values (:id, :name, :slug)"

_MEMBER = "insert into members (organization_id, user_id, role) values (:id, :admin_id, 'ORG_ADMIN')"

_EVENT = """
select id, venue_id, plan_version, title, currency, max_per_order, max_per_buyer from events where id = :id"""

_VENUE = """
insert into venues select c.* from venues o, jsonb_populate_record(o, cast(:changes as jsonb)) c
 where o.id = :of"""

_PLAN = """
insert into seating_plans select c.* from seating_plans o, jsonb_populate_record(o, cast(:changes as jsonb)) c
 where o.venue_id = :of and o.version = :version"""

_PLAN_SEATS = """
insert into plan_seats select c.* from plan_seats o, jsonb_populate_record(o, cast(:changes as jsonb)) c
 where o.venue_id = :of and o.plan_version = :version"""

_COPY_EVENT = """
insert into events select c.* from events o, jsonb_populate_record(o, cast(:changes as jsonb)) c where o.id = :of"""

_NEW_TYPE = "unnest(cast(:old as uuid[]), cast(:new as uuid[])) as m (old, new)"

_TYPES = f"""
insert into ticket_types select c.* from ticket_types o join {_NEW_TYPE} on m.old = o.id,
       jsonb_populate_record(o, jsonb_build_object('id', m.new, 'organization_id', cast(:organization_id as text),
           'event_id', cast(:event_id as text), 'capacity', o.capacity - o.sold, 'held', 0, 'sold', 0)) c"""  # noqa: S608 (only constants)

_PRICES = f"""
insert into category_prices select c.* from category_prices o join {_NEW_TYPE} on m.old = o.ticket_type_id,
       jsonb_populate_record(o, jsonb_build_object('ticket_type_id', m.new,
           'organization_id', cast(:organization_id as text), 'event_id', cast(:event_id as text))) c
 where o.event_id = :of"""  # noqa: S608 (only constants)

_SEATS = """
insert into event_seats select c.* from event_seats o
  join events e on e.organization_id = o.organization_id and e.id = o.event_id
  left join category_prices p on p.organization_id = o.organization_id and p.event_id = o.event_id
                             and p.category = o.category,
       jsonb_populate_record(o, jsonb_build_object('organization_id', cast(:organization_id as text),
           'event_id', cast(:event_id as text), 'reservation_id', null, 'held_until', null, 'version', 0,
           'status', case when o.status in ('b', 's') or p.category is null then 'b' else 'a' end)) c
 where e.id = :of order by o.number"""

_USERS = """
insert into users (id, email, email_normalized, display_name, password_hash)
select id, email, email, 'Rehearsal', :password_hash
  from unnest(cast(:ids as uuid[]), cast(:emails as text[])) as wanted (id, email)"""

_LABELS = """
select number, label from event_seats
 where organization_id = cast(:organization_id as uuid) and event_id = cast(:event_id as uuid) and status = 'a'
 order by number"""

_FOR_SALE = """
select id, capacity, max_per_order from ticket_types
 where organization_id = cast(:organization_id as uuid) and event_id = cast(:event_id as uuid) order by id"""
