"""How much of an event one person may have over all their orders, counted under a lock of that person's own.

A person is an account, and the mailbox behind its e-mail address (`buyer_identity`, a function of the database, says
which): whoever registers twice as ada+1@ and ada+2@ has one allowance. What counts is what the person could walk in
with: places of holds that run, and places that were sold and not given back.

Locks are taken in one order everywhere: order, payment, reservation, allowance, seats, places. An allowance is an
advisory lock per event and identity, so buyers never wait for one another. A batch of holds waits for none of them.
"""

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import Wire, rows, send
from ticketing.infra.errors import Conflict, TicketingError


class LimitExceeded(TicketingError):
    """That is more than one order may have."""

    status, code = 422, "limit_exceeded"


class Buyer(NamedTuple):
    """Somebody who wants places of an event."""

    event_id: UUID
    user_id: UUID


class Allowance(NamedTuple):
    """How many places a buyer has. Buyers of one event with the same identity share one allowance."""

    identity: bytes
    places: int


class AllowanceContended(Conflict):
    """You are holding or ordering something of this event at this very moment; try again."""

    code, retry_after_seconds = "seat_contended", 1


async def lock_allowances(
    wire: Wire, organization_id: UUID, buyers: Collection[Buyer]
) -> PendingQuery[dict[Buyer, Allowance]]:
    """Lock the allowances of buyers of one organization's events until the transaction ends, and count them.

    Two statements for any number of buyers: the count needs a snapshot taken after the locks, or it would miss what
    their previous holders have committed. An allowance that another transaction has locked is missing from the result:
    waiting for it would make the whole batch wait.
    """
    listed = list(dict.fromkeys(buyers))
    wanted = rows([{"n": n, "event_id": b.event_id, "user_id": b.user_id} for n, b in enumerate(listed)])
    locks = await send(wire, _LOCK_BUYERS, wanted)
    return PendingQuery(partial(_locked, listed), locks, await send(wire, _COUNT, organization_id, wanted))


def _locked(
    buyers: Sequence[Buyer], refused: Iterable[tuple[int]], counts: Iterable[tuple[Any, ...]]
) -> dict[Buyer, Allowance]:
    contended = {n for (n,) in refused}
    return {buyers[n]: Allowance(identity, places) for n, identity, places in counts if n not in contended}


async def lock_address(session: AsyncSession, event_id: UUID, email: str) -> bytes:
    """The identity behind an address, in lower case, locked for this event until the transaction ends."""
    identity = bytes((await session.execute(select(func.buyer_identity(event_id, email)))).scalar_one())
    await _lock(session, [identity])
    return identity


async def _lock(session: AsyncSession, identities: Collection[bytes]) -> None:
    # Eight bytes of a digest: two people who share them would wait for one another, and that is all.
    keys = sorted({int.from_bytes(identity[:8], "big", signed=True) for identity in identities})
    await session.execute(_LOCK, {"keys": keys})


def check_limit(limit: int, had: int, wanted: int, field: str) -> None:
    """Raises LimitExceeded, with `limit` and `left`, when so many places more would be too many for one person."""
    if had + wanted <= limit:
        return
    left = max(0, limit - had)
    message = f"One person may have at most {limit} tickets of this event, over all orders; you can have {left} more."
    raise LimitExceeded(message, field=field, limit=limit, left=left)


async def count_places(session: AsyncSession, organization_id: UUID, reservation_ids: Sequence[UUID]) -> int:
    """How many places these reservations of one organization have at this moment."""
    values = {"organization_id": organization_id, "reservation_ids": list(reservation_ids)}
    return int(await session.scalar(_COUNT_OF_RESERVATIONS, values) or 0)


_LOCK = text("""
select pg_advisory_xact_lock(key)
  from (select key from unnest(cast(:keys as bigint[])) as wanted (key) order by key) as sorted""")

_BUYERS = """
select w.n, w.event_id, w.user_id, buyer_identity(w.event_id, u.email_normalized) as identity
  from json_to_recordset(%s::json) as w (n integer, event_id uuid, user_id uuid) join users u on u.id = w.user_id"""

# The same eight bytes as in `_lock`.
_LOCK_BUYERS = f"""
with b as materialized (
    select n, ('x' || encode(substr(identity, 1, 8), 'hex'))::bit(64)::bigint as key from ({_BUYERS}) as buyers),
tried as materialized (
    select key, pg_try_advisory_xact_lock(key) as is_ours from (select distinct key from b) as keys)
select b.n from b join tried using (key) where not is_ours"""  # noqa: S608 (only constants)

_PLACES = """
select coalesce(sum(i.quantity - i.returned), 0)
  from reservations r
  join reservation_items i on i.organization_id = r.organization_id and i.reservation_id = r.id
 where (r.status = 'confirmed' or r.status = 'active' and r.expires_at >= now())"""

_COUNT = f"""
select b.n, b.identity, ({_PLACES} and r.organization_id = %s and r.event_id = b.event_id
                         and (r.user_id = b.user_id or r.buyer_identity = b.identity))::integer
  from ({_BUYERS}) as b"""  # noqa: S608 (only constants)

_COUNT_OF_RESERVATIONS = text(f"""{_PLACES}
   and r.organization_id = :organization_id and r.id = any(cast(:reservation_ids as uuid[]))""")
