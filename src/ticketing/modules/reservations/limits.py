"""How much of an event one person may have over all their orders, counted under a lock of that person's own.

A person is an account, and the mailbox behind its e-mail address (`buyer_identity`, a function of the database, says
which): whoever registers twice as ada+1@ and ada+2@ has one allowance. What counts is what the person could walk in
with: places of holds that run, and places that were sold and not given back.

Locks are taken in one order everywhere: order, payment, reservation, allowance, seats, places. An allowance is an
advisory lock per event and identity, so buyers never wait for one another. A transaction locks all the allowances
that it wants in one sorted statement; a second one could wait in a circle.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ScalarSelect, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.errors import TicketingError
from ticketing.modules import iam


class LimitExceeded(TicketingError):
    """That is more than one order may have."""

    status, code = 422, "limit_exceeded"


@dataclass(frozen=True, slots=True)
class Buyer:
    """Somebody who wants places of an event."""

    event_id: UUID
    user_id: UUID


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many places a buyer has. Buyers of one event with the same identity share one allowance."""

    identity: bytes
    places: int


def identity_of(event_id: UUID, user_id: UUID) -> ScalarSelect[bytes]:
    """The mailbox of an account, as an expression: a hold remembers it without a statement more."""
    identity = func.buyer_identity(event_id, iam.User.email_normalized)
    return select(identity).where(iam.User.id == user_id).scalar_subquery()


async def lock_allowances(
    session: AsyncSession, organization_id: UUID, buyers: Sequence[Buyer]
) -> dict[Buyer, Allowance]:
    """What each of these buyers of one organization's events has; until the transaction ends, nobody adds to it.

    Three statements for any number of buyers. The one that counts has to begin when the locks are held, or it would
    not see what their last holder has committed.
    """
    wishes = {"event_ids": [b.event_id for b in buyers], "user_ids": [b.user_id for b in buyers]}
    identities = list(await session.scalars(_IDENTITIES, wishes))
    await _lock(session, identities)
    counted = await session.scalars(_COUNT, {**wishes, "organization_id": organization_id, "identities": identities})
    return {b: Allowance(i, n) for b, i, n in zip(buyers, identities, counted, strict=True)}


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


_IDENTITIES = text("""
select buyer_identity(w.event_id, u.email_normalized)
  from unnest(cast(:event_ids as uuid[]), cast(:user_ids as uuid[])) with ordinality as w (event_id, user_id, n)
  join users u on u.id = w.user_id
 order by w.n""")

_LOCK = text("""
select pg_advisory_xact_lock(key)
  from (select key from unnest(cast(:keys as bigint[])) as wanted (key) order by key) as sorted""")

_PLACES = """
select coalesce(sum(i.quantity - i.returned), 0)
  from reservations r
  join reservation_items i on i.organization_id = r.organization_id and i.reservation_id = r.id
 where r.organization_id = :organization_id
   and (r.status = 'confirmed' or r.status = 'active' and r.expires_at >= now())"""

_COUNT = text(f"""
select ({_PLACES} and r.event_id = w.event_id and (r.user_id = w.user_id or r.buyer_identity = w.identity))
  from unnest(cast(:event_ids as uuid[]), cast(:user_ids as uuid[]), cast(:identities as bytea[]))
       with ordinality as w (event_id, user_id, identity, n)
 order by w.n""")  # noqa: S608 (only constants)

_COUNT_OF_RESERVATIONS = text(f"{_PLACES} and r.id = any(cast(:reservation_ids as uuid[]))")
