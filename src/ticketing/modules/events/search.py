"""Search of published events."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from fastapi import Query
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from ticketing.infra.db import constant, tenancy
from ticketing.infra.errors import Invalid
from ticketing.infra.http.fields import SearchText, Timestamp
from ticketing.infra.http.pagination import PageQuery
from ticketing.modules import organizations, venues
from ticketing.modules.events.models import Event, EventStatus

#: Later than any start that the API accepts (see `fields.Timestamp`): events of rehearsals, which are never listed.
UNLISTED_FROM = datetime(2201, 1, 1, tzinfo=UTC)

Sort = Literal["starts_at", "-starts_at"]


@dataclass(frozen=True, slots=True)
class EventQuery:
    """`?q=&city=&from=&to=&organization=&sort=`; every parameter is optional."""

    q: Annotated[SearchText | None, Query(description="In the title, or the venue's name or city")] = None
    city: Annotated[SearchText | None, Query()] = None
    starts_from: Annotated[Timestamp | None, Query(alias="from")] = None
    starts_before: Annotated[Timestamp | None, Query(alias="to")] = None
    organization: Annotated[SearchText | None, Query(description="An id or a slug")] = None
    sort: Annotated[Sort, Query()] = "starts_at"


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
    sort = _SORTS.get(parameters.get("sort", "starts_at"))
    if sort is None:
        return None
    return EventQuery(q=q or None, city=city or None, organization=organization or None, sort=sort)


async def list_published(session: AsyncSession, wanted: EventQuery, page: PageQuery) -> list[Event]:
    """One page plus one event, by start time. Lets the transaction read the public data of their organizations.

    Raises:
        Invalid: the cursor belongs to another search.
    """
    is_listed = (Event.status == constant(EventStatus.PUBLISHED)) & (Event.starts_at < UNLISTED_FROM)
    query = select(Event).where(is_listed, *_conditions(wanted))
    is_ascending = wanted.sort == "starts_at"
    place = tuple_(Event.starts_at, Event.id)
    if page.after is not None:
        last = tuple_(*_position(page.after, wanted.sort))
        query = query.where(place > last if is_ascending else place < last)
    order = (Event.starts_at, Event.id) if is_ascending else (Event.starts_at.desc(), Event.id.desc())
    found = list(await session.scalars(query.order_by(*order).limit(page.limit + 1)))
    await tenancy.show(session, {event.organization_id for event in found})
    return found


def position_of(event: Event, sort: str) -> list[Any]:
    """The cursor of the page after this event."""
    return [sort, event.starts_at.isoformat(), str(event.id)]


def _position(after: list[Any], sort: str) -> tuple[datetime, UUID]:
    try:
        of_sort, starts_at, event_id = after
        if of_sort != sort:
            raise ValueError
        return datetime.fromisoformat(starts_at), UUID(event_id)
    except (ValueError, TypeError, AttributeError):
        raise Invalid("Use a cursor that an earlier page of this search gave.", field="cursor") from None


def _conditions(wanted: EventQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.q:
        is_there = Event.venue_id.in_(venues.venue_ids(words=wanted.q))
        conditions.append(Event.title.icontains(wanted.q, autoescape=True) | is_there)
    if wanted.city:
        conditions.append(Event.venue_id.in_(venues.venue_ids(city=wanted.city)))
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
