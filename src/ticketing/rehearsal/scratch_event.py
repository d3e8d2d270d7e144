"""The scratch event: a copy of an event, its venue and its prices in a scratch organization, with accounts of buyers.

The rows are written directly, without the modules' services, which would publish messages about an organization that
is deleted within an hour, and write to its audit log, which is append-only even for the cleanup. Rows are copied with
all their columns, so that every setting of the event is rehearsed; only the columns that identify the copy are changed.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra import security
from ticketing.infra.config import ConfigurationError
from ticketing.infra.db import Database, new_id, statements
from ticketing.rehearsal import names
from ticketing.rehearsal.options import RehearsalOptions

USERS_PER_TRANSACTION = 5000
#: Later than the API accepts (see infra/http/fields.py), so that no list of events contains the copy.
STARTS_AT = "2201-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class ScratchEvent:
    """The copy of the event. `labels` are by seat number, with None for seats that are not for sale."""

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
        """The number of seats and places."""
        return self.seats + sum(self.places.values())


class _Original(NamedTuple):
    id: UUID
    venue_id: UUID | None
    plan_version: int | None
    title: str
    currency: str
    max_per_order: int
    max_per_buyer: int | None
    max_held_per_buyer: int | None


class _Ids(NamedTuple):
    """The ids of the copy."""

    organization_id: UUID
    event_id: UUID


async def create_organization(database: Database) -> tuple[str, UUID]:
    """Create a run and its scratch organization, in a transaction of its own: the cleanup finds everything by it.

    Like every organization it has an administrator, whose account cannot be logged in to.
    """
    run, organization_id, admin_id = secrets.token_hex(6), new_id(), new_id()
    password_hash = await _unknown_password_hash()
    async with database.transaction() as session:
        await statements.execute(session, _USERS, password_hash, [admin_id], [names.admin_email(run)])
        await statements.execute(session, _ORGANIZATION, organization_id, f"Rehearsal {run}", names.slug_of(run))
        await statements.execute(session, _MEMBER, organization_id, admin_id)
    return run, organization_id


async def copy_event(database: Database, run: str, organization_id: UUID, options: RehearsalOptions) -> ScratchEvent:
    """Copy the event into the scratch organization, and put the copy on sale.

    Seats and places that are sold or blocked in the original are not for sale in the copy; those that are held are.

    Raises:
        ConfigurationError: there is no such event, or it has nothing for sale.
    """
    async with database.transaction() as session:
        found = await (await statements.execute(session, _EVENT, options.event_id)).fetchone()
        if found is None:
            raise ConfigurationError(f"--event: there is no event {options.event_id}")
        original, ids = _Original(*found), _Ids(organization_id, new_id())
        venue_id = await _copy_venue(session, original, ids) if original.venue_id else None
        await _copy_event(session, original, ids, venue_id, options)
        await _copy_ticket_types(session, original, ids)
        await statements.execute(session, _SEATS, *_as_text(ids), original.id)
        await statements.execute(session, "select analyze_seats()")
        return await _describe(session, run, original, ids)


async def create_accounts(database: Database, run: str, count: int) -> list[UUID]:
    """Create accounts of buyers. They share one password, which is unknown."""
    password_hash = await _unknown_password_hash()
    ids = [new_id() for _ in range(count)]
    for first in range(0, count, USERS_PER_TRANSACTION):
        part = ids[first : first + USERS_PER_TRANSACTION]
        emails = [names.account_email(run, first + n) for n in range(len(part))]
        async with database.transaction() as session:
            await statements.execute(session, _USERS, password_hash, part, emails)
    return ids


async def _unknown_password_hash() -> str:
    """The hash of a random password. A log-in fails as it does with any wrong password."""
    return await security.hash_password(secrets.token_urlsafe(32))


async def _copy_venue(session: AsyncSession, original: _Original, ids: _Ids) -> UUID:
    venue_id = new_id()
    changes = _json(id=venue_id, name="Rehearsal", city=None, organization_id=ids.organization_id)
    await statements.execute(session, _VENUE, changes, original.venue_id)
    if original.plan_version is not None:
        changes = _json(venue_id=venue_id, organization_id=ids.organization_id)
        for statement in (_PLAN, _PLAN_SEATS):
            await statements.execute(session, statement, changes, original.venue_id, original.plan_version)
    return venue_id


async def _copy_event(
    session: AsyncSession, original: _Original, ids: _Ids, venue_id: UUID | None, options: RehearsalOptions
) -> None:
    ((now,),) = await (await statements.execute(session, "select now()")).fetchall()
    changes = _json(
        id=ids.event_id,
        organization_id=ids.organization_id,
        venue_id=venue_id,
        title=f"[Rehearsal, not for sale] {original.title}",
        description="A rehearsal of an on-sale. It is gone in a few minutes, and so is everything bought here.",
        status="published",
        published_at=now,
        sales_start_at=None,
        sales_end_at=None,
        starts_at=STARTS_AT,
        ends_at=None,
        hold_seconds=options.hold_seconds,
    )
    await statements.execute(session, _COPY_EVENT, changes, original.id)


async def _copy_ticket_types(session: AsyncSession, original: _Original, ids: _Ids) -> None:
    query = "select id from ticket_types where event_id = %s"
    old = [type_id for (type_id,) in await (await statements.execute(session, query, original.id)).fetchall()]
    new = [new_id() for _ in old]
    await statements.execute(session, _TYPES, old, new, *_as_text(ids))
    await statements.execute(session, _PRICES, old, new, *_as_text(ids), original.id)


async def _describe(session: AsyncSession, run: str, original: _Original, ids: _Ids) -> ScratchEvent:
    seats = await (await statements.execute(session, _LABELS, *ids)).fetchall()
    labels: list[str | None] = [None] * (max((number for number, _ in seats), default=-1) + 1)
    for number, label in seats:
        labels[number] = label
    types = await (await statements.execute(session, _FOR_SALE, *ids)).fetchall()
    limits = [original.max_per_order, original.max_per_buyer, original.max_held_per_buyer]
    limits += [max_per_order for _, _, max_per_order in types]
    scratch_event = ScratchEvent(
        run=run,
        organization_id=ids.organization_id,
        event_id=ids.event_id,
        title=original.title,
        currency=original.currency,
        labels=labels,
        places={str(type_id): capacity for type_id, capacity, _ in types if capacity is not None},
        quantity_max=min(limit for limit in limits if limit is not None),
    )
    if scratch_event.for_sale == 0:
        raise ConfigurationError(
            "--event: nothing of it can be sold; give it seats (seats/sync) with prices, or places with a capacity"
        )
    return scratch_event


def _as_text(ids: _Ids) -> tuple[str, str]:
    return str(ids.organization_id), str(ids.event_id)


def _json(**changes: Any) -> str:
    return orjson.dumps(changes).decode()


def split(ids: Sequence[UUID], parts: int) -> list[tuple[int, list[UUID]]]:
    """Split the ids into parts of about equal size, each with the index of its first id."""
    cuts = [len(ids) * n // parts for n in range(parts + 1)]
    return [(a, list(ids[a:b])) for a, b in pairwise(cuts) if b > a]


_ORGANIZATION = "insert into organizations (id, name, slug) values (%s, %s, %s)"

_MEMBER = "insert into members (organization_id, user_id, role) values (%s, %s, 'ORG_ADMIN')"

_EVENT = """
select id, venue_id, plan_version, title, currency, max_per_order, max_per_buyer, max_held_per_buyer
  from events where id = %s"""

_VENUE = """
insert into venues select c.* from venues o, jsonb_populate_record(o, cast(%s as jsonb)) c
 where o.id = %s"""

_PLAN = """
insert into seating_plans select c.* from seating_plans o, jsonb_populate_record(o, cast(%s as jsonb)) c
 where o.venue_id = %s and o.version = %s"""

_PLAN_SEATS = """
insert into plan_seats select c.* from plan_seats o, jsonb_populate_record(o, cast(%s as jsonb)) c
 where o.venue_id = %s and o.plan_version = %s"""

_COPY_EVENT = """
insert into events select c.* from events o, jsonb_populate_record(o, cast(%s as jsonb)) c where o.id = %s"""

_NEW_TYPE = "unnest(cast(%s as uuid[]), cast(%s as uuid[])) as m (old, new)"

_TYPES = f"""
insert into ticket_types select c.* from ticket_types o join {_NEW_TYPE} on m.old = o.id,
       jsonb_populate_record(o, jsonb_build_object('id', m.new, 'organization_id', cast(%s as text),
           'event_id', cast(%s as text), 'capacity', o.capacity - o.sold, 'held', 0, 'sold', 0)) c"""  # noqa: S608 (constants)

_PRICES = f"""
insert into category_prices select c.* from category_prices o join {_NEW_TYPE} on m.old = o.ticket_type_id,
       jsonb_populate_record(o, jsonb_build_object('ticket_type_id', m.new,
           'organization_id', cast(%s as text), 'event_id', cast(%s as text))) c
 where o.event_id = %s"""  # noqa: S608 (constants)

_SEATS = """
insert into event_seats select c.* from event_seats o
  join events e on e.organization_id = o.organization_id and e.id = o.event_id
  left join category_prices p on p.organization_id = o.organization_id and p.event_id = o.event_id
                             and p.category = o.category,
       jsonb_populate_record(o, jsonb_build_object('organization_id', cast(%s as text),
           'event_id', cast(%s as text), 'reservation_id', null, 'held_until', null, 'version', 0,
           'status', case when o.status in ('b', 's') or p.category is null then 'b' else 'a' end)) c
 where e.id = %s order by o.number"""

_USERS = """
insert into users (id, email, email_normalized, display_name, password_hash)
select id, email, email, 'Rehearsal', %s
  from unnest(cast(%s as uuid[]), cast(%s as text[])) as wanted (id, email)"""

_LABELS = """
select number, label from event_seats
 where organization_id = %s and event_id = %s and status = 'a'
 order by number"""

_FOR_SALE = """
select id, capacity, max_per_order from ticket_types
 where organization_id = %s and event_id = %s order by id"""
