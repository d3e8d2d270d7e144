"""Search of published events."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple, get_args
from uuid import UUID

from fastapi import Query
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ARRAY, ColumnElement, Integer, Select, Uuid, bindparam, column, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import constant, tenancy
from ticketing.infra.errors import Invalid
from ticketing.infra.http.fields import SearchText, Timestamp
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import organizations, venues
from ticketing.modules.events.matching import match_events
from ticketing.modules.events.models import Event, EventStatus

#: Later than any start that the API accepts (see `fields.Timestamp`): events of rehearsals, which are never listed.
UNLISTED_FROM = datetime(2201, 1, 1, tzinfo=UTC)

Sort = Literal["relevance", "starts_at", "-starts_at"]


@dataclass(frozen=True, slots=True)
class EventQuery:
    """`?q=&city=&from=&to=&organization=&sort=`; every parameter is optional."""

    q: Annotated[SearchText | None, Query(description="Words of the title, or of the venue's name or city")] = None
    city: Annotated[SearchText | None, Query()] = None
    starts_from: Annotated[Timestamp | None, Query(alias="from")] = None
    starts_before: Annotated[Timestamp | None, Query(alias="to")] = None
    organization: Annotated[SearchText | None, Query(description="An id or a slug")] = None
    sort: Annotated[Sort | None, Query(description="By default `relevance` with `q`, else `starts_at`")] = None

    @property
    def order(self) -> Sort:
        """How the events are sorted. Without words, all match alike, and the first to start come first."""
        wanted = self.sort or "relevance"
        return "starts_at" if wanted == "relevance" and not self.q else wanted


_SORTS: Mapping[str, Sort] = {sort: sort for sort in get_args(Sort)}
_words = TypeAdapter(SearchText)


def find_query(parameters: Mapping[str, str]) -> EventQuery | None:
    """The search of these parameters, as the route reads them; None for one that it refuses.

    Periods are left out: a client that asks for what begins from now on never sends the same one twice.
    """
    try:
        q, city, organization = [_words.validate_python(parameters.get(n, "")) for n in ("q", "city", "organization")]
    except ValidationError:
        return None
    if (named := parameters.get("sort")) is not None and named not in _SORTS:
        return None
    query = EventQuery(q=q or None, city=city or None, organization=organization or None, sort=_SORTS.get(named or ""))
    # One spelling for each order: the response is cached by the query.
    return replace(query, sort=query.order)


class Listed(NamedTuple):
    """An event in a list, and its rank among those that match the search."""

    event: Event
    rank: int


async def list_published(session: AsyncSession, wanted: EventQuery, page: PageQuery) -> list[Listed]:
    """One page plus one event: best matches first, then by start time. Shows their organizations to the transaction.

    Raises:
        Invalid: the cursor belongs to another search.
    """
    is_listed = (Event.status == constant(EventStatus.PUBLISHED)) & (Event.starts_at < UNLISTED_FROM)
    query, rank = await _search(session, wanted)
    query = query.where(is_listed, *_conditions(wanted))
    place = (Event.starts_at, Event.id) if rank is None else (rank, Event.starts_at, Event.id)
    is_descending = wanted.order == "-starts_at"
    order = [each.desc() for each in place] if is_descending else place
    if page.after is not None:
        last = tuple_(*_position(page.after, wanted)[-len(place) :])
        query = query.where(tuple_(*place) < last if is_descending else tuple_(*place) > last)
    rows = await session.execute(query.order_by(*order).limit(page.limit + 1))
    found = [Listed(event, at) for event, at in rows]
    await tenancy.show(session, {listed.event.organization_id for listed in found})
    return found


async def _search(session: AsyncSession, wanted: EventQuery) -> tuple[Select[Any], ColumnElement[int] | None]:
    """The query of the events that match, and the rank by which they are sorted, if they are."""
    columns: tuple[Any, Any] = (Event, literal(0))
    unranked = select(*columns)
    if not wanted.q:
        return unranked, None
    matches = await match_events(session, wanted.q)
    if matches.ranks is None:
        return unranked.where(*map(Event.search_text.like, matches.patterns)), None
    ids = bindparam("ids", list(matches.ranks), ARRAY(Uuid))
    ranked = func.unnest(ids, bindparam("ranks", [int(rank) for rank in matches.ranks.values()], ARRAY(Integer)))
    ranks = ranked.table_valued(column("event_id", Uuid), column("rank", Integer)).render_derived()
    query = select(Event, ranks.c.rank).join(ranks, Event.id == ranks.c.event_id)
    return query, ranks.c.rank if wanted.order == "relevance" else None


def position_of(listed: Listed, wanted: EventQuery) -> list[Any]:
    """The cursor of the page after this event."""
    position = [wanted.order, listed.event.starts_at.isoformat(), str(listed.event.id)]
    return [*position, listed.rank] if wanted.order == "relevance" else position


class _Position(NamedTuple):
    rank: int
    starts_at: datetime
    event_id: UUID


def _position(after: list[Any], wanted: EventQuery) -> _Position:
    try:
        of_sort, starts_at, event_id, *ranks = after
        if of_sort != wanted.order:
            raise ValueError
        (rank,) = ranks if wanted.order == "relevance" else (0,)
        return _Position(int(rank), datetime.fromisoformat(starts_at), UUID(event_id))
    except (ValueError, TypeError, AttributeError):
        raise Invalid("Use a cursor that an earlier page of this search gave.", field="cursor") from None


def _conditions(wanted: EventQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.city:
        conditions.append(Event.venue_id.in_(venues.venue_ids_in(wanted.city)))
    if wanted.starts_from is not None:
        conditions.append(Event.starts_at >= wanted.starts_from)
    if wanted.starts_before is not None:
        conditions.append(Event.starts_at < wanted.starts_before)
    if wanted.organization:
        conditions.append(Event.organization_id.in_(_organization(wanted.organization)))
    return conditions


def _organization(id_or_slug: str) -> Select[UUID] | list[UUID]:
    try:
        return [UUID(id_or_slug)]
    except ValueError:
        return select(organizations.Organization.id).where(organizations.Organization.slug == id_or_slug)
