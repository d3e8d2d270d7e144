"""Purchase limits: how many places of an event one person may have over all orders, counted under a lock per person.

A person is an account plus the mailbox of its email address, which the database function `buyer_identity` derives: two
accounts ada+1@ and ada+2@ share one allowance. The count includes places of active holds, and places that were sold and
not returned.

An allowance is an advisory lock per event and identity, so different buyers never wait for each other. A batch of holds
waits for none of them.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, rows, send
from ticketing.infra.errors import Conflict, TicketingError


class LimitExceeded(TicketingError):
    """That is more than one order may have."""

    status, code = 422, "limit_exceeded"


class Buyer(NamedTuple):
    """A user who requests places of an event."""

    event_id: UUID
    user_id: UUID


class Allowance(NamedTuple):
    """How many places a buyer has. Buyers of one event with the same identity share one allowance."""

    identity: bytes
    places: int


class AllowanceContended(Conflict):
    """Another request of yours for this event is in progress; try again."""

    code, retry_after_seconds = "seat_contended", 1


_BUYERS = """
select w.n, w.event_id, w.user_id, buyer_identity(w.event_id, u.email_normalized) as identity
  from json_to_recordset(%s::json) as w (n integer, event_id uuid, user_id uuid) join users u on u.id = w.user_id"""

# The same 8 bytes as in `lock_address`.
_LOCK_BUYERS = f"""
with b as materialized (
    select n, ('x' || encode(substr(identity, 1, 8), 'hex'))::bit(64)::bigint as key from ({_BUYERS}) as buyers),
tried as materialized (
    select key, pg_try_advisory_xact_lock(key) as is_ours from (select distinct key from b) as keys)
select b.n from b join tried using (key) where not is_ours"""  # noqa: S608 (only constants)

_COUNTS = "(r.status = 'confirmed' or r.status = 'active' and r.expires_at >= now())"
_ITEMS = """
select coalesce(sum(i.quantity - i.returned), 0)::integer from reservation_items i"""

# Two queries with an index each: for an OR, the planner may read all reservations of the event. CASE keeps it from the
# index on the event in the first one.
_PLACES_OF_BUYER = f"""{_ITEMS} join (
    select r.organization_id, r.id from reservations r
     where r.user_id = b.user_id and case when r.organization_id = b.organization_id and r.event_id = b.event_id then
           {_COUNTS} end
    union
    select r.organization_id, r.id from reservations r
     where r.organization_id = b.organization_id and r.event_id = b.event_id and r.buyer_identity = b.identity
       and {_COUNTS}) as r
  on i.organization_id = r.organization_id and i.reservation_id = r.id and r.id is distinct from b.but"""  # noqa: S608

_COUNT = f"""
select b.n, b.identity, ({_PLACES_OF_BUYER})
  from (select *, %s::uuid as organization_id, null::uuid as but from ({_BUYERS}) as buyers) as b"""  # noqa: S608

_COUNT_OF_BUYER = f"""
select ({_PLACES_OF_BUYER})
  from (select %s::uuid as organization_id, %s::uuid as event_id, %s::uuid as user_id, %s::bytea as identity,
               %s::uuid as but) as b"""  # noqa: S608 (only constants)

_COUNT_OF_RESERVATIONS = f"""{_ITEMS}
  join reservations r on i.organization_id = r.organization_id and i.reservation_id = r.id
 where {_COUNTS} and r.organization_id = %s and r.id = any(%s::uuid[])"""


async def lock_allowances(
    connection: DriverConnection, organization_id: UUID, buyers: Collection[Buyer]
) -> PendingQuery[dict[Buyer, Allowance]]:
    """Lock the allowances of buyers of one organization's events until the transaction ends, and count them.

    Two statements for any number of buyers: the count needs a snapshot taken after the locks, or it would miss what
    their previous holders have committed. An allowance that another transaction has locked is missing from the result:
    waiting for it would make the whole batch wait.
    """
    listed = list(dict.fromkeys(buyers))
    wanted = rows([{"n": n, "event_id": b.event_id, "user_id": b.user_id} for n, b in enumerate(listed)])
    locks = await send(connection, _LOCK_BUYERS, wanted)
    return PendingQuery(partial(_locked, listed), locks, await send(connection, _COUNT, organization_id, wanted))


def _locked(
    buyers: Sequence[Buyer], refused: Iterable[tuple[int]], counts: Iterable[tuple[Any, ...]]
) -> dict[Buyer, Allowance]:
    contended = {n for (n,) in refused}
    return {buyers[n]: Allowance(identity, places) for n, identity, places in counts if n not in contended}


async def lock_address(session: AsyncSession, event_id: UUID, email: str) -> bytes:
    """Lock the identity of a lower-case email address for this event until the transaction ends, and return it."""
    identity = bytes((await session.execute(select(func.buyer_identity(event_id, email)))).scalar_one())
    await lock_identities(session, [identity])
    return identity


async def lock_identities(session: AsyncSession, identities: Collection[bytes]) -> None:
    """Lock the allowances of these identities until the transaction ends, in one order for all transactions."""
    # The first 8 bytes of a digest, as in `_LOCK_BUYERS`. A collision only makes two people wait for each other.
    for key in sorted({int.from_bytes(identity[:8], "big", signed=True) for identity in identities}):
        await session.execute(select(func.pg_advisory_xact_lock(key)))


def check_limit(limit: int, had: int, wanted: int, field: str) -> None:
    """Raise LimitExceeded, with `limit` and `left`, if `had` and `wanted` places together exceed the limit."""
    if had + wanted <= limit:
        return
    left = max(0, limit - had)
    message = f"One person may have at most {limit} tickets of this event, over all orders; you can have {left} more."
    raise LimitExceeded(message, field=field, limit=limit, left=left)


async def count_places_of_buyer(
    session: AsyncSession, organization_id: UUID, event_id: UUID, user_id: UUID, identity: bytes | None, but: UUID
) -> int:
    """The places of an event that this account, or this identity, has now, without those of the reservation `but`."""
    counted = await statements.execute(session, _COUNT_OF_BUYER, organization_id, event_id, user_id, identity, but)
    ((places,),) = await counted.fetchall()
    return int(places)


async def count_places(session: AsyncSession, organization_id: UUID, reservation_ids: Sequence[UUID]) -> int:
    """The number of places that these reservations of one organization have now."""
    counted = await statements.execute(session, _COUNT_OF_RESERVATIONS, organization_id, list(reservation_ids))
    ((places,),) = await counted.fetchall()
    return int(places)
