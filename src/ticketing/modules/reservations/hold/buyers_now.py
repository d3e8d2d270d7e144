"""What the buyers of a batch hold at this moment, and what they let go a moment ago.

Both restrict one account: how many places of an event it may hold at one time, and how soon it may hold seats again
that it did not buy. A person with several accounts is restricted in each of them. The limit on purchases (see
`purchase_limits`) also recognizes the mailbox, which would make every hold slower.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, rows, send
from ticketing.modules.reservations.purchase_limits import Buyer


class HoldRules(NamedTuple):
    """The platform's settings for holds."""

    extensions_max: int
    #: Most places of one event that one account holds at one time, unless the event says otherwise; 0: no limit.
    held_max: int = 0
    #: How long the seats of a hold that was not bought rest before the same account may hold them again.
    rest_seconds: int = 0


class BuyerNow(NamedTuple):
    """Places that a buyer holds, and numbers of seats that the same buyer let go during the last `rest_seconds`."""

    held: int = 0
    resting: frozenset[int] = frozenset()


@dataclass(slots=True)
class BuyersNow:
    """Buyers of one batch. Those whose count another transaction has locked are in `contended`."""

    rest_seconds: int = 0
    contended: Collection[Buyer] = ()
    found: Mapping[Buyer, BuyerNow] = field(default_factory=dict)


_WANTED = "json_to_recordset(%s::json) as w (n integer, event_id uuid, user_id uuid)"

# A lock per account and event, so that two batches do not both count the same places; tried, as all locks of a batch.
# OFFSET 0 is an optimization fence: each lock is tried exactly once.
_LOCK = f"""
select n from (
    select w.n, pg_try_advisory_xact_lock(uuid_hash_extended(w.user_id, uuid_hash_extended(w.event_id, 1))) as is_ours
      from {_WANTED} join events e on e.organization_id = %s and e.id = w.event_id
     where coalesce(e.max_held_per_buyer, %s) > 0 offset 0) as tried
 where not is_ours"""  # noqa: S608 (only constants)

# The index is (user_id, id), and ids are UUIDv7: only the buyer's latest reservations are read. A hold lasts at most an
# hour (`hold_seconds`) and as long again with each extension; the hour more is for clocks that differ. CASE keeps the
# planner from other indexes, each of which would read all active holds, or all of the event, for each buyer.
_LOOK = f"""
with ids as materialized (
    select rpad(lpad(to_hex((1000 * extract(epoch from now() - make_interval(secs => %s)))::bigint), 12, '0'),
                32, '0')::uuid as oldest)
select w.n, now.held, now.resting
  from {_WANTED}, lateral (
    select coalesce(sum(i.quantity) filter (where r.status = 'active' and r.expires_at >= now()), 0)::integer as held,
           array_agg(i.seat_number) filter (where i.seat_number is not null
               and least(r.expires_at, coalesce(r.ended_at, r.expires_at))
                   between now() - make_interval(secs => %s) and now()) as resting
      from reservations r
      join reservation_items i on i.organization_id = r.organization_id and i.reservation_id = r.id
     where r.user_id = w.user_id and r.id >= (select oldest from ids)
       and case when r.organization_id = %s and r.event_id = w.event_id then
                r.status = 'active' or r.status <> 'confirmed' and r.ended_at >= now() - make_interval(secs => %s) end
    ) as now
 where now.held > 0 or now.resting is not null"""  # noqa: S608 (only constants)


async def query_buyers(
    connection: DriverConnection, organization_id: UUID, buyers: Collection[Buyer], rules: HoldRules
) -> PendingQuery[BuyersNow]:
    """Lock the counts of these buyers, and read them: in a second statement, whose snapshot is newer than the locks."""
    listed = list(dict.fromkeys(buyers))
    wanted = rows([{"n": n, "event_id": b.event_id, "user_id": b.user_id} for n, b in enumerate(listed)])
    age_seconds = 3600 * (rules.extensions_max + 2) + rules.rest_seconds
    locks = await send(connection, _LOCK, wanted, organization_id, rules.held_max)
    rest = rules.rest_seconds
    found = await send(connection, _LOOK, age_seconds, wanted, rest, organization_id, rest)
    return PendingQuery(partial(_parse, listed, rules.rest_seconds), locks, found)


def _parse(
    buyers: Sequence[Buyer], rest_seconds: int, contended: Iterable[tuple[int]], found: Iterable[tuple[Any, ...]]
) -> BuyersNow:
    now = {buyers[n]: BuyerNow(held, frozenset(resting or ())) for n, held, resting in found}
    return BuyersNow(rest_seconds, {buyers[n] for (n,) in contended}, now)
