"""Queries of reservations."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Uuid, case, column, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import statements, tenancy
from ticketing.infra.db.pending_query import PendingQuery
from ticketing.infra.db.pipeline import DriverConnection, rows, send
from ticketing.infra.errors import NotFound
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules.reservations.items import HeldItem, HoldRow, LapsedHold
from ticketing.modules.reservations.models import Reservation, ReservationItem, ReservationStatus

LockedHold = tuple[HoldRow, list[HeldItem]]


def _lapsed() -> ColumnElement[bool]:
    return (Reservation.status == ReservationStatus.ACTIVE) & (Reservation.expires_at < func.now())


async def get_reservation(session: AsyncSession, reservation_id: UUID) -> Reservation:
    """Raises NotFound."""
    reservation = await session.get(Reservation, reservation_id)
    if reservation is None:
        raise NotFound
    return reservation


async def lock_reservation(session: AsyncSession, reservation_id: UUID) -> Reservation:
    """The reservation, refreshed and locked until the transaction ends. Raises NotFound."""
    query = select(Reservation).where(Reservation.id == reservation_id).with_for_update()
    reservation = await session.scalar(query.execution_options(populate_existing=True))
    if reservation is None:
        raise NotFound
    return reservation


#: Longer than a transaction that sells a hold takes from the lock of the hold to its commit.
ENDING_SECONDS = 10

_SELECT = f"""
select id, organization_id, event_id, user_id, status, status = 'active' and expires_at >= now(),
       expires_at < clock_timestamp() + interval '{ENDING_SECONDS} seconds', expires_at, total_minor, currency
  from reservations"""  # noqa: S608 (a constant)
_ITEMS = """
select i.position, i.seat_number, i.seat_label, i.ticket_type_id, t.name, i.quantity, i.price_minor
  from reservations r
  join reservation_items i on i.organization_id = r.organization_id and i.reservation_id = r.id
  join ticket_types t on t.organization_id = i.organization_id and t.id = i.ticket_type_id"""


async def lock_hold(connection: DriverConnection, which: str, *values: object) -> PendingQuery[LockedHold]:
    """Lock a reservation until the transaction ends, and read its items. Fetching raises NotFound.

    `which` is the SQL after `id =`, with a `%s` for each value.
    """
    row = await send(connection, f"{_SELECT} where id = {which} for update", *values)
    # A second statement, so that its snapshot shows what the previous holder of the lock has committed.
    return PendingQuery(
        _locked, row, await send(connection, f"{_ITEMS} where r.id = {which} order by i.position", *values)
    )


_LOCK_EACH = f"""
select r.* from json_array_elements_text(%s::json) as w (id)
 cross join lateral ({_SELECT} where organization_id = %s and id = w.id::uuid for update skip locked) as r"""  # noqa: S608
_ITEMS_OF_EACH = f"""
select w.id::uuid, i.* from json_array_elements_text(%s::json) as w (id)
 cross join lateral ({_ITEMS} where r.organization_id = %s and r.id = w.id::uuid order by i.position) as i"""  # noqa: S608


async def lock_holds(
    connection: DriverConnection, organization_id: UUID, reservation_ids: Collection[UUID]
) -> PendingQuery[dict[UUID, LockedHold]]:
    """Lock reservations of one organization in order of their ids, and read their items.

    Those that another transaction has locked are missing: a batch waits for none of them. The lateral queries are
    looked up one after the other by their keys, whatever the planner knows about the tables.
    """
    ids = rows(sorted(set(reservation_ids)))
    locked = await send(connection, _LOCK_EACH, ids, organization_id)
    # As in `lock_hold`: a second statement, for a newer snapshot.
    return PendingQuery(_each_locked, locked, await send(connection, _ITEMS_OF_EACH, ids, organization_id))


def _each_locked(found: Iterable[tuple[Any, ...]], items: Iterable[tuple[Any, ...]]) -> dict[UUID, LockedHold]:
    holds: dict[UUID, LockedHold] = {row[0]: (HoldRow(*row), []) for row in found}
    for reservation_id, *item in items:
        if reservation_id in holds:
            holds[reservation_id][1].append(HeldItem(*item))
    return holds


async def lock_own_hold(connection: DriverConnection, reservation_id: UUID, user_id: UUID) -> PendingQuery[LockedHold]:
    """Like `lock_hold`, for a buyer's own reservation: enters its organization. Another buyer's is not found."""
    await tenancy.enter_owner_of(connection, "reservations where id = %s and user_id = %s", reservation_id, user_id)
    return await lock_hold(connection, "%s", reservation_id)


def _locked(found: Sequence[tuple[Any, ...]], items: Iterable[tuple[Any, ...]]) -> LockedHold:
    if not found:
        raise NotFound
    return HoldRow(*found[0]), [HeldItem(*item) for item in items]


_HAS_LAPSED = "select expires_at < clock_timestamp() from reservations where id = %s"


async def has_lapsed(session: AsyncSession, reservation_id: UUID) -> bool:
    """Whether a hold has lapsed by the wall clock, perhaps after the transaction began. The caller has locked it."""
    found = await statements.execute(session, _HAS_LAPSED, reservation_id)
    return await found.fetchone() == (True,)


async def is_lapsed(session: AsyncSession, reservation: Reservation) -> bool:
    """Whether the hold has lapsed by the database's clock, expired by the sweep or not."""
    return bool(await session.scalar(select(_lapsed()).where(Reservation.id == reservation.id)))


async def list_items(session: AsyncSession, reservation: Reservation) -> list[ReservationItem]:
    return (await items_by_reservation(session, [reservation]))[reservation.id]


async def items_by_reservation(
    session: AsyncSession, reservations: Sequence[Reservation | LapsedHold]
) -> dict[UUID, list[ReservationItem]]:
    """The items of each reservation, in order of position."""
    keys = [(r.organization_id, r.id) for r in reservations]
    query = (
        select(ReservationItem)
        .where(tuple_(ReservationItem.organization_id, ReservationItem.reservation_id).in_(keys))
        .order_by(ReservationItem.reservation_id, ReservationItem.position)
    )
    found: dict[UUID, list[ReservationItem]] = {r.id: [] for r in reservations}
    for item in (await session.scalars(query)).all():
        found[item.reservation_id].append(item)
    return found


async def list_of_user(session: AsyncSession, user_id: UUID, page: PageQuery) -> tuple[list[Reservation], str | None]:
    """A buyer's reservations, newest first."""
    query = select(Reservation).where(Reservation.user_id == user_id).order_by(Reservation.id.desc())
    if page.after:
        query = query.where(Reservation.id < page.after_id())
    found = (await session.scalars(query.limit(page.limit + 1))).all()
    return page.cut(found, lambda r: [str(r.id)])


async def statuses_now(session: AsyncSession, reservations: Sequence[Reservation]) -> dict[UUID, ReservationStatus]:
    """The status now: a lapsed hold counts as expired even before the sweep."""
    status = case((_lapsed(), ReservationStatus.EXPIRED), else_=Reservation.status)
    query = select(Reservation.id, status).where(Reservation.id.in_([r.id for r in reservations]))
    return {row[0]: ReservationStatus(row[1]) for row in await session.execute(query)}


async def lapsed_places(session: AsyncSession, event_id: UUID) -> dict[UUID, int]:
    """Places of lapsed holds by ticket type, which the counters still include as held."""
    # A SECURITY DEFINER function: the reservations are other buyers', but their number is public on the map.
    lapsed = func.lapsed_places(event_id).table_valued(column("ticket_type_id", Uuid), column("quantity", BigInteger))
    found = await session.execute(select(lapsed.c.ticket_type_id, lapsed.c.quantity))
    return {ticket_type_id: int(quantity) for ticket_type_id, quantity in found}
